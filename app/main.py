"""Wiring: `create_app` puts the parts together, its lifespan starts and stops them. Nothing else happens here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI

from app import __version__
from app.access.audit import AuditLog
from app.access.keys import Keys
from app.access.limits import Limits, RunningReplies
from app.access.openness import starting_line
from app.api import (
    answer,
    audit,
    chat,
    documentation,
    errors,
    explanation,
    health,
    keys,
    memory,
    memory_map,
    messages,
    openai,
    openai_responses,
    page,
    replay_check,
    route,
    sessions,
    timeline,
    usage_history,
    users,
)
from app.api.gate import Gate
from app.api.middleware import Application
from app.assistant.completion import Completions
from app.assistant.embedded import EmbeddedModel
from app.assistant.generator import Generator
from app.assistant.models import model_path
from app.assistant.runner import Runner
from app.assistant.turn import Assistant, prepare
from app.mcp import endpoint
from app.memories.device import Device
from app.memories.memories import Memories
from app.settings import Settings
from app.store import migration, sealing
from app.store.database import Database
from app.store.encryption import KeyRing
from app.store.memories import count
from memory_core.e5_weights import MissingWeights
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.multilingual_encoder import MultilingualEncoder

logger = logging.getLogger(__name__)


def create_app(settings: Settings, tell: Callable[[str], None] = logger.info) -> FastAPI:
    """The service.

    Args:
        settings: see `app.settings.Settings`.
        tell: gets a line for each step of starting.
    """
    app = Application(
        title="Mneme",
        version=__version__,
        summary="A conversational assistant with long-term neural memory",
        lifespan=lambda app: _lifespan(app, settings, tell),
        docs_url=None,  # `documentation` serves one that loads nothing from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    memory_routes = (memory, memory_map, usage_history, explanation, replay_check)
    talking = (chat, openai, openai_responses, messages, timeline)
    reasoning = (answer, route)
    for part in (*talking, *reasoning, *memory_routes, sessions, users, keys, audit, health, documentation, page):
        app.include_router(part.router)
    app.include_router(endpoint.router)
    errors.install(app)
    app.add_middleware(Gate, settings=settings)
    return app


def open_device(settings: Settings, tell: Callable[[str], None] = logger.info) -> Device:
    """The encoders and the memory core, where the settings want them.

    Args:
        tell: gets a line where the memory will know one language alone, though the settings would have more.

    Raises:
        EncoderError: the encoder cannot be used.
        MissingWeights: all languages are asked for, and their encoder is not installed.
    """
    where = settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"

    def load() -> tuple[Encoder, EpisodicMemory]:
        encoder = Encoder(settings.encoder, device=where)
        return encoder, EpisodicMemory(encoder, multilingual=_multilingual(settings, tell))

    return Device(load)


def _multilingual(settings: Settings, tell: Callable[[str], None]) -> MultilingualEncoder | None:
    if settings.languages == "english":
        return None
    try:
        return MultilingualEncoder()
    except MissingWeights as error:
        if settings.languages == "all":
            raise
        tell(f"the memory knows English alone: {error}")
        return None


async def open_database(settings: Settings) -> Database:
    """The database, of this code's schema, and with the key that it is encrypted under.

    Raises:
        SchemaError, StoreUnavailable, SettingsError: it cannot be used.
        EncryptionError: the key is wrong, or missing.
    """
    keys = settings.encryption_keys
    database = Database(settings.database_url, ring=KeyRing(keys) if keys else None)
    try:
        await migration.check(database)
        await sealing.check(database)
    except BaseException:
        await database.close()
        raise
    return database


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, tell: Callable[[str], None]) -> AsyncIterator[None]:
    database = await open_database(settings)
    await _guard(app, settings, database, tell)
    tell("loading the encoder …")
    device = open_device(settings, tell)
    async with database.reading() as connection:
        every, foreign = await count(connection, device.fingerprint)
    tell(f"{every} memories stored, weights {device.fingerprint}, on {device.memory.device}")
    if foreign:
        tell(f"{foreign} of them were written by other weights and will not be used: run `mneme replay --all`")
    embedded = None
    if settings.generator_url is None:
        tell("loading the language model …")
        path = model_path(settings.generator, settings.models)
        embedded = EmbeddedModel(path, context=settings.generator_context)
    generator = _generator(settings, embedded)
    memories = Memories(database, device, settings.slots, settings.cache_mb * 2**20, settings.standing)
    app.state.memories, app.state.generator = memories, generator
    app.state.runner = runner = Runner(generator)
    app.state.assistant = Assistant(memories, runner, settings)
    app.state.completions = Completions(memories, runner, settings)
    is_slow = embedded is not None and settings.generator != "tiny"
    preparing = asyncio.create_task(prepare(generator, settings) if is_slow else asyncio.sleep(0))
    app.state.audit.start()
    app.state.mcp = endpoint.Endpoint(app, settings.max_body_bytes)
    await app.state.mcp.start()
    try:
        yield
    finally:
        preparing.cancel()
        await app.state.mcp.close()
        await runner.close()
        await app.state.audit.close()
        await generator.aclose()
        if embedded is not None:
            embedded.close()
        device.close()
        await database.close()


async def _guard(app: FastAPI, settings: Settings, database: Database, tell: Callable[[str], None]) -> None:
    app.state.settings = settings
    app.state.keys = known = Keys(database)
    app.state.limits = Limits(settings.requests_per_minute, settings.tokens_per_minute)
    app.state.replies = RunningReplies(settings.replies_at_once, settings.replies_per_user)
    app.state.audit = AuditLog(database, known, settings.audit_days)
    if settings.mneme_admin_key is not None:
        await known.install(settings.mneme_admin_key.get_secret_value())
    line = starting_line(settings.host, settings.auth == "off", await known.is_any_made())
    if line is not None:
        tell(line)


def _generator(settings: Settings, embedded: EmbeddedModel | None) -> Generator:
    if embedded is not None:
        return Generator(
            embedded.url,
            embedded.api_key,
            "default",
            settings.generator_timeout,
            embedded.revive,
            embedded.marks,
            embedded.parallel,
        )
    key = settings.generator_api_key
    assert settings.generator_url is not None
    secret = key.get_secret_value() if key else None
    return Generator(settings.generator_url, secret, settings.generator_model, settings.generator_timeout)
