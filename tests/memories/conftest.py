"""Memories small enough to be filled in no time, over the databases of both kinds."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from app.memories.device import Device
from app.memories.memories import Memories
from app.memories.trace import STANDING
from app.store.database import Database
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from tests.conftest import RING
from tests.tiny_transformer import save_tiny_transformer

SLOTS = 256
CACHE_BYTES = 64 * 2**20


class Another(Protocol):
    """Makes further memories over the test's database, each with connections of its own, as another process has."""

    def __call__(
        self,
        slots: int = SLOTS,
        cache_bytes: int = CACHE_BYTES,
        device: Device | None = None,
        standing: int = STANDING,
    ) -> Memories: ...


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Encoder:
    """A random transformer of 32 dimensions with the packaged tokenizer: what it means is nothing, but it is quick."""
    folder: Path = tmp_path_factory.mktemp("tiny")
    save_tiny_transformer(folder, encoder, layers=1)
    return Encoder(str(folder), word=16)


@pytest.fixture(scope="session")
def made(tiny_encoder: Encoder) -> Iterator[Callable[[EpisodicConfig], Device]]:
    """Devices with small memories of any sizes; other sizes are other weights as far as fingerprints go."""
    devices: list[Device] = []

    def make(config: EpisodicConfig) -> Device:
        devices.append(Device(lambda: (tiny_encoder, EpisodicMemory(tiny_encoder, config))))
        return devices[-1]

    yield make
    for device in devices:
        device.close()


@pytest.fixture(scope="session")
def small_device(made: Callable[[EpisodicConfig], Device]) -> Device:
    """Eight word pieces fill a slot, so that most messages take several."""
    return made(EpisodicConfig(facets=8, word=16, links=4, candidates=32, read=16))


@pytest.fixture(scope="session")
def other_device(made: Callable[[EpisodicConfig], Device]) -> Device:
    """Other weights than the small device's: another fingerprint, and slots of another shape."""
    return made(EpisodicConfig(facets=6, word=16, links=3, candidates=32, read=16))


@pytest.fixture
async def another(database_url: str, database: Database, small_device: Device) -> AsyncIterator[Another]:
    databases: list[Database] = []

    def make(
        slots: int = SLOTS, cache_bytes: int = CACHE_BYTES, device: Device | None = None, standing: int = STANDING
    ) -> Memories:
        databases.append(Database(database_url, ring=RING))
        return Memories(databases[-1], device or small_device, slots, cache_bytes, standing)

    yield make
    for database in databases:
        await database.close()


@pytest.fixture
def memories(another: Another) -> Memories:
    """The memories that most tests use: 256 slots a user."""
    return another()


@pytest.fixture
def speaking(another: Another, device: Device) -> Memories:
    """Memories with the packaged encoder, for tests in which it matters what is said."""
    return another(slots=1024, device=device)
