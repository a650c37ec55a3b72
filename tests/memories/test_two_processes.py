"""Two processes over one database: neither loses, doubles or misreads what the other did."""

import asyncio
from typing import Any

import pytest

from app.memories import inspection
from app.memories.cache import CachedMemory
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log
from app.store.database import Conflict
from tests.memories.conftest import Another
from tests.memories.histories import History, assert_whole, differing, live_state, logged, said
from tests.store.contents import of_user, tables


@pytest.fixture
def both(another: Another) -> tuple[Memories, Memories]:
    return another(), another()


Both = tuple[Memories, Memories]


async def test_each_goes_on_from_what_the_other_wrote(both: Both) -> None:
    history = History(both[0], "ada", seed=21)
    for turn in range(16):
        history.of = both[turn % 2]
        await history.go_on(2)
    assert differing(await live_state(both[0], "ada"), await live_state(both[1], "ada")) == []
    for one in both:
        await assert_whole(one, "ada")


async def test_each_recalls_what_the_other_wrote_just_now(both: Both) -> None:
    one, other = both
    for number in range(4):
        await one.remember("ada", [said(f"number {number} lost the anchor")])
        found = (await other.recall("ada", f"number {number} lost the anchor", 20)).recollections
        assert f"number {number} lost the anchor" in [one.content for one in found]
        one, other = other, one


async def test_writes_of_both_at_once_are_all_kept_in_one_order(both: Both) -> None:
    await both[0].remember("ada", [said("a river")])
    calls: list[Any] = []
    for number in range(10):
        for place, of in enumerate(both):
            one = said(f"{place}: {number} yellow tables")
            calls.append(of.remember("ada", [one]) if number % 2 else of.recall_and_store("ada", one, 3, 3))
    await asyncio.gather(*calls)
    messages = await logged(both[0], "ada")
    assert [message.seq for message in messages] == list(range(1, 22))
    assert {message.content for message in messages[1:]} == {
        f"{place}: {number} yellow tables" for place in range(2) for number in range(10)
    }
    for place in range(2):  # each one's own order stays
        mine = [message.content for message in messages if message.content.startswith(f"{place}:")]
        assert mine == [f"{place}: {number} yellow tables" for number in range(10)]
    for of in both:
        await assert_whole(of, "ada")


async def test_a_user_begun_by_both_at_once_is_one_user(both: Both) -> None:
    for number in range(4):
        user = f"user{number}"
        done = await asyncio.gather(*(of.remember(user, [said("a river"), said("a valley")]) for of in both))
        assert len({one.head.id for one in done}) == 1
        assert [message.seq for message in await logged(both[0], user)] == [1, 2, 3, 4]
        await assert_whole(both[number % 2], user)


async def test_an_external_id_sent_to_both_at_once_is_one_message(both: Both) -> None:
    batch = [said(f"number {number}", external_id=f"x{number}") for number in range(8)]
    tries = [(of, part) for of in both for part in (batch, batch[::-1], batch[3:6])]
    done = await asyncio.gather(*(of.remember("ada", part) for of, part in tries))
    messages = await logged(both[0], "ada")
    assert sorted(str(message.external_id) for message in messages) == [f"x{number}" for number in range(8)]
    known = {message.external_id: message.id for message in messages}
    for answer in done:
        assert all(known[message.external_id] == message.id for message, _ in answer.messages)
    await assert_whole(both[1], "ada")


async def test_a_user_erased_and_begun_anew_by_the_other_is_not_taken_for_the_old_one(both: Both) -> None:
    one, other = both
    for number in range(3):
        await one.remember("ada", [said(f"old {number}")])
    await one.recall("ada", "old", 5)
    await other.erase("ada")
    for number in range(3):
        await other.remember("ada", [said(f"new {number}")])  # the same version as the old memory had
    found = (await one.recall("ada", "old", 10)).recollections
    assert {recollection.content for recollection in found} == {"new 0", "new 1", "new 2"}
    await one.recall_and_store("ada", said("what is new?"), 3, 3)
    for of in both:
        await assert_whole(of, "ada")


