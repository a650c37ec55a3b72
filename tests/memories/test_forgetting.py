"""Forgetting and erasing leave nothing: not in a table, not in the memory, not in the file."""

import dataclasses
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.memories import inspection
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.replay import replay
from app.memories.transfer import export
from app.store import memories as stored
from app.store.filters import Filter
from memory_core.binary_codes import count_pieces
from memory_core.message_features import only_requests
from tests.conftest import ON_SQLITE
from tests.memories.conftest import Another
from tests.memories.histories import START, History, assert_whole, live_state, logged, memory_id, said, text
from tests.store.contents import holding, of_user, tables

SECRET = "Ludmilla keeps the quicksilver xylophone in Zanzibar, under the blue staircase of her grandmother's house"


def files(folder: Path) -> dict[str, bytes]:
    """The database's files."""
    return {path.name: path.read_bytes() for path in folder.glob("mneme.db*")}


async def words_of(of: Memories, seq: int, user_id: str = "ada") -> list[bytes]:
    """The stored words of a message: the bytes of its facets, and of its word pieces."""
    async with of.database.reading() as connection:
        rows = await stored.slot_rows(connection, await memory_id(of, user_id))
    return [row[name] for row in rows if row["source"] == seq for name in ("word", "token_ids")]


async def test_nothing_of_a_forgotten_message_is_left_in_any_table(memories: Memories) -> None:
    history = History(memories, "ada", seed=61, forgets=False)
    await history.go_on(5)
    heard = await memories.recall_and_store("ada", said(SECRET, "confidential", external_id="x-secret"), 5, 5)
    message, slots = heard.remembered.messages[0]
    await memories.recall_and_store("ada", said("what is under the blue staircase?"), 8, 5)
    before = await tables(memories.database)
    words = await words_of(memories, message.seq)
    needles: list[str | bytes] = [SECRET, "quicksilver", message.id, "x-secret", "confidential", *words]
    assert len(slots) > 2 and len(words) == 2 * len(slots)
    assert all(holding(before, needle) for needle in needles)
    assert any(row["source"] == message.seq for row in before["reads"])

    await memories.forget("ada", message.id)

    now = await tables(memories.database)
    assert {needle: holding(now, needle) for needle in needles} == {needle: [] for needle in needles}
    for table in ("messages", "slots", "reads"):
        assert not any(message.seq in (row.get("seq"), row.get("source")) for row in now[table])
    assert {row["slot"] for row in now["words"]} == {row["slot"] for row in now["slots"]}
    assert set(slots).isdisjoint(row["slot"] for row in now["slots"])
    # All that stays is that something was there.
    (place,) = now["forgotten"]
    assert place == {
        "memory_id": await memory_id(memories), "seq": message.seq, "parts": len(slots), "gate": 1.0,
        "after_seq": message.seq + 1, "version": place["version"],
    }  # fmt: skip
    await assert_whole(memories, "ada")


async def test_nothing_of_a_forgotten_message_is_left_in_the_live_memory(memories: Memories) -> None:
    await memories.remember("ada", [said("a river"), said("a valley")])
    done = await memories.remember("ada", [said(SECRET)])
    await memories.recall_and_store("ada", said("what is in Zanzibar?"), 3, 3)
    message, slots = done.messages[0]
    await memories.forget("ada", message.id)
    state = await live_state(memories, "ada")
    assert not (state.source == message.seq).any()
    for tensor in (state.words, state.keys, state.usage, state.strength, state.reads, state.touched, state.part):
        assert not tensor[slots].any()
    assert (state.token_ids[slots] == -1).all()
    every = (state.forward_slots, state.backward_slots, state.precedence_slots, state.read_slots)
    assert not any(slot in tensor for tensor in every for slot in slots)
    counted = ~only_requests(state.feature_bits)
    assert (state.piece_counts == count_pieces(state.token_ids, len(state.piece_counts), counted)).all()


