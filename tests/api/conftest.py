"""The real application, over HTTP: the real encoder, real databases, and a language model that follows a script.

The scripted model stands for a remote one, so that a turn takes milliseconds; `test_packaged_model` talks to the real
one. One application serves all tests of a database, and every test has users of its own.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

import app.main
from app.settings import Settings
from app.store import migration
from benchmarks.scripted_model import ScriptedModel, echo
from memory_core.encoder import Encoder
from tests.api.service import Service

POSTGRES = os.environ.get("MNEME_TEST_POSTGRES_URL")
SKIPPED = POSTGRES is None and os.environ.get("CI") != "true"
MOST_BYTES = 2**20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            # The application lives as long as the tests, and so must its event loop.
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def one_encoder(encoder: Encoder) -> Iterator[None]:
    """The encoder is loaded once, however many applications are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.main, "Encoder", lambda *_, **__: encoder)
        yield


@asynccontextmanager
async def started(model: ScriptedModel, **chosen: Any) -> AsyncIterator[Service]:
    """The application on a migrated database, its lifespan run."""
    roomy = {"replies_per_user": 64, "replies_at_once": 256, "max_text_characters": 10**7}
    settings = Settings(_env_file=None, max_body_bytes=MOST_BYTES, **{**roomy, "generator_url": model.url, **chosen})
    await migration.migrate(settings.database_url)
    mneme = app.main.create_app(settings)
    async with mneme.router.lifespan_context(mneme):
        transport = httpx.ASGITransport(mneme)
        async with httpx.AsyncClient(transport=transport, base_url="http://mneme", timeout=60) as client:
            yield Service(mneme, client, model)


@asynccontextmanager
async def fresh_postgres() -> AsyncIterator[str]:
    """A database of its own on the test server, gone afterwards."""
    assert POSTGRES is not None, "CI needs a PostgreSQL: scripts/test-postgres run pytest …"
    name = f"mneme_api_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(POSTGRES)
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        yield f"{POSTGRES.rpartition('/')[0]}/{name}"
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest_asyncio.fixture(
    scope="session",
    loop_scope="session",
    params=[
        "sqlite",
        pytest.param(
            "postgres",
            marks=[pytest.mark.postgres, pytest.mark.skipif(SKIPPED, reason="no PostgreSQL here")],
        ),
    ],
)
async def application(
    request: pytest.FixtureRequest, one_encoder: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """The application that most tests share, once for each database."""
    async with ScriptedModel() as model:
        if request.param == "postgres":
            async with fresh_postgres() as url, started(model, database_url=url) as service:
                yield service
        else:
            url = f"sqlite:///{tmp_path_factory.mktemp('store')}/mneme.db"
            async with started(model, database_url=url) as service:
                yield service


@pytest.fixture
def service(application: Service) -> Service:
    """The shared application, its model well-behaved."""
    application.model.script = echo
    application.model.prompts.clear()
    application.model.hung_up_on = 0
    return application


@pytest.fixture
def user() -> str:
    """A user whom nobody else talks of."""
    return f"user-{uuid.uuid4().hex[:12]}"
