"""The queries: each finds its owner's rows and nobody else's, however many are asked for."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from app.store import log, memories
from app.store.database import Conflict, Database
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from tests.store.contents import of_user, tables

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HEAD = MemoryRecord("a" * 32, 1, "f" * 16, 64, 16, 3, b"p", b"r")
USERS = ("ada", "bob")


def message(seq: int, session_id: str = "s") -> Message:
    return Message(seq, f"{seq:032x}", session_id, "user", f"said {seq}", NOW + timedelta(minutes=seq % 7),
                   external_id=f"e{seq}")  # fmt: skip


@pytest.fixture
async def peopled(database: Database) -> Database:
    """Two users who said the same thousand things under the same ids, and read the same."""
    said = [message(seq, "even" if seq % 2 == 0 else "odd") for seq in range(1, 1001)]
    read = [ReadTrace(seq, slot, 1 + slot, 0.5, 0.5, 0.0, 0.0) for seq in (700, 800) for slot in range(3)]
    row = {"source": 1, "part": 0, "touched": 1, "usage": 1.0, "strength": 1.0, "reads": 0, "links": b""}
    async with database.writing() as connection:
        for user in USERS:
            await log.add_user(connection, user, NOW)
            await log.append(connection, user, said)
            await memories.advance(connection, user, 0, HEAD)
            await memories.add_reads(connection, user, read)
            await memories.put_slots(
                connection,
                user,
                [{"slot": slot, **row, "source": 1 + slot} for slot in range(700)],
                [{"slot": slot, "word": b"w", "token_ids": b"p"} for slot in range(700)],
                [],
            )
    return database


async def test_more_rows_are_found_than_one_statement_may_name(peopled: Database) -> None:
    async with peopled.reading() as connection:
        seqs = range(1, 1001)
        assert list(await log.by_seqs(connection, "ada", seqs)) == list(seqs)
        assert len(await log.by_external_ids(connection, "ada", [f"e{seq}" for seq in seqs])) == 1000
        assert len(await memories.reads_of(connection, "ada", list(seqs))) == 1000
        assert len(await memories.slot_rows(connection, "ada")) == 700
    async with peopled.writing() as connection:
        await memories.put_slots(connection, "ada", [], [], list(range(0, 700, 1)))
        assert await memories.slot_rows(connection, "ada") == []


async def test_the_rows_of_a_stranger_are_never_found(peopled: Database) -> None:
    async with peopled.reading() as connection:
        assert await log.by_id(connection, "eve", message(1).id) is None
        assert await log.by_seqs(connection, "eve", [1, 2]) == {}
        assert await log.by_external_ids(connection, "eve", ["e1"]) == {}
        assert await log.after(connection, "eve", 0, 10) == []
        assert await log.of_session(connection, "eve", "odd", 0, 10) == []
        assert await log.latest_of_session(connection, "eve", "odd", 100, 10) == []
        assert await log.session_seqs(connection, "eve", "odd") == []
        assert await log.list_sessions(connection, "eve", None, 10) == []
        assert not await log.session_exists(connection, "eve", "odd")
        assert await log.last_cue(connection, "eve", 0) is None
        assert await log.tombstones(connection, "eve") == []
        assert await memories.head(connection, "eve") is None
        assert await memories.slot_rows(connection, "eve") == []
        assert await memories.reads_of(connection, "eve", [700]) == {700: []}
        assert await memories.reads_from(connection, "eve", 1) == []


async def test_what_one_user_changes_leaves_the_other_as_it_was(peopled: Database) -> None:
    before = of_user(await tables(peopled), "bob")
    first = message(1, "odd")
    async with peopled.writing() as connection:
        await log.append(connection, "ada", [message(1001, "odd")])
        await log.set_confidence(connection, "ada", 2, 0.5)
        await memories.remove_reads(connection, "ada", 1)
        await log.remove(connection, "ada", first, Tombstone(1, 1, 1.0, 1001, 2))
        await memories.put_slots(connection, "ada", [], [], [1, 2, 3])
        await memories.advance(connection, "ada", 1, dataclasses.replace(HEAD, version=2))
    assert of_user(await tables(peopled), "bob") == before
    async with peopled.writing() as connection:
        await memories.clear_slots(connection, "ada")
        await memories.clear_reads(connection, "ada")
        assert await log.erase_user(connection, "ada")
    everything = await tables(peopled)
    assert of_user(everything, "bob") == before
    assert of_user(everything, "ada") == {}


async def test_a_session_counts_what_was_added_and_removed(database: Database) -> None:
    async with database.writing() as connection:
        await log.add_user(connection, "ada", NOW)
        await log.append(connection, "ada", [message(1), message(2), message(8, "t")])
        await log.append(connection, "ada", [message(13), message(14)])
        one, other = await log.list_sessions(connection, "ada", None, 10)
        assert one == log.Session("s", NOW, NOW + timedelta(minutes=6), last_seq=14, messages=4)
        assert other == log.Session("t", NOW + timedelta(minutes=1), NOW + timedelta(minutes=1), 8, 1)
        await log.remove(connection, "ada", message(14), Tombstone(14, 1, 1.0, 14, 3))
        await log.remove(connection, "ada", message(8, "t"), Tombstone(8, 1, 1.0, 14, 4))
        assert await log.list_sessions(connection, "ada", None, 10) == [
            log.Session("s", NOW + timedelta(minutes=1), NOW + timedelta(minutes=6), last_seq=13, messages=3)
        ]


async def test_the_latest_of_a_session_come_in_order(peopled: Database) -> None:
    async with peopled.reading() as connection:
        found = await log.latest_of_session(connection, "ada", "odd", 100, 3)
        assert [one.seq for one in found] == [95, 97, 99]
        assert await log.latest_of_session(connection, "ada", "odd", 100, 0) == []


async def test_erasing_nobody_is_told(database: Database) -> None:
    async with database.writing() as connection:
        assert not await log.erase_user(connection, "nobody")


async def test_a_memory_advances_from_the_version_named_and_no_other(peopled: Database) -> None:
    async def advance(expected: int, head: MemoryRecord) -> None:
        async with peopled.writing() as connection:
            await memories.advance(connection, "ada", expected, head)

    await advance(1, dataclasses.replace(HEAD, version=2))
    for expected, head in (
        (1, dataclasses.replace(HEAD, version=2)),  # somebody was quicker
        (3, dataclasses.replace(HEAD, version=4)),  # from the future
        (2, dataclasses.replace(HEAD, version=3, incarnation="b" * 32)),  # erased and begun anew meanwhile
        (0, dataclasses.replace(HEAD, incarnation="b" * 32)),  # begun by somebody else meanwhile
    ):
        with pytest.raises(Conflict):
            await advance(expected, head)
    async with peopled.reading() as connection:
        assert await memories.head(connection, "ada") == dataclasses.replace(HEAD, version=2)


async def test_memories_under_other_weights_are_counted(peopled: Database) -> None:
    async with peopled.reading() as connection:
        assert await memories.heads(connection, HEAD.fingerprint) == (2, 0)
        assert await memories.heads(connection, "other") == (2, 2)
