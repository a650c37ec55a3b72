"""What all tests share: the packaged encoder and its memory, loaded once, and databases of both kinds.

The tests on PostgreSQL need a server on which databases can be made, named by MNEME_TEST_POSTGRES_URL (see
`scripts/test-postgres`). Where there is none they are skipped, except under CI=true, where that is a failure.
"""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GENERATOR", "tiny")  # what is tested needs no good model; the large ones are not downloaded
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests that run side by side share the cores better alone than in teams

os.environ.setdefault("LANGUAGES", "english")  # the second encoder is tested by itself

import asyncpg
import pytest
import pytest_asyncio
import sqlalchemy as sa

from app.memories.device import Device
from app.store.database import Database
from app.store.encryption import KeyRing
from app.store.migration import migrate
from app.store.sealing import check
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from tests.store.line import Line

SERVER = "MNEME_TEST_POSTGRES_URL"

# For what is a matter of one kind of database alone.
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize(
    "backend", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


# MNEME_TEST_ENCRYPTED=1 encrypts the databases of the tests; those that look at rows as stored then fail.
RING = KeyRing([bytes(range(32))]) if os.environ.get("MNEME_TEST_ENCRYPTED") else None


async def opened(url: str, ring: KeyRing | None = RING) -> Database:
    """A connection to a database, which is pinned to the key if that is the first to come."""
    database = Database(url, ring=ring)
    await check(database)
    return database


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The packaged one."""
    return Encoder()


@pytest.fixture(scope="session")
def memory(encoder: Encoder) -> EpisodicMemory:
    """The assistant's memory as it ships: packaged encoder, default sizes."""
    return EpisodicMemory(encoder)


@pytest.fixture(scope="session")
def device(encoder: Encoder, memory: EpisodicMemory) -> Iterator[Device]:
    """Encoder and memory behind their batching front."""
    device = Device(lambda: (encoder, memory))
    yield device
    device.close()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test that asks for a database runs on both kinds."""
    if request.param == "postgresql" and not os.environ.get(SERVER):
        missing = f"{SERVER} is not set: scripts/test-postgres run pytest … gives a server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return str(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_url(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A database with the newest schema and nothing in it."""
    url = await _create(backend, tmp_path_factory.mktemp("migrated"))
    await migrate(url)
    yield url
    await _drop(url)


@pytest.fixture
async def empty_url(backend: str, tmp_path: Path) -> AsyncIterator[str]:
    """A database of this test's own, without a schema."""
    url = await _create(backend, tmp_path)
    yield url
    await _drop(url)


@pytest.fixture
async def database_url(backend: str, migrated_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """A database with the newest schema, empty when the test begins: a copy, or the one that is emptied afterwards."""
    if backend == "sqlite":
        path = tmp_path / "mneme.db"
        shutil.copy(str(sa.make_url(migrated_url).database), path)
        yield f"sqlite:///{path}"
    else:
        yield migrated_url
        await _execute(migrated_url, "DELETE FROM users")
        await _execute(migrated_url, "DELETE FROM access_secrets WHERE name = 'encryption'")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The service's connection to it."""
    database = await opened(database_url)
    yield database
    await database.close()


@pytest.fixture
async def line(database_url: str, unused_tcp_port: int) -> AsyncIterator[Line]:
    """A wire to the PostgreSQL server, not cut."""
    line = Line(database_url, unused_tcp_port)
    await line.mend()
    yield line
    await line.cut()


async def _create(backend: str, folder: Path) -> str:
    name = f"mneme_{uuid.uuid4().hex}"
    if backend == "sqlite":
        return f"sqlite:///{folder}/{name}.db"
    await _execute(os.environ[SERVER], f'CREATE DATABASE "{name}"')
    return sa.make_url(os.environ[SERVER]).set(database=name).render_as_string(hide_password=False)


async def _drop(url: str) -> None:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        await _execute(os.environ[SERVER], f'DROP DATABASE "{parsed.database}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
