"""A real server process, with a language model that follows a script, and clients that talk to it."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from benchmarks.scripted_model import ScriptedModel
from benchmarks.serving import Server
from mneme_client import AsyncMneme, Mneme

ADMIN_KEY = "mneme_" + "k" * 43


class ModelInThread:
    """A scripted model in an event loop of its own, for tests that block."""

    def __init__(self) -> None:
        self._loop, self.model = asyncio.new_event_loop(), ScriptedModel()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ScriptedModel:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.model.__aenter__(), self._loop).result(10)
        return self.model

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self.model.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture(scope="session")
def model() -> Iterator[ScriptedModel]:
    with ModelInThread() as model:
        yield model


@pytest.fixture(scope="session")
def server(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that the tests of clients share; who starts it anew leaves it running."""
    limits = {"REQUESTS_PER_MINUTE": 0, "TOKENS_PER_MINUTE": 0}
    chosen: dict[str, str | int] = {"GENERATOR_URL": model.url, "MNEME_ADMIN_KEY": ADMIN_KEY, "OMP_NUM_THREADS": "1"}
    server = Server({**chosen, **limits}, tmp_path_factory.mktemp("clients"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mneme(server: Server) -> Iterator[Mneme]:
    """The blocking client, as administrator."""
    with Mneme(server.url, ADMIN_KEY) as client:
        yield client


@pytest.fixture
async def async_mneme(server: Server) -> AsyncIterator[AsyncMneme]:
    """The asynchronous client, as administrator."""
    async with AsyncMneme(server.url, ADMIN_KEY) as client:
        yield client


@pytest.fixture
def user() -> str:
    """A user whom nobody else talks of."""
    return f"user-{uuid.uuid4().hex[:12]}"