@ON_SQLITE
async def test_nothing_of_a_forgotten_message_is_left_in_the_file(memories: Memories, tmp_path: Path) -> None:
    await memories.remember("ada", [said(text(random.Random(1))) for _ in range(20)])
    done = await memories.remember("ada", [said(SECRET)])
    words = [word for word in await words_of(memories, done.messages[0][0].seq) if len(word) >= 64]
    assert any(b"quicksilver" in content for content in files(tmp_path).values())
    await memories.forget("ada", done.messages[0][0].id)
    assert_gone([b"Ludmilla", b"quicksilver", *words], tmp_path)
    await memories.database.close()  # the last connection takes the write-ahead log with it
    assert_gone([b"Ludmilla", b"quicksilver", *words], tmp_path)


@ON_SQLITE
async def test_nothing_of_an_erased_user_is_left_in_the_files(memories: Memories, tmp_path: Path) -> None:
    choose = random.Random(2)
    for _ in range(5):
        await memories.remember("ada", [said(text(choose)) for _ in range(4)])
        await memories.remember("bob", [said(f"{SECRET} {number}" * 9, "confidential") for number in range(4)])
    words = [word for word in await words_of(memories, 1, "bob") if len(word) >= 64]
    assert any(b"quicksilver" in content for content in files(tmp_path).values())
    await memories.erase("bob")
    assert_gone([b"Ludmilla", b"quicksilver", b"confidential", b"bob", *words], tmp_path)
    await assert_whole(memories, "ada")


def assert_gone(needles: list[bytes], folder: Path) -> None:
    """No file of the database holds any of them."""
    assert [(name, one) for name, content in files(folder).items() for one in needles if one in content] == []


async def test_a_forgotten_message_is_recalled_traced_and_exported_no_more(speaking: Memories) -> None:
    await speaking.remember("ada", [said("My dog is called Biscuit.")])
    told = await speaking.remember("ada", [said("My dog's vet is Doctor Ludmilla.")])
    heard = await speaking.recall_and_store("ada", said("Who is my dog's vet?"), 3, 3)
    secret, asked = told.messages[0][0], heard.remembered.messages[0][0]
    assert heard.recalled.recollections[0].message == secret
    await speaking.forget("ada", secret.id)
    for query in ("Who is my dog's vet?", secret.content, "Ludmilla", "And then?"):
        found = await speaking.recall("ada", query, 100)
        assert secret.id not in {one.message.id for one in found.recollections}
    trace = await inspection.trace(speaking, "ada", asked.id)
    assert secret.id not in {message.id for _, message in trace.read}
    lines = "".join([part async for part in await export(speaking, "ada")]).splitlines()
    assert len(lines) == 5  # a heading, two messages, the place of a third, an end
    assert not any(secret.id in line or "Ludmilla" in line for line in lines)
    with pytest.raises(NotFound):
        await inspection.trace(speaking, "ada", secret.id)
    with pytest.raises(NotFound):
        await speaking.forget("ada", secret.id)


@pytest.mark.parametrize("between", ["a valley", SECRET])
async def test_the_links_around_a_forgotten_message_are_joined(memories: Memories, between: str) -> None:
    done = await memories.remember("ada", [said("a river"), said(between), said("a forest")])
    before, gone, after = (slots for _, slots in done.messages)
    first = await inspection.whole_slot(memories, "ada", before[-1])
    assert [slot for slot, _ in first.after][:1] == gone[:1]
    assert after[0] not in [slot for slot, _ in first.after]
    await memories.forget("ada", done.messages[1][0].id)
    first = await inspection.whole_slot(memories, "ada", before[-1])
    last = await inspection.whole_slot(memories, "ada", after[0])
    assert after[0] in [slot for slot, _ in first.after]
    assert before[-1] in [slot for slot, _ in last.before]
    assert not {slot for slot, _ in first.after + last.before} & set(gone)


