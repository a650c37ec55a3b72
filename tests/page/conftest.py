"""The real application on a port, and a real browser that looks at it.

The encoder is a tiny random one and the language model follows a script, so that a turn takes milliseconds; both stand
where the real ones do. One server and one browser serve all tests, every test has a user and a window of its own.
"""

import asyncio
import os
import shutil
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright, expect

import app.main
from app.memories.device import Device
from app.settings import Settings
from app.store import migration
from benchmarks.scripted_model import ScriptedModel
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from tests.tiny_transformer import save_tiny_transformer

Done = TypeVar("Done")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SIZE: ViewportSize = {"width": 1280, "height": 800}
expect.set_options(timeout=20_000)  # milliseconds: other processes share the cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("asyncio") is not None:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class LastingDevice(Device):
    """Every server of these tests computes on one device, which outlives them."""

    def close(self) -> None:
        pass

    def end(self) -> None:
        super().close()


class Server:
    """The application with its own thread and loop; what it stores outlives it, as does its port."""

    def __init__(self, database: Path, device: Device) -> None:
        self.database_url, self._device, self._port = f"sqlite:///{database}", device, 0
        self.model = ScriptedModel()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(ready),), daemon=True)
        self._thread.start()
        assert ready.wait(90), "the server did not start"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    def run(self, what: Coroutine[Any, Any, Done]) -> Done:
        """Runs a coroutine where the application runs."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    async def _serve(self, ready: threading.Event) -> None:
        async with self.model:
            settings = Settings(
                _env_file=None, generator_url=self.model.url, database_url=self.database_url, port=self._port
            )
            await migration.migrate(settings.database_url)
            self.app: FastAPI = app.main.create_app(settings)
            patch = pytest.MonkeyPatch()
            patch.setattr(app.main, "open_device", lambda *_: self._device)
            self._server = uvicorn.Server(
                uvicorn.Config(
                    self.app,
                    settings.host,
                    settings.port,
                    log_level="error",
                    lifespan="on",
                    timeout_graceful_shutdown=1,
                )
            )
            self._loop = asyncio.get_running_loop()
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.02)
                assert not serving.done(), serving
            patch.undo()  # before any other test can run
            self._port = self._server.servers[0].sockets[0].getsockname()[1]
            ready.set()
            await serving


@pytest.fixture(scope="session")
def tiny_device(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Device]:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_transformer(folder, encoder, layers=1)
    tiny = Encoder(str(folder), word=16)
    config = EpisodicConfig(facets=32, word=16, links=4, candidates=32, read=16)
    device = LastingDevice(lambda: (tiny, EpisodicMemory(tiny, config)))
    yield device
    device.end()


@pytest.fixture(scope="session")
def server(tiny_device: Device, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("page") / "mneme.db", tiny_device)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tiny_device: Device, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, which it may stop, start again and close with a key."""
    server = Server(tmp_path / "mneme.db", tiny_device)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        missing = "no chromium here: scripts/test-browser installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser window; it fails the test when a page of it throws, logs an error or breaks the policy."""
    window = await browser.new_context(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
    window.set_default_timeout(10_000)
    wrong: list[str] = []
    window.on("weberror", lambda error: wrong.append(str(error.error)))
    window.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    yield window
    with suppress(Exception):
        await window.close()
    assert wrong == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(window: BrowserContext) -> Page:
    return await window.new_page()


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(loop_scope="session")
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def remember(
    client: httpx.AsyncClient, user: str, *contents: str, session: str = "monday", **more: Any
) -> list[str]:
    """Ids of messages remembered over HTTP."""
    body = {"session_id": session, "messages": [{"role": "user", "content": text, **more} for text in contents]}
    reply = await client.post(f"/v1/users/{user}/messages", json=body)
    assert reply.status_code == 201, reply.text
    return [message["id"] for message in reply.json()["messages"]]