async def test_a_user_erased_by_the_other_is_gone(both: Both) -> None:
    one, other = both
    done = await one.remember("ada", [said("a river")])
    await other.erase("ada")
    with pytest.raises(NotFound):
        await one.recall("ada", "river", 5)
    with pytest.raises(NotFound):
        await one.forget("ada", done.messages[0][0].id)
    with pytest.raises(NotFound):
        await one.erase("ada")


async def test_a_message_forgotten_by_the_other_is_not_recalled(both: Both) -> None:
    one, other = both
    done = await one.remember("ada", [said("a river"), said("a valley")])
    await one.recall("ada", "river", 5)
    await other.forget("ada", done.messages[0][0].id)
    assert [found.content for found in (await one.recall("ada", "river", 5)).recollections] == ["a valley"]
    with pytest.raises(NotFound):
        await one.forget("ada", done.messages[0][0].id)
    await assert_whole(one, "ada")


async def test_a_message_that_both_forget_at_once_is_forgotten_once(both: Both) -> None:
    done = await both[0].remember("ada", [said(f"number {number}") for number in range(4)])
    for message, _ in done.messages[:3]:
        ended = await asyncio.gather(*(of.forget("ada", message.id) for of in both), return_exceptions=True)
        assert sorted(type(one).__name__ for one in ended) == ["Forgotten", "NotFound"]
    for of in both:
        await assert_whole(of, "ada")


async def test_erasing_while_the_other_writes_ends_in_no_user_or_a_new_one(both: Both) -> None:
    one, other = both

    async def talk() -> None:
        for number in range(12):
            await one.remember("ada", [said(f"number {number} walked to the harbour")])

    talking, erased = asyncio.create_task(talk()), 0
    while erased < 4 and not talking.done():
        await asyncio.sleep(0.005)
        try:
            await other.erase("ada")
            erased += 1
        except NotFound:
            pass
    await talking
    assert erased
    if of_user(await tables(one.database), "ada"):
        await assert_whole(one, "ada")
        messages = await logged(one, "ada")
        assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
        await other.erase("ada")
    assert of_user(await tables(one.database), "ada") == {}


async def test_erasing_waits_for_a_turn_that_the_other_is_committing(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    await one.remember("ada", [said("a river")])
    committing, erasing, real = asyncio.Event(), asyncio.Event(), log.append

    async def append(*args: Any) -> None:
        await real(*args)
        committing.set()
        await erasing.wait()

    monkeypatch.setattr(log, "append", append)
    turn = asyncio.create_task(one.recall_and_store("ada", said("a valley"), 3, 3))
    await committing.wait()
    erase = asyncio.create_task(other.erase("ada"))
    await asyncio.sleep(0.1)  # it waits within the database now
    erasing.set()
    await turn
    await erase
    assert of_user(await tables(one.database), "ada") == {}


async def test_a_slot_list_asked_for_while_the_other_forgets_shows_what_is_left(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    done = await one.remember("ada", [said("a river"), said("a valley")])
    real, forgotten = one.live._load, list[str]()

    async def load(user_id: str) -> CachedMemory:
        live = await real(user_id)
        if not forgotten:  # between loading the memory and reading the log
            forgotten.append(done.messages[0][0].id)
            await other.forget(user_id, forgotten[0])
        return live

    monkeypatch.setattr(one.live, "_load", load)
    shown = await inspection.slots(one, "ada", "slot", 10)
    assert [view.message.content for view in shown] == ["a valley"]


async def test_a_conflict_without_end_is_told(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = both
    await one.remember("ada", [said("a river")])
    monkeypatch.setattr("app.memories.live._TRIES", 3)
    real = one._write

    async def slow(*args: Any) -> Any:
        await other.remember("ada", [said("quicker")])
        return await real(*args)

    monkeypatch.setattr(one, "_write", slow)
    with pytest.raises(Conflict):
        await one.remember("ada", [said("slower")])
    assert [message.content for message in await logged(one, "ada")] == ["a river"] + ["quicker"] * 3
    monkeypatch.undo()
    await one.remember("ada", [said("slower")])
    await assert_whole(one, "ada")
