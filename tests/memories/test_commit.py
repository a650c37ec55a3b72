"""What one process does with its users' memories: committed whole or not at all, in order, each user apart."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.memories import inspection
from app.memories.cache import CachedMemory
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log
from app.store import memories as stored
from app.store.database import Database
from tests.memories.histories import (
    History,
    assert_whole,
    differences,
    differing,
    live_state,
    logged,
    memory_id,
    said,
    text,
)
from tests.store.contents import Tables, of_user, tables

Patch = pytest.MonkeyPatch

REMEMBERS = ((stored, "advance"), (log, "append"), (stored, "put_slots"), (stored, "add_reads"))
FORGETS = ((stored, "advance"), (stored, "put_slots"), (stored, "remove_reads"), (log, "remove"))


def after(patch: Patch, where: Any, name: str, happens: Callable[[], None]) -> None:
    """Lets something happen once the database was told by a function of the store, within its transaction."""
    real = getattr(where, name)

    async def wrapped(*args: Any) -> Any:
        result = await real(*args)
        happens()
        return result

    patch.setattr(where, name, wrapped)


@contextmanager
def written_rows(database: Database) -> Iterator[Counter[str]]:
    """Counts the rows that statements were sent for, by table."""
    counted: Counter[str] = Counter()

    def count(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        first, *more = statement.split()
        if first in ("INSERT", "UPDATE", "DELETE"):
            table = more[0] if first == "UPDATE" else more[1]
            counted[table.strip('"')] += len(parameters) if many else 1

    sa.event.listen(database.writer.sync_engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        sa.event.remove(database.writer.sync_engine, "before_cursor_execute", count)


# Whole, or not at all


async def test_a_message_its_slots_and_what_it_read_are_in_the_database_when_the_call_returns(
    memories: Memories,
) -> None:
    await memories.remember("ada", [said("the harbour was yellow"), said("uncle lost a kettle")])
    heard = await memories.recall_and_store(
        "ada", said("what did uncle lose in the valley by the river last week?"), 2, 5
    )
    (message, slots) = heard.remembered.messages[0]
    async with memories.database.reading() as connection:
        assert await log.by_id(connection, await memory_id(memories), message.id) == message
        rows = await stored.slot_rows(connection, await memory_id(memories))
        read = (await stored.reads_of(connection, await memory_id(memories), [message.seq]))[message.seq]
    assert [row["slot"] for row in sorted(rows, key=lambda row: row["part"]) if row["source"] == message.seq] == slots
    assert len(slots) >= 2
    assert {one.source for one in read} == {one.message.seq for one in heard.recalled.recollections} == {1, 2}
    assert [one.content for one in heard.history] == ["the harbour was yellow", "uncle lost a kettle"]
    assert message.confidence == heard.recalled.confidence
    await assert_whole(memories, "ada")


@pytest.mark.parametrize(("where", "name"), REMEMBERS)
async def test_a_turn_whose_commit_fails_midway_never_was(
    memories: Memories, monkeypatch: Patch, where: Any, name: str
) -> None:
    await History(memories, "ada", seed=1).go_on(4)
    before, live = await tables(memories.database), await live_state(memories, "ada")

    def fail() -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        after(patch, where, name, fail)
        with pytest.raises(ZeroDivisionError):
            await memories.recall_and_store("ada", said("a lost kettle"), 4, 4)
        with pytest.raises(ZeroDivisionError):
            await memories.remember("ada", [said("a lost kettle")])
        with pytest.raises(ZeroDivisionError):
            await memories.remember("new", [said("a lost kettle")])
    assert await tables(memories.database) == before
    assert differing(live, await live_state(memories, "ada")) == []
    with pytest.raises(NotFound):
        await memories.recall("new", "kettle", 3)
    await memories.recall_and_store("ada", said("a lost kettle"), 4, 4)
    await memories.remember("new", [said("a lost kettle")])
    await assert_whole(memories, "ada")
    await assert_whole(memories, "new")


@pytest.mark.parametrize(("where", "name"), FORGETS)
async def test_forgetting_whose_commit_fails_midway_never_was(
    memories: Memories, monkeypatch: Patch, where: Any, name: str
) -> None:
    history = History(memories, "ada", seed=2, forgets=False)
    await history.go_on(4)
    before, live = await tables(memories.database), await live_state(memories, "ada")

    def fail() -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        after(patch, where, name, fail)
        with pytest.raises(ZeroDivisionError):
            await memories.forget("ada", history.messages[2].id)
    assert await tables(memories.database) == before
    assert differing(live, await live_state(memories, "ada")) == []
    await memories.forget("ada", history.messages[2].id)
    await assert_whole(memories, "ada")


@pytest.mark.parametrize(("where", "name"), REMEMBERS)
async def test_a_turn_cancelled_while_it_commits_leaves_a_whole_memory(
    memories: Memories, monkeypatch: Patch, where: Any, name: str
) -> None:
    await History(memories, "ada", seed=3, forgets=False).go_on(4)
    before = await tables(memories.database)

    def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    with monkeypatch.context() as patch:
        after(patch, where, name, cancel)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(memories.recall_and_store("ada", said("a lost kettle"), 4, 4))
    if name != "add_reads":  # cancelled as late as that, the transaction may still have been committed
        assert await tables(memories.database) == before
    await assert_whole(memories, "ada")
    await memories.recall_and_store("ada", said("a lost kettle"), 4, 4)
    await assert_whole(memories, "ada")


async def test_turns_cancelled_at_any_moment_leave_a_whole_memory(memories: Memories) -> None:
    await History(memories, "ada", seed=4).go_on(5)
    choose, before = random.Random(4), len(await logged(memories, "ada"))
    kept = 0
    for number in range(12):
        tasks = [
            asyncio.create_task(memories.recall_and_store("ada", said(f"turn {number} {one} {text(choose)}"), 3, 3))
            for one in range(3)
        ]
        await asyncio.sleep(choose.uniform(0, 0.03))
        tasks[choose.randrange(3)].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        kept += sum(not isinstance(one, BaseException) for one in done)
        assert sum(isinstance(one, BaseException) for one in done) <= 1
    await assert_whole(memories, "ada")
    assert kept <= len(await logged(memories, "ada")) - before <= 36


async def test_a_turn_cancelled_before_it_began_leaves_nothing(memories: Memories) -> None:
    await memories.remember("ada", [said("the harbour")])
    task = asyncio.create_task(memories.remember("ada", [said("a kettle")]))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [message.content for message in await logged(memories, "ada")] == ["the harbour"]


# Cost


async def test_a_turn_writes_the_rows_it_changes_however_long_the_history(memories: Memories) -> None:
    choose = random.Random(5)
    await memories.remember("ada", [said(text(choose, 12)) for _ in range(120)])
    before = await tables(memories.database)
    with written_rows(memories.database) as counted:
        heard = await memories.recall_and_store("ada", said("did uncle walk from the forest to the harbour?"), 2, 4)
    (_, slots) = heard.remembered.messages[0]
    read = {one.slot for one in (await inspection_reads(memories, heard.remembered.messages[0][0].seq))}
    assert len(before["slots"]) > 120
    assert counted["messages"] == counted["sessions"] == 1
    assert counted["memories"] == 1
    assert counted["words"] == len(slots) == 2
    assert counted["reads"] == len(read)
    links = memories.core.config.links
    assert counted["slots"] <= len(slots) + len(read) + len(slots) * (1 + links)
    now = await tables(memories.database)
    really = sum(row not in before["slots"] for row in now["slots"])
    assert really <= counted["slots"] <= really + len(slots) * links
    assert set(counted) == {"messages", "sessions", "memories", "words", "slots", "reads"}


async def inspection_reads(of: Memories, seq: int) -> list[stored.ReadTrace]:
    async with of.database.reading() as connection:
        return (await stored.reads_of(connection, await memory_id(of), [seq]))[seq]


async def test_looking_and_recalling_write_nothing(memories: Memories) -> None:
    history = History(memories, "ada", seed=6, forgets=False)
    await history.go_on(6)
    before, live = await tables(memories.database), await live_state(memories, "ada")
    with written_rows(memories.database) as counted:
        await memories.recall("ada", "the harbour", 5)
        await memories.recall("ada", "And after that?", 5, history.messages[0].session_id)
        await inspection.summary(memories, "ada")
        await inspection.slots(memories, "ada", "usage", 10)
        await inspection.trace(memories, "ada", history.messages[-1].id)
        await inspection.matrix(memories, "ada", "npz")
    assert not counted
    assert await tables(memories.database) == before
    assert differing(live, await live_state(memories, "ada")) == []


# Order


async def test_fifty_at_once_are_taken_in_the_order_in_which_they_came(memories: Memories) -> None:
    contents = [f"number {number} was a yellow table" for number in range(50)]
    calls: list[Any] = []
    for number, content in enumerate(contents):
        one = said(content)
        calls.append(memories.remember("ada", [one]) if number % 2 else memories.recall_and_store("ada", one, 3, 3))
    done = await asyncio.gather(*calls)
    messages = await logged(memories, "ada")
    assert [message.seq for message in messages] == list(range(1, 51))
    assert [message.content for message in messages] == contents
    told = [one.messages[0][0] if hasattr(one, "messages") else one.remembered.messages[0][0] for one in done]
    assert told == messages
    await assert_whole(memories, "ada")


async def test_a_call_sees_what_every_earlier_one_wrote(memories: Memories) -> None:
    for number in range(6):
        await memories.remember("ada", [said(f"{number} lost the anchor")])
        heard = await memories.recall_and_store("ada", said("who lost the anchor?"), 50, 50)
        statements = [one.content for one in heard.history if "lost the" in one.content and one.content[0].isdigit()]
        assert statements == [f"{earlier} lost the anchor" for earlier in range(number + 1)]
        assert f"{number} lost the anchor" in [one.content for one in heard.recalled.recollections]


async def test_users_are_served_at_the_same_time(memories: Memories) -> None:
    await memories.remember("slow", [said("a river")])
    released, waiting = asyncio.Event(), asyncio.Event()

    async def view(_: CachedMemory) -> None:
        waiting.set()
        await released.wait()

    looking = asyncio.create_task(memories.inspect("slow", view))
    await waiting.wait()
    await asyncio.wait_for(memories.remember("quick", [said("a valley")]), 5)
    assert not looking.done()
    released.set()
    await looking


# Users apart


async def test_users_never_find_each_others_messages(speaking: Memories) -> None:
    ids = ["one", "two"]
    theirs = {
        "ada": ["My dog is called Biscuit.", "I work in a bakery."],
        "bob": ["My dog is called Rex.", "I work at a bank."],
    }
    for user, contents in theirs.items():
        drafts = [said(content, external_id=name) for content, name in zip(contents, ids, strict=True)]
        done = await speaking.remember(user, drafts)
        assert [message.seq for message, _ in done.messages] == [1, 2]
    for user, contents in theirs.items():
        for query in ("What is my dog called?", "Where do I work?", "And after that?"):
            for session in (None, "s"):
                found = await speaking.recall(user, query, 100, session)
                assert {one.content for one in found.recollections} <= set(contents)
        assert (await speaking.recall(user, "What is my dog called?", 1)).recollections[0].content == contents[0]
    messages = {user: await logged(speaking, user) for user in theirs}
    with pytest.raises(NotFound):
        await speaking.forget("bob", messages["ada"][0].id)
    with pytest.raises(NotFound):
        await inspection.trace(speaking, "bob", messages["ada"][0].id)
    assert {user: await logged(speaking, user) for user in theirs} == messages


async def test_what_happens_to_one_user_leaves_the_others_bit_for_bit(memories: Memories) -> None:
    others = [History(memories, f"other{number}", number) for number in range(2)]
    for history in others:
        await history.go_on(8)
    ada = History(memories, "ada", seed=9)

    def theirs(everything: Tables) -> list[Tables]:
        return [of_user(everything, history.user_id) for history in others]

    before = theirs(await tables(memories.database))
    states = [await live_state(memories, history.user_id) for history in others]
    await ada.go_on(20)
    await memories.erase("ada")
    assert theirs(await tables(memories.database)) == before
    for history, state in zip(others, states, strict=True):
        assert differing(state, await live_state(memories, history.user_id)) == []


async def test_users_who_talk_at_the_same_time_each_get_the_memory_of_their_own_log(memories: Memories) -> None:
    histories = [History(memories, f"user{number}", number) for number in range(6)]
    await asyncio.gather(*(history.go_on(6) for history in histories))
    for history in histories:
        assert await differences(memories, history.user_id) == []
