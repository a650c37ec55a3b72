"""A file that is damaged, deleted, replaced, or that cannot be written: said at once, and never acknowledged."""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import sqlalchemy as sa

from app.store import health, users
from app.store.database import Conflict, Database, StoreDamaged, StoreUnavailable, StoreUnusable
from app.store.health import probe
from app.store.migration import migrate
from tests.conftest import ON_SQLITE

pytestmark = ON_SQLITE
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
PAGE = 4096


@pytest.fixture
def file(database: Database) -> Path:
    return Path(str(database.url.database))


async def add(database: Database, name: str) -> None:
    async with database.writing() as connection:
        await users.add(connection, name, NOW)


def spoil(file: Path, start: int) -> None:
    """Overwrites the pages from `start` bytes on."""
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(b"\x5a" * (file.stat().st_size - start))


@pytest.mark.parametrize("start", [0, PAGE], ids=["no database", "damaged pages"])
async def test_a_damaged_file_is_told_as_such_and_readiness_remembers_it(
    database: Database, file: Path, start: int, caplog: pytest.LogCaptureFixture
) -> None:
    await add(database, "ada")
    await database.close()
    spoil(file, start)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="restore a backup"):
            async with database.reading() as connection:
                await users.every(connection)
        with pytest.raises(StoreDamaged):
            await add(database, "bob")
        with pytest.raises(StoreDamaged):
            await probe(database)
    assert caplog.text.count("restore a backup") == 1
    began = time.monotonic()
    with pytest.raises(StoreDamaged):
        await migrate(f"sqlite:///{file}")
    assert time.monotonic() - began < 10


async def test_another_server_that_writes_at_the_same_moment_makes_none_unready(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def quicker() -> AsyncIterator[None]:
        yield
        raise Conflict("somebody else changed the same rows meanwhile")

    tried = []
    monkeypatch.setattr(database, "writing", quicker)
    monkeypatch.setattr(health, "upsert", AsyncMock(side_effect=lambda *_: tried.append(True)))
    await probe(database)
    assert tried


async def test_readiness_reads_every_table(database: Database, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'words'").fetchone()
    with file.open("r+b") as opened:
        opened.seek((root - 1) * PAGE)
        opened.write(b"\x5a" * PAGE)
    with pytest.raises(StoreDamaged):
        await probe(database)


@pytest.mark.parametrize("how", ["deleted", "replaced", "log deleted"])
async def test_no_commit_to_a_file_that_is_not_there_any_more_is_acknowledged(
    database: Database, file: Path, how: str
) -> None:
    await add(database, "ada")
    copy = file.with_suffix(".copy")
    shutil.copy(file, copy)

    def happens() -> None:
        if how == "deleted":
            file.rename(file.with_suffix(".gone"))
        elif how == "replaced":
            os.replace(copy, file)
        else:
            file.with_name(f"{file.name}-wal").unlink()

    with pytest.raises(StoreUnavailable):  # between its first statement and its commit
        async with database.writing() as connection:
            await users.add(connection, "bob", NOW)
            happens()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await add(database, "cleo")
        with pytest.raises(StoreUnavailable):
            await probe(database)
    assert ("mneme.db" in os.listdir(file.parent)) == (how != "deleted"), "no new file is made in its place"


async def test_a_file_that_comes_back_is_used_again(database: Database, file: Path) -> None:
    await add(database, "ada")
    away = file.with_suffix(".away")
    shutil.move(file, away)
    with pytest.raises(StoreUnusable, match="put the file back"):
        await add(database, "bob")
    shutil.move(away, file)
    await add(database, "bob")
    async with database.reading() as connection:
        assert await users.every(connection) == ["ada", "bob"]


async def test_readiness_writes_but_not_at_every_call(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[str] = []
    sa.event.listen(database.writer.sync_engine, "commit", lambda _: began.append("commit"))
    await probe(database)
    await probe(database)
    assert began == ["commit"]
    monkeypatch.setattr(health, "_WRITE_EVERY", 0.0)
    await probe(database)
    assert began == ["commit"] * 2


async def test_a_database_that_cannot_be_written_is_not_ready_and_not_migrated(database: Database, file: Path) -> None:
    @sa.event.listens_for(database.writer.sync_engine, "checkout")
    def protect(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA query_only=ON")

    with pytest.raises(StoreUnusable, match="cannot be written"):
        await probe(database)


async def test_a_full_disk_is_not_ready(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(".")
    monkeypatch.setattr("app.store.sqlite_file._LEAST_ROOM", (disk.f_bavail * disk.f_frsize) * 4)
    with pytest.raises(StoreUnavailable, match="make room"):
        await probe(database)


async def test_migrating_where_no_file_can_be_made_says_so_at_once(tmp_path: Path, backend: str) -> None:
    (tmp_path / "mneme.db").mkdir()  # opening it fails for root too
    began = time.monotonic()
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        await migrate(f"sqlite:///{tmp_path}/mneme.db")
    assert time.monotonic() - began < 10


async def test_writers_that_wait_for_a_foreign_lock_leave_the_readers_alone(database: Database, file: Path) -> None:
    await add(database, "ada")
    foreign = sqlite3.connect(file, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    writers = [asyncio.create_task(add(database, f"user {number}")) for number in range(20)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        async with database.reading() as connection:
            assert await users.every(connection) == ["ada"]
    assert not any(writer.done() for writer in writers)
    foreign.execute("ROLLBACK")
    foreign.close()
    await asyncio.gather(*writers)
