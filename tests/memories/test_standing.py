"""What holds until revoked is read at every turn, shows in the trace, and goes when its message goes."""

from datetime import UTC, datetime, timedelta

import pytest

from app.memories import inspection
from app.memories.memories import Memories, TurnContext
from app.memories.messages import Draft
from app.memories.standing import statements
from app.memories.transfer import export, import_user
from memory_core.standing import SHARE
from tests.conftest import ON_SQLITE
from tests.memories.conftest import Another
from tests.memories.histories import assert_whole, differing, live_state

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
VEGETARIAN = "I'm vegetarian."


async def told(of: Memories, *texts: str, speaker: str | None = None, role: str = "user") -> None:
    await of.remember("ada", [Draft(role, text, "s", START, speaker) for text in texts])


async def turn(of: Memories, text: str, minutes: int = 1, k: int = 3) -> TurnContext:
    return await of.recall_and_store("ada", Draft("user", text, "s", START + timedelta(minutes=minutes)), k, 0)


async def standing(of: Memories) -> list[str]:
    return [one.message.content for one in await statements(of, "ada")]


@ON_SQLITE
async def test_what_stands_is_read_at_every_turn_beside_what_the_cue_recalls(speaking: Memories) -> None:
    await told(speaking, VEGETARIAN, "The shed is green.", "My dog is called Biscuit.", "The train was late.")
    for minutes, text in enumerate(("What colour is the shed?", "What is my dog called?"), 1):
        heard = await turn(speaking, text, minutes, k=1)
        assert [one.content for one in heard.standing] == [VEGETARIAN]
        assert len([one for one in heard.recalled.recollections if not one.by_standing]) <= 1
        assert sum(one.by_standing for one in heard.recalled.recollections) == pytest.approx(SHARE)
        seen = await inspection.trace(speaking, "ada", heard.remembered.messages[0][0].id)
        assert [source.content for read, source in seen.read if read.standing] == [VEGETARIAN]
        for read, _ in seen.read:
            parts = read.content + read.forward + read.backward + read.standing
            assert read.weight == pytest.approx(parts, abs=1e-6)
        assert 0 < sum(read.weight for read, _ in seen.read) <= 1 + 1e-5
    await assert_whole(speaking, "ada")


@ON_SQLITE
async def test_a_follow_up_starts_from_what_was_spoken_of_not_from_what_stands(speaking: Memories) -> None:
    await told(speaking, VEGETARIAN, "First we went to Lisbon.", "Then we took the ferry to Tangier.")
    heard = await turn(speaking, "Where did we go first?")
    (stands,) = heard.standing
    state = await live_state(speaking, "ada")
    read = dict(zip(state.read_slots.tolist(), state.read_weights.tolist(), strict=True))
    assert read.get(stands.slot, 0.0) == pytest.approx(stands.weight - stands.by_standing, abs=1e-6)
    assert float(state.reads[stands.slot]) == 1 and stands.by_standing == pytest.approx(SHARE)


@ON_SQLITE
async def test_what_is_deleted_stands_no_more(speaking: Memories) -> None:
    await told(speaking, VEGETARIAN, "The shed is green.")
    heard = await turn(speaking, "What colour is the shed?")
    await speaking.forget("ada", heard.standing[0].message.id)
    assert await standing(speaking) == []
    assert (await turn(speaking, "What colour is the shed?", 2)).standing == []
    await assert_whole(speaking, "ada")


@ON_SQLITE
async def test_export_and_import_give_the_same_readings(speaking: Memories) -> None:
    await told(speaking, "Call me Sam.", VEGETARIAN, "The shed is green.")
    for minutes in range(1, 4):
        await turn(speaking, "What colour is the shed?", minutes, k=2)
    lines = "".join([line async for line in await export(speaking, "ada")])
    await import_user(speaking, "bob", lines.encode())
    assert differing(await live_state(speaking, "ada"), await live_state(speaking, "bob")) == []
    assert [one.message.content for one in await statements(speaking, "bob")] == [VEGETARIAN, "Call me Sam."]


@ON_SQLITE
async def test_only_what_the_user_says_of_themselves_stands(speaking: Memories) -> None:
    await told(speaking, VEGETARIAN, role="assistant")
    await told(speaking, "Answer me in Spanish from now on.", role="system")
    assert await standing(speaking) == []
    await told(speaking, VEGETARIAN, speaker="Ada")
    assert await standing(speaking) == [VEGETARIAN]  # one voice alone is the user's own
    await told(speaking, "I'm allergic to nuts.", speaker="Bob")
    assert await standing(speaking) == []


@ON_SQLITE
async def test_so_many_are_read_at_most_the_newest(another: Another, speaking: Memories) -> None:
    of = another(slots=1024, device=speaking.device, standing=2)
    await told(of, "Call me Sam.", VEGETARIAN, "Please don't use emojis.", "The shed is green.")
    assert await standing(of) == ["Please don't use emojis.", VEGETARIAN]
    assert len((await turn(of, "What colour is the shed?")).standing) == 2
    none = another(slots=1024, device=speaking.device, standing=0)
    assert await standing(none) == []
    assert (await turn(none, "What colour is the shed?", 2)).standing == []
    await assert_whole(none, "ada")
