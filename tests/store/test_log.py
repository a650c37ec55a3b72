"""The queries: each finds its owner's rows and nobody else's, however many are asked for."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import log, memories, users
from app.store.database import Conflict, Database
from app.store.filters import Filter
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from app.store.rows import DamagedRow
from app.store.tables import memory_members
from tests.store.contents import of_user, tables

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HEAD = MemoryRecord("a" * 32, 1, "f" * 16, 64, 16, 3, b"p", b"r")
ADA, BOB, EVE = "a" * 32, "b" * 32, "e" * 32  # memories; nobody has Eve's
USERS = {"ada": ADA, "bob": BOB}


def message(seq: int, session_id: str = "s") -> Message:
    return Message(seq, f"{seq:032x}", session_id, "user", f"said {seq}", NOW + timedelta(minutes=seq % 7),
                   external_id=f"e{seq}")  # fmt: skip


async def begin(connection: AsyncConnection, user: str, memory_id: str) -> None:
    await users.add(connection, user, NOW)
    await memories.begin(connection, user, dataclasses.replace(HEAD, id=memory_id))


@pytest.fixture
async def peopled(database: Database) -> Database:
    """Two users who said the same thousand things under the same ids, and read the same."""
    said = [message(seq, "even" if seq % 2 == 0 else "odd") for seq in range(1, 1001)]
    word = {"word": b"w", "token_ids": b"p", "speaker_tokens": b"", "sentence": b"", "meaning": b""}
    read = [ReadTrace(seq, slot, 1 + slot, 0.5, 0.5, 0.0, 0.0) for seq in (700, 800) for slot in range(3)]
    row = {
        "source": 1,
        "part": 0,
        "touched": 1,
        "usage": 1.0,
        "strength": 1.0,
        "reads": 0,
        "links": b"",
    } | dict.fromkeys(("said_at", "feature_bits", "event_from", "event_to", "standing", "foreign_share"), 0)
    async with database.writing() as connection:
        for user, memory_id in USERS.items():
            await begin(connection, user, memory_id)
            await log.append(connection, memory_id, said)
            await memories.advance(connection, 0, dataclasses.replace(HEAD, id=memory_id))
            await memories.add_reads(connection, memory_id, read)
            await memories.put_slots(
                connection,
                memory_id,
                [{"slot": slot, **row, "source": 1 + slot} for slot in range(700)],
                [{"slot": slot, **word} for slot in range(700)],
                [],
            )
    return database


async def test_more_rows_are_found_than_one_statement_may_name(peopled: Database) -> None:
    async with peopled.reading() as connection:
        seqs = range(1, 1001)
        assert list(await log.by_seqs(connection, ADA, seqs)) == list(seqs)
        assert len(await log.by_external_ids(connection, ADA, [f"e{seq}" for seq in seqs])) == 1000
        assert len(await memories.reads_of(connection, ADA, list(seqs))) == 1000
        assert len(await memories.slot_rows(connection, ADA)) == 700
    async with peopled.writing() as connection:
        await memories.put_slots(connection, ADA, [], [], list(range(0, 700, 1)))
        assert await memories.slot_rows(connection, ADA) == []


async def test_the_rows_of_a_stranger_are_never_found(peopled: Database) -> None:
    async with peopled.reading() as connection:
        assert await log.by_id(connection, EVE, message(1).id) is None
        assert await log.by_seqs(connection, EVE, [1, 2]) == {}
        assert await log.by_external_ids(connection, EVE, ["e1"]) == {}
        assert await log.after(connection, EVE, 0, 10) == []
        assert await log.matching(connection, EVE, Filter("odd"), 0, 10) == []
        assert await log.latest_of_session(connection, EVE, "odd", 100, 10) == []
        assert await log.seqs_matching(connection, EVE, Filter("odd")) == []
        assert await log.list_sessions(connection, EVE, None, 10) == []
        assert not await log.session_exists(connection, EVE, "odd")
        assert await log.last_cue(connection, EVE) is None
        assert await log.tombstones(connection, EVE) == []
        assert await memories.granted(connection, "eve") is None
        assert await memories.slot_rows(connection, EVE) == []
        assert await memories.reads_of(connection, EVE, [700]) == {700: []}
        assert await memories.reads_from(connection, EVE, 1) == []


async def test_what_one_user_changes_leaves_the_other_as_it_was(peopled: Database) -> None:
    before = of_user(await tables(peopled), "bob")
    first = message(1, "odd")
    async with peopled.writing() as connection:
        await log.append(connection, ADA, [message(1001, "odd")])
        await log.set_decided(connection, ADA, {2: (0.5, {})})
        await memories.remove_reads(connection, ADA, 1)
        await log.remove(connection, ADA, first, Tombstone(1, 1, 1.0, 1001, 2))
        await memories.put_slots(connection, ADA, [], [], [1, 2, 3])
        await memories.advance(connection, 1, dataclasses.replace(HEAD, version=2))
    assert of_user(await tables(peopled), "bob") == before
    async with peopled.writing() as connection:
        await memories.clear_slots(connection, ADA)
        await memories.clear_reads(connection, ADA)
        assert await users.erase(connection, "ada")
    everything = await tables(peopled)
    assert of_user(everything, "bob") == before
    assert of_user(everything, "ada") == {}


async def test_a_session_counts_what_was_added_and_removed(database: Database) -> None:
    async with database.writing() as connection:
        await begin(connection, "ada", ADA)
        await log.append(connection, ADA, [message(1), message(2), message(8, "t")])
        await log.append(connection, ADA, [message(13), message(14)])
        one, other = await log.list_sessions(connection, ADA, None, 10)
        assert one == log.Session("s", NOW, NOW + timedelta(minutes=6), last_seq=14, messages=4)
        assert other == log.Session("t", NOW + timedelta(minutes=1), NOW + timedelta(minutes=1), 8, 1)
        await log.remove(connection, ADA, message(14), Tombstone(14, 1, 1.0, 14, 3))
        await log.remove(connection, ADA, message(8, "t"), Tombstone(8, 1, 1.0, 14, 4))
        assert await log.list_sessions(connection, ADA, None, 10) == [
            log.Session("s", NOW + timedelta(minutes=1), NOW + timedelta(minutes=6), last_seq=13, messages=3)
        ]


async def test_the_latest_of_a_session_come_in_order(peopled: Database) -> None:
    async with peopled.reading() as connection:
        found = await log.latest_of_session(connection, ADA, "odd", 100, 3)
        assert [one.seq for one in found] == [95, 97, 99]
        assert await log.latest_of_session(connection, ADA, "odd", 100, 0) == []


async def test_erasing_nobody_is_told(database: Database) -> None:
    async with database.writing() as connection:
        assert not await users.erase(connection, "nobody")


async def test_a_memory_advances_from_the_version_named_and_no_other(peopled: Database) -> None:
    async def advance(expected: int, head: MemoryRecord) -> None:
        async with peopled.writing() as connection:
            await memories.advance(connection, expected, head)

    await advance(1, dataclasses.replace(HEAD, version=2))
    for expected, head in (
        (1, dataclasses.replace(HEAD, version=2)),  # somebody was quicker
        (3, dataclasses.replace(HEAD, version=4)),  # from the future
        (2, dataclasses.replace(HEAD, version=3, id="c" * 32)),  # erased and begun anew meanwhile
    ):
        with pytest.raises(Conflict):
            await advance(expected, head)
    async with peopled.reading() as connection:
        assert await memories.granted(connection, "ada") == dataclasses.replace(HEAD, version=2)


async def test_a_user_has_one_memory_of_their_own(peopled: Database) -> None:
    with pytest.raises(Conflict):
        async with peopled.writing() as connection:
            await memories.begin(connection, "ada", dataclasses.replace(HEAD, id="c" * 32))
    async with peopled.reading() as connection:
        record = await memories.granted(connection, "ada")
        assert record is not None and record.id == ADA


async def test_who_is_no_member_of_a_memory_is_not_granted_it(peopled: Database) -> None:
    async with peopled.writing() as connection:
        here = memory_members.c.memory_id == ADA
        await connection.execute(memory_members.delete().where(here))
        with pytest.raises(DamagedRow):  # an owner is always one
            await memories.granted(connection, "ada")
        assert await memories.granted(connection, "bob") is not None


async def test_users_are_listed_in_order_with_the_size_of_their_memories(peopled: Database) -> None:
    async with peopled.reading() as connection:
        ada, bob = await users.page(connection, "", 10)
        assert ada == users.UserEntry("ada", 1000, 64, NOW + timedelta(minutes=6))
        assert await users.page(connection, "ada", 10) == [bob]
        assert await users.page(connection, "bob", 10) == []


async def test_memories_under_other_weights_are_counted(peopled: Database) -> None:
    async with peopled.reading() as connection:
        assert await memories.count(connection, HEAD.fingerprint) == (2, 0)
        assert await memories.count(connection, "other") == (2, 2)


async def test_a_row_is_wanted_by_the_database_as_by_what_looks_through_opened_messages(database: Database) -> None:
    said = [
        Message(
            1, f"{1:032x}", "s", "user", "Die ÜBUNG war 100% gut_", NOW, speaker="Ann", metadata={"a": 5, "b": True}
        ),
        Message(2, f"{2:032x}", "s", "user", "die übung war 100 gut", NOW, speaker="ann", metadata={"a": "5"}),
        Message(3, f"{3:032x}", "s", "user", "100x, gutx", NOW, metadata={"b": "true", "c": None}),
        Message(4, f"{4:032x}", "s", "user", 'ПРИВЕТ "мир" \\ C:\\x', NOW, metadata={"a": 5.0, "d": [1]}),
    ]
    async with database.writing() as connection:
        await begin(connection, "ada", ADA)
        await log.append(connection, ADA, said)
    wanted = [
        *(Filter(contains=part) for part in ("übung", "ÜBUNG", "100%", "gut_", "привет", '"', "\\", "c:\\X", "none")),
        *(Filter(speaker=name) for name in ("Ann", "ann", "Bob")),
        *(Filter(metadata={key: value}) for key in "abcd" for value in ("5", "5.0", "true", "null", "[1]", "x")),
        Filter(contains="die", speaker="Ann", metadata={"a": "5"}),
    ]
    async with database.reading() as connection:
        for which in wanted:
            expected = [one.seq for one in said if which.lets_through(one.content, one.speaker, one.metadata)]
            assert await log.seqs_matching(connection, ADA, which) == expected, which
