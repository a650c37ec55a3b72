"""The database goes away and comes back: calls say so, nothing is half done, and the same objects go on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.memories.device import Device
from app.memories.memories import Memories
from app.store import memories as stored
from app.store.database import Database, StoreUnavailable
from tests.conftest import ON_POSTGRESQL
from tests.memories.histories import History, assert_whole, logged, said
from tests.store.line import Line


@pytest.fixture
async def behind(line: Line, database_url: str, small_device: Device) -> AsyncIterator[Memories]:
    """Memories whose database can be cut off."""
    database = Database(line.url(database_url))
    yield Memories(database, small_device, 256, 2**26)
    await database.close()


async def test_without_a_database_every_call_says_so(small_device: Device, unused_tcp_port: int) -> None:
    database = Database(f"postgresql://mneme@127.0.0.1:{unused_tcp_port}/mneme")
    of = Memories(database, small_device, 256, 2**26)
    for call in (
        of.remember("ada", [said("a river")]),
        of.recall_and_store("ada", said("a river"), 3, 3),
        of.recall("ada", "a river", 3),
        of.forget("ada", "0" * 32),
        of.erase("ada"),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await database.close()


@ON_POSTGRESQL
async def test_turns_go_on_when_the_database_comes_back(behind: Memories, line: Line) -> None:
    history = History(behind, "ada", seed=51)
    await history.go_on(6)
    known = await logged(behind, "ada")
    await line.cut()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await behind.recall_and_store("ada", said("a river"), 3, 3)
        with pytest.raises(StoreUnavailable):
            await behind.recall("ada", "a river", 3)
    await line.mend()
    assert await logged(behind, "ada") == known
    await history.go_on(4)
    await assert_whole(behind, "ada")


@ON_POSTGRESQL
async def test_a_turn_cut_off_while_it_commits_leaves_the_memory_before_it(
    behind: Memories, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await History(behind, "ada", seed=52).go_on(6)
    known, real = await logged(behind, "ada"), stored.put_slots

    async def put_slots(*args: object) -> None:
        await real(*args)  # type: ignore[arg-type]
        await line.cut()

    with monkeypatch.context() as patch:
        patch.setattr(stored, "put_slots", put_slots)
        with pytest.raises(StoreUnavailable):
            await behind.recall_and_store("ada", said("a river"), 3, 3)
    await line.mend()
    assert await logged(behind, "ada") == known
    await assert_whole(behind, "ada")
    await asyncio.gather(*(behind.recall_and_store("ada", said("a river"), 3, 3) for _ in range(3)))
    await assert_whole(behind, "ada")
