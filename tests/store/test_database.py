"""The connection: what SQLite is asked for, what a transaction is, and what it means that the database is gone."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from app.store import database as store
from app.store import memories, users
from app.store.database import Conflict, Database, StoreUnavailable, upsert
from app.store.health import ping
from app.store.memories import MemoryRecord
from app.store.migration import migrate
from app.store.tables import sessions
from app.store.tables import users as users_table
from tests.conftest import ON_POSTGRESQL, ON_SQLITE
from tests.store.contents import tables
from tests.store.line import Line

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def database_behind(line: Line, database_url: str) -> AsyncIterator[Database]:
    """The database behind the line."""
    database = Database(line.url(database_url))
    yield database
    await database.close()


@ON_SQLITE
async def test_sqlite_runs_in_wal_with_patience_foreign_keys_and_full_durability(database: Database) -> None:
    async with database.reading() as one, database.reading() as other:
        for connection in (one, other):
            asked = {
                name: await connection.scalar(sa.text(f"PRAGMA {name}"))
                for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous", "secure_delete")
            }
            assert asked == {
                "journal_mode": "wal",
                "busy_timeout": 30_000,
                "foreign_keys": 1,
                "synchronous": 2,
                "secure_delete": 1,
            }


@ON_SQLITE
async def test_scrubbing_gives_way_to_a_reader_and_is_done_the_next_time(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log_file = tmp_path / "mneme.db-wal"
    async with database.writing() as connection:
        await users.add(connection, "ada", NOW)
    async with database.reading() as reader:
        await users.every(reader)
        async with database.writing() as connection:
            await users.erase(connection, "ada")
        began = time.monotonic()
        await database.scrub()
        assert time.monotonic() - began < 2
        assert log_file.stat().st_size > 0
        assert "write-ahead log" in caplog.text
    caplog.clear()
    await database.scrub()
    assert log_file.stat().st_size == 0 and not caplog.text
    async with database.reading() as connection:
        assert await connection.scalar(sa.text("PRAGMA busy_timeout")) == 30_000


async def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    async with database.reading() as reader:
        before = await users.every(reader)
        async with database.writing() as writer:
            await users.add(writer, "ada", NOW)
        assert await users.every(reader) == before == []
    async with database.reading() as reader:
        assert await users.every(reader) == ["ada"]


async def test_writers_take_turns_and_none_is_refused(database: Database) -> None:
    async def add(number: int) -> None:
        async with database.writing() as connection:
            await users.every(connection)
            await asyncio.sleep(0.002)
            await users.add(connection, f"user{number}", NOW)

    await asyncio.gather(*(add(number) for number in range(40)))
    async with database.reading() as connection:
        assert len(await users.every(connection)) == 40


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as connection:
            await users.add(connection, "ada", NOW)
            raise ZeroDivisionError
    async with database.reading() as connection:
        assert await users.every(connection) == []


async def test_a_writer_cancelled_within_a_query_lets_the_next_one_write(database: Database) -> None:
    slow = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n ORDER BY -i"
    )

    async def write() -> None:
        async with database.writing() as connection:
            await users.add(connection, "ada", NOW)
            await connection.execute(slow)
            await asyncio.sleep(60)  # in case that the query was too quick to be cut off

    task = asyncio.create_task(write())
    await asyncio.sleep(0.1)
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)  # kept, with all that it refers to
    assert isinstance(ended, asyncio.CancelledError)
    async with asyncio.timeout(5), database.writing() as connection:
        assert await users.every(connection) == []
        await users.add(connection, "ada", NOW)


async def test_a_row_that_is_there_already_is_a_conflict(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(users_table.insert().values(id="ada", created_at=NOW))
    with pytest.raises(Conflict):
        async with database.writing() as connection:
            await connection.execute(users_table.insert().values(id="ada", created_at=NOW))


async def test_rows_of_nobody_are_a_conflict(database: Database) -> None:
    row = {"memory_id": "none", "id": "s", "started_at": NOW, "last_at": NOW, "last_seq": 1, "messages": 1}
    with pytest.raises(Conflict):
        async with database.writing() as connection:
            await upsert(connection, sessions, [row])


async def test_two_transactions_that_change_one_row_are_a_conflict_or_take_turns(database: Database) -> None:
    async with database.writing() as connection:
        await users.add(connection, "ada", NOW)
        await memories.begin(connection, "ada", MemoryRecord("m" * 32, 0, "f" * 16, 64, 16, 0, b"", b""))
    row = {"memory_id": "m" * 32, "id": "s", "started_at": NOW, "last_at": NOW, "last_seq": 1, "messages": 0}
    async with database.writing() as connection:
        await upsert(connection, sessions, [row])

    async def count() -> bool:
        try:
            async with database.writing() as connection:
                found = (await connection.execute(sa.select(sessions.c.messages))).scalar_one()
                await asyncio.sleep(0.05)
                await connection.execute(sessions.update().values(messages=found + 1))
        except Conflict:
            return False
        return True

    counted = await asyncio.gather(count(), count())
    async with database.reading() as connection:
        assert await connection.scalar(sa.select(sessions.c.messages)) == sum(counted) >= 1


@ON_POSTGRESQL
async def test_a_fault_in_the_code_is_not_called_an_absent_database(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        async with database.reading() as connection:
            await connection.execute(sa.text("SELECT nonsense FROM nowhere"))


async def test_the_error_of_a_failed_statement_holds_nobodys_words(database: Database) -> None:
    statement, told = sa.text("SELECT nonsense FROM nowhere WHERE a = :word"), {"word": "my pin is 4711"}
    with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)) as failed:
        async with database.reading() as connection:
            await connection.execute(statement, told)
    assert "4711" not in "".join(traceback.format_exception(failed.value, limit=0))


async def test_moments_come_back_as_they_went_in_wherever_they_were_said(database: Database) -> None:
    said = datetime.fromisoformat("2025-03-01T23:59:59.123456+05:30")
    async with database.writing() as connection:
        await users.add(connection, "ada", said)
        found = await connection.scalar(sa.select(users_table.c.created_at))
    assert found == said
    assert found is not None and found.tzinfo is UTC


async def test_a_closed_port_is_an_unavailable_store(unused_tcp_port: int) -> None:
    database = Database(f"postgresql://mneme@127.0.0.1:{unused_tcp_port}/mneme")
    with pytest.raises(StoreUnavailable):
        await ping(database)
    with pytest.raises(StoreUnavailable):
        async with database.writing() as connection:
            await users.add(connection, "ada", NOW)
    await database.close()


async def test_migrating_waits_for_a_database_that_comes_up_and_gives_up_in_the_end(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.migration._PATIENCE", 1.5)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await migrate(f"postgresql://mneme@127.0.0.1:{unused_tcp_port}/mneme")
    assert 1.0 < time.monotonic() - began < 10


async def test_a_database_that_never_answers_is_unavailable_before_long(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.health._SECONDS", 0.5)
    gone = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", unused_tcp_port)
    database = Database(f"postgresql://mneme@127.0.0.1:{unused_tcp_port}/mneme")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await ping(database)
    assert time.monotonic() - began < 5
    gone.set()
    await database.close()
    server.close()


async def test_a_file_that_is_no_database_is_unavailable_not_overwritten(tmp_path: Any) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"these are notes, not a database" * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises((StoreUnavailable, sa.exc.DatabaseError)):
        await ping(database)
    await database.close()
    assert path.read_bytes() == b"these are notes, not a database" * 100


@ON_POSTGRESQL
async def test_a_server_that_stops_and_starts_again_is_used_again(line: Line, database_behind: Database) -> None:
    database = database_behind
    await asyncio.gather(*(ping(database) for _ in range(5)))  # several connections in the pool
    await line.cut()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await ping(database)
    await line.mend()
    await asyncio.gather(*(ping(database) for _ in range(5)))


@ON_POSTGRESQL
async def test_a_transaction_cut_off_midway_is_unavailable_and_leaves_nothing(
    line: Line, database_behind: Database
) -> None:
    database = database_behind
    with pytest.raises(StoreUnavailable):
        async with database.writing() as connection:
            await users.add(connection, "ada", NOW)
            await line.cut()
            await users.add(connection, "bob", NOW)
    await line.mend()
    async with database.reading() as connection:
        assert await users.every(connection) == []


@ON_POSTGRESQL
async def test_a_server_that_ends_our_sessions_is_used_again(database: Database, database_url: str) -> None:
    await ping(database)
    with pytest.raises(StoreUnavailable):
        async with database.reading() as connection:
            await users.every(connection)
            operator = await asyncpg.connect(database_url)
            await operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await operator.close()
            await users.every(connection)
    await ping(database)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement may take half a second."""
    monkeypatch.setattr(store, "_STATEMENT_SECONDS", 0.5)


