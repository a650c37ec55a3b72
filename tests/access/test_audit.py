"""The audit log: written together, kept so long, and nothing lost while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.access import audit as module
from app.access.audit import AuditLog
from app.access.caller import Grant
from app.access.keys import Keys
from app.store.audit import Act
from app.store.database import Database, StoreUnavailable
from app.store.keys import note_uses
from app.store.migration import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/mneme.db"
    await migrate(url)
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def audit(database: Database) -> AuditLog:
    return AuditLog(database, Keys(database), days=30)


def act(number: int, at: datetime | None = None, user: str = "ada") -> Act:
    return Act(at or datetime.now(UTC), "key", False, "GET", "/v1/x", user, None, 200, f"request-{number}")


async def test_entries_come_back_the_latest_first_a_page_at_a_time(audit: AuditLog) -> None:
    for number in range(1203):  # more than are written at once
        audit.note(act(number, user="ada" if number % 2 else "bob"))
    first = await audit.latest(None, 1000)
    rest = await audit.latest(first[-1].id, 1000)
    assert [one.request_id for one in first + rest] == [f"request-{number}" for number in reversed(range(1203))]
    assert len(await audit.latest(None, 1000, "bob")) == 602


async def test_a_stop_writes_what_waits(audit: AuditLog, database: Database) -> None:
    audit.start()
    audit.note(act(1))
    await audit.close()
    assert len(await AuditLog(database, Keys(database), 30).latest(None, 10)) == 1


async def test_entries_are_written_without_anybody_asking(
    audit: AuditLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    audit.start()
    audit.note(act(1))
    reader = AuditLog(database, Keys(database), 30)
    async with asyncio.timeout(5):
        while not await reader.latest(None, 10):  # each look is a query, and lets the writer run
            pass
    await audit.close()


async def test_while_the_database_is_away_entries_wait_in_order(
    audit: AuditLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[Any]:
        raise StoreUnavailable("away")
        yield

    made = await audit._keys.create("one", Grant("admin"))
    await audit._keys.caller(made.key)
    with monkeypatch.context() as patch:
        patch.setattr(database, "writing", away)
        for number in range(3):
            audit.note(act(number))
        with pytest.raises(StoreUnavailable):
            await audit.flush()
    assert [one.request_id for one in await audit.latest(None, 10)] == ["request-2", "request-1", "request-0"]
    assert (await Keys(database).all())[0].last_used_at is not None


async def test_a_last_use_is_seen_while_it_is_being_written(
    audit: AuditLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await audit._keys.create("one", Grant("admin"))
    await audit._keys.caller(made.key)
    (seen,) = await audit._keys.all()
    shown: list[Any] = []

    async def noting(connection: Any, uses: Any) -> None:
        shown.append((await audit._keys.all())[0].last_used_at)
        await note_uses(connection, uses)

    monkeypatch.setattr(module, "note_uses", noting)
    await audit.flush()
    assert shown == [seen.last_used_at]
    assert not audit._keys.used
    assert (await audit._keys.all())[0].last_used_at == seen.last_used_at


async def test_what_waits_is_bounded_and_what_is_lost_is_said(
    audit: AuditLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    for number in range(5):
        audit.note(act(number))
    assert [one.request_id for one in await audit.latest(None, 10)] == ["request-4", "request-3"]
    assert "3 entries of the audit log were lost" in caplog.text


async def test_entries_older_than_they_are_kept_are_deleted(audit: AuditLog) -> None:
    audit.note(act(1, datetime.now(UTC) - timedelta(days=31)))
    audit.note(act(2, datetime.now(UTC) - timedelta(days=29)))
    await audit.flush()
    await audit.tidy()
    assert [one.request_id for one in await audit.latest(None, 10)] == ["request-2"]


async def test_with_no_days_none_is_kept(database: Database) -> None:
    audit = AuditLog(database, Keys(database), days=0)
    audit.note(act(1))
    assert await audit.latest(None, 10) == []
