"""What can be done with a memory: external ids, replies, recalling, and what is not there."""

import random

import pytest

from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import memories as stored
from tests.memories.conftest import Another
from tests.memories.histories import (
    History,
    assert_whole,
    draft,
    logged,
    said,
)
from tests.store.contents import tables


async def test_a_message_known_by_its_external_id_is_not_added_again(memories: Memories) -> None:
    first = await memories.remember("ada", [said("a river", external_id="x"), said("a valley", external_id="y")])
    before = await tables(memories.database)
    again = await memories.remember("ada", [said("a valley", external_id="y"), said("a river", external_id="x")])
    assert again.messages == first.messages[::-1]
    assert again.head == first.head
    assert await tables(memories.database) == before


async def test_an_external_id_named_twice_in_one_call_is_one_message(memories: Memories) -> None:
    done = await memories.remember("ada", [said("a river", external_id="x")] * 2 + [said("a valley")])
    assert [message.seq for message, _ in done.messages] == [1, 1, 2]
    assert done.messages[0] == done.messages[1]
    assert [message.content for message in await logged(memories, "ada")] == ["a river", "a valley"]


async def test_known_and_new_messages_mix_in_one_call(memories: Memories) -> None:
    await memories.remember("ada", [said("a river", external_id="x")])
    done = await memories.remember("ada", [said("one"), said("a river", external_id="x"), said("two")])
    assert [message.seq for message, _ in done.messages] == [2, 1, 3]
    assert all(slots for _, slots in done.messages)
    await assert_whole(memories, "ada")


async def test_a_forgotten_external_id_may_come_again(memories: Memories) -> None:
    first = await memories.remember("ada", [said("a river", external_id="x")])
    await memories.forget("ada", first.messages[0][0].id)
    again = await memories.remember("ada", [said("a river", external_id="x")])
    assert again.messages[0][0].seq == 2
    assert again.messages[0][0].id != first.messages[0][0].id
    await assert_whole(memories, "ada")


async def test_a_reply_to_a_message_forgotten_meanwhile_is_dropped(memories: Memories) -> None:
    await memories.remember("ada", [said("a river")])
    heard = await memories.recall_and_store("ada", said("what did I see?"), 3, 3)
    asked = heard.remembered.messages[0][0]
    await memories.forget("ada", asked.id)
    before = await tables(memories.database)
    with pytest.raises(NotFound):
        answer = said("You saw a river.", role="assistant")
        await memories.remember("ada", [answer], answers=(heard.remembered.head, asked.seq))
    assert await tables(memories.database) == before
    await assert_whole(memories, "ada")


async def test_a_reply_to_a_user_erased_meanwhile_is_dropped_even_if_one_of_that_name_spoke_since(
    memories: Memories,
) -> None:
    heard = await memories.recall_and_store("ada", said("what did I see?"), 3, 3)
    await memories.erase("ada")
    answers = (heard.remembered.head, heard.remembered.messages[0][0].seq)
    for _ in range(2):
        before = await tables(memories.database)
        with pytest.raises(NotFound):
            await memories.remember("ada", [said("You saw a river.", role="assistant")], answers=answers)
        assert await tables(memories.database) == before
        await memories.remember("ada", [said("I am another Ada")])


async def test_erasing_or_forgetting_nobody_is_told(memories: Memories) -> None:
    with pytest.raises(NotFound):
        await memories.erase("nobody")
    with pytest.raises(NotFound):
        await memories.forget("nobody", "0" * 32)
    with pytest.raises(NotFound):
        await memories.recall("nobody", "river", 3)
    await memories.remember("ada", [said("a river")])
    with pytest.raises(NotFound):
        await memories.forget("ada", "0" * 32)
    with pytest.raises(NotFound):
        await memories.recall("ada", "river", 3, "no such session")
    await assert_whole(memories, "ada")


async def test_what_was_said_is_recalled_and_a_follow_up_goes_on_from_there(speaking: Memories) -> None:
    day = ["We took the ferry to the island.", "Then we climbed the lighthouse.", "In the evening we ate mussels."]
    await speaking.remember("ada", [said(content, "trip") for content in day])
    await speaking.remember("ada", [said("My sister studies law in Leiden.", "family")])
    heard = await speaking.recall_and_store("ada", said("When did we take the ferry?", "later"), 3, 3)
    assert heard.recalled.recollections[0].content == day[0]
    on = await speaking.recall("ada", "What happened after that?", 1)
    assert on.recollections[0].content == day[1]
    within = await speaking.recall("ada", "ferry", 10, "family")
    assert within.recollections[0].content == "My sister studies law in Leiden."


async def test_recollections_are_no_more_than_asked_for_and_the_heaviest_first(memories: Memories) -> None:
    await History(memories, "ada", seed=10, forgets=False).go_on(15)
    for k in (1, 2, 5, 100):
        found = (await memories.recall("ada", "uncle lost a kettle", k)).recollections
        assert 0 < len(found) <= k
        assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
        assert len({one.message.id for one in found}) == len(found)


async def test_a_memory_emptied_by_forgetting_recalls_nothing_and_goes_on(memories: Memories) -> None:
    done = await memories.remember("ada", [said("a river"), said("a valley")])
    for message, _ in done.messages:
        await memories.forget("ada", message.id)
    assert (await memories.recall("ada", "river", 5)).recollections == []
    heard = await memories.recall_and_store("ada", said("a river?"), 5, 5)
    assert heard.recalled.recollections == [] and heard.history == []
    assert heard.remembered.messages[0][0].seq == 3
    await assert_whole(memories, "ada")


async def test_a_message_longer_than_the_memory_is_kept_verbatim_and_cut_in_memory(another: Another) -> None:
    of = another(slots=16)
    long = " ".join(f"word{number}" for number in range(500))
    done = await of.remember("ada", [said("a river"), said(long)])
    assert len(done.messages[1][1]) == 4
    assert (await logged(of, "ada"))[1].content == long
    await assert_whole(of, "ada")


async def test_a_message_without_word_pieces_is_kept(memories: Memories) -> None:
    await memories.remember("ada", [said(" "), said("a river")])
    await memories.recall_and_store("ada", said("\n"), 3, 3)
    assert [message.content for message in await logged(memories, "ada")] == [" ", "a river", "\n"]
    await assert_whole(memories, "ada")


async def test_the_head_told_is_the_head_stored(memories: Memories) -> None:
    choose = random.Random(11)
    for version in range(1, 5):
        done = await memories.remember("ada", [draft(choose)])
        async with memories.database.reading() as connection:
            assert await stored.granted(connection, "ada") == done.head
        assert (done.head.version, done.head.last_seq) == (version, version)
    heard = await memories.recall_and_store("ada", draft(choose, "user"), 3, 3)
    assert done.head.id == heard.remembered.head.id
