"""What a turn and an import ask of the database and the event loop, counted: connections, and rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.memories import inspection, messages
from app.memories.memories import Memories
from app.memories.messages import WRITTEN_AT_ONCE
from app.memories.replay import replay
from app.memories.transfer import export, import_user
from app.store.database import Database
from tests.conftest import ON_SQLITE
from tests.memories.histories import assert_whole, said

MOST_CONNECTIONS = 3
MOST_ROWS = 200


@contextmanager
def connections(database: Database) -> Iterator[list[str]]:
    """Notes each connection that is taken from a pool."""
    taken: list[str] = []

    def note(*_: Any) -> None:
        taken.append("connection")

    engines = {database.engine.sync_engine, database.writer.sync_engine}
    for engine in engines:
        sa.event.listen(engine, "checkout", note)
    yield taken
    for engine in engines:
        sa.event.remove(engine, "checkout", note)


async def test_a_turn_takes_three_connections_at_most(memories: Memories) -> None:
    await memories.recall_and_store("ada", said("the harbour was yellow"), 3, 3)
    with connections(memories.database) as taken:
        heard = await memories.recall_and_store("ada", said("what was yellow in the harbour?"), 3, 3)
        message, _ = heard.remembered.messages[0]
        reply = said("the harbour was", role="assistant")
        await memories.remember("ada", [reply], answers=(heard.remembered.head, message.seq))
    assert 1 <= len(taken) <= MOST_CONNECTIONS


async def test_a_turn_that_names_an_event_takes_one_more_to_ask_when_that_was(speaking: Memories) -> None:
    await speaking.remember("ada", [said("Our trip to Rome begins today."), said("I bought boots.")])
    with connections(speaking.database) as taken:
        heard = await speaking.recall_and_store("ada", said("What did I buy two days before the trip to Rome?"), 3, 3)
        message, _ = heard.remembered.messages[0]
        await speaking.remember("ada", [said("Boots.", role="assistant")], (heard.remembered.head, message.seq))
    assert "span" in (message.parsed or {})
    assert len(taken) == MOST_CONNECTIONS + 1


async def test_no_connection_is_held_while_the_device_computes(
    speaking: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = {engine.pool for engine in (speaking.database.engine, speaking.database.writer)}
    real, held = speaking.device.run, list[int]()

    async def run(compute: Any, *args: Any) -> Any:
        held.append(sum(pool.checkedout() for pool in pools))  # type: ignore[attr-defined]
        return await real(compute, *args)

    for name in ("_encoding", "_reading"):  # they were given the real one
        monkeypatch.setattr(getattr(speaking.device, name), "_run", run)
    monkeypatch.setattr(speaking.device, "run", run)
    told = await speaking.remember("ada", [said("Our trip to Rome begins today."), said("I bought boots.")])
    await speaking.recall_and_store("ada", said("What did I buy two days before the trip to Rome?"), 3, 3)
    await speaking.recall("ada", "Where did I go?", 3)
    await inspection.matrix(speaking, "ada", "npz")
    body = "".join([lines async for lines in await export(speaking, "ada")]).encode()
    await import_user(speaking, "eve", body)
    await speaking.forget("ada", told.messages[0][0].id)
    await replay(speaking.database, speaking.device, "ada", write=True)
    assert len(held) > 20 and max(held) == 0


@ON_SQLITE
async def test_an_import_sends_few_rows_at_a_time(memories: Memories) -> None:
    await memories.remember("ada", [said(f"parcel {number} on the table") for number in range(3 * MOST_ROWS)])
    body = "".join([lines async for lines in await export(memories, "ada")]).encode()
    sent: list[int] = []

    def note(_: Any, __: Any, ___: str, parameters: Any, ____: Any, many: bool) -> None:
        sent.append(len(parameters) if many else 1)

    sa.event.listen(memories.database.writer.sync_engine, "before_cursor_execute", note)
    await import_user(memories, "bob", body)
    assert sum(sent) > 3 * MOST_ROWS
    assert max(sent) <= MOST_ROWS, "the event loop has others to serve between the slices"


async def test_a_long_call_writes_few_messages_at_a_time(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    written, real = list[int](), messages.write_messages_

    def write_messages_(core: Any, live: Any, some: Any) -> Any:
        written.append(len(some))
        return real(core, live, some)

    monkeypatch.setattr("app.memories.memories.write_messages_", write_messages_)
    for count in (1, WRITTEN_AT_ONCE, 3 * WRITTEN_AT_ONCE + 1):
        written.clear()
        await memories.remember("ada", [said(f"parcel {number} on table {count}") for number in range(count)])
        assert sum(written) == count
        assert max(written) <= WRITTEN_AT_ONCE, "others compute in between"
    await assert_whole(memories, "ada")