@ON_POSTGRESQL
async def test_a_row_that_another_holds_on_to_is_an_unavailable_store_before_long(
    impatient: None, database: Database, database_url: str
) -> None:
    async with database.writing() as connection:
        await users.add(connection, "ada", NOW)
    other = await asyncpg.connect(database_url)
    held = other.transaction()
    await held.start()
    await other.execute("SELECT * FROM users FOR UPDATE")
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            async with database.writing() as connection:
                await users.erase(connection, "ada")
    assert time.monotonic() - began < 4
    await held.rollback()
    await other.close()
    async with database.writing() as connection:
        assert await users.erase(connection, "ada")


@ON_POSTGRESQL
async def test_a_server_that_hangs_is_an_unavailable_store_and_is_used_again(
    impatient: None, line: Line, database_behind: Database
) -> None:
    database = database_behind
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        async with database.writing() as connection:
            await users.add(connection, "ada", NOW)
            line.flowing.clear()
            await users.add(connection, "bob", NOW)
    assert time.monotonic() - began < 15
    line.flowing.set()
    async with database.reading() as connection:
        assert await users.every(connection) == []


@ON_POSTGRESQL
async def test_a_migration_waits_for_another_for_as_long_as_that_takes(impatient: None, database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock(7204)")
    migrating = asyncio.create_task(migrate(database_url))
    await asyncio.sleep(1.5)
    assert not migrating.done()
    await other.close()
    await migrating


async def test_more_callers_than_connections_wait_their_turn(database: Database) -> None:
    await asyncio.gather(*(ping(database) for _ in range(100)))


async def test_a_pool_that_stays_empty_is_an_unavailable_store(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.1)
    held = [database.reading() for _ in range(30 if not database.sqlite else 15)]
    for one in held:
        await one.__aenter__()
    with pytest.raises(StoreUnavailable):
        await ping(database)
    for one in held:
        await one.__aexit__(None, None, None)
    await ping(database)


def test_a_url_gets_the_driver_that_we_use() -> None:
    assert store.driver_url("sqlite:///a.db").drivername == "sqlite+aiosqlite"
    assert store.driver_url("postgresql://u:p@h/d").drivername == "postgresql+asyncpg"


async def test_the_folder_of_an_sqlite_file_is_made(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/deep/down/mneme.db"
    await migrate(url)
    database = Database(url)
    assert "users" in await tables(database)
    await database.close()