async def test_a_follow_up_starts_from_the_turn_before_the_forgotten_one(speaking: Memories) -> None:
    day = ["We took the ferry to the island.", "Then we climbed the lighthouse.", "In the evening we ate mussels."]
    await speaking.remember("ada", [said(content) for content in day])
    await speaking.recall_and_store("ada", said("When did we take the ferry?"), 1, 0)
    last = await speaking.recall_and_store("ada", said("Which mussels did we eat in the evening?"), 1, 0)
    await speaking.forget("ada", last.remembered.messages[0][0].id)
    found = await speaking.recall("ada", "What happened after that?", 1)
    assert found.recollections[0].content == day[1]


async def test_the_memory_was_last_read_when_the_last_turn_that_is_left_was_said(memories: Memories) -> None:
    async def last_read() -> datetime | None:
        return (await inspection.summary(memories, "ada")).last_read

    await memories.remember("ada", [said("a river")])
    assert await last_read() is None
    turns = [
        dataclasses.replace(said(f"which river {hour}?"), occurred_at=START + timedelta(hours=hour))
        for hour in (1, 2, 3)
    ]
    heard = [(await memories.recall_and_store("ada", turn, 3, 3)).remembered.messages[0][0] for turn in turns]
    await memories.remember("ada", [said("a valley")])
    left = [None, *(turn.occurred_at for turn in turns)]
    assert await last_read() == left[3]
    for gone, expected in ((heard[1], left[3]), (heard[2], left[1]), (heard[0], None)):
        await memories.forget("ada", gone.id)
        assert await last_read() == expected
        await replay(memories.database, memories.device, "ada", write=True)
        assert await last_read() == expected


async def test_a_freed_slot_is_taken_again(another: Another) -> None:
    of = another(slots=16)
    done = await of.remember("ada", [said(f"river {number}") for number in range(16)])
    message, slots = done.messages[5]
    await of.forget("ada", message.id)
    again = await of.remember("ada", [said("a valley")])
    assert again.messages[0][1] == slots
    assert again.slots_used == 16
    await assert_whole(of, "ada")


async def test_a_session_goes_with_its_last_message(memories: Memories) -> None:
    done = await memories.remember("ada", [said("a river", "one"), said("a valley", "two"), said("a forest", "one")])
    for message, _ in done.messages[:2]:
        await memories.forget("ada", message.id)
    shown = await inspection.sessions(memories, "ada", None, 10)
    assert [(one.id, one.messages) for one in shown] == [("one", 1)]
    with pytest.raises(NotFound):
        await memories.recall("ada", "valley", 3, "two")
    with pytest.raises(NotFound):
        await inspection.session_log(memories, "ada", Filter("two"), 0, 10)


async def test_erasing_leaves_no_row_of_the_user_in_any_table(memories: Memories) -> None:
    for user, seed in (("ada", 62), ("bob", 63)):
        await History(memories, user, seed).go_on(15)
    before = await tables(memories.database)
    assert set(of_user(before, "ada")) >= {"users", "sessions", "messages", "memories", "slots", "words", "forgotten"}
    await memories.erase("ada")
    now = await tables(memories.database)
    assert of_user(now, "ada") == {}
    assert of_user(now, "bob") == of_user(before, "bob")
    assert sum(map(len, now.values())) == 1 + sum(map(len, of_user(now, "bob").values()))  # and alembic's own
    for call in (memories.recall("ada", "river", 3), memories.erase("ada"), inspection.summary(memories, "ada")):
        with pytest.raises(NotFound):
            await call


async def test_a_user_may_come_back_after_erasing(memories: Memories) -> None:
    first = await memories.remember("ada", [said("a river", external_id="x")])
    await memories.erase("ada")
    again = await memories.remember("ada", [said("a valley", external_id="x")])
    assert again.head.id != first.head.id
    assert [message.content for message in await logged(memories, "ada")] == ["a valley"]
    await assert_whole(memories, "ada")
