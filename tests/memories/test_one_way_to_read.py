"""Live turns, replays and imports read alike: by dates, by events, as follow-ups, among updates.

What a text meant is decided once and kept in the log.
"""

import asyncio
import json
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.memories import inspection
from app.memories.memories import Memories
from app.memories.messages import Draft
from app.memories.replay import compare
from app.memories.transfer import export, import_user
from tests.conftest import ON_SQLITE
from tests.memories.histories import assert_whole, live_state, logged

START = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=2)))
PLACES = ("Rome", "Oslo", "the harbour")
THINGS = ("boots", "a kettle", "the ladder", "my red coat")


def statements() -> st.SearchStrategy[str]:
    place, thing = st.sampled_from(PLACES), st.sampled_from(THINGS)
    return st.one_of(
        st.builds("I bought {} in a small shop.".format, thing),
        st.builds("Our trip to {} was lovely.".format, place),
        st.builds("My birthday is on {} March.".format, st.integers(1, 28)),
        st.builds("My favourite town is {} now.".format, place),
    )


def questions() -> st.SearchStrategy[str]:
    place, thing = st.sampled_from(PLACES), st.sampled_from(THINGS)
    return st.one_of(
        st.builds("What did I buy two days before the trip to {}?".format, place),
        st.builds("Where did I buy {} last week?".format, thing),
        st.builds("What did I tell you {} days ago?".format, st.integers(1, 9)),
        st.just("What did I do on my birthday?"),
        st.just("What is my favourite town?"),
        st.sampled_from(["And after that?", "What happened before that?"]),
    )


STEPS = st.lists(st.tuples(st.booleans(), statements(), questions(), st.integers(0, 4)), min_size=3, max_size=9)


async def lived(of: Memories, user: str, steps: list[tuple[bool, str, str, int]]) -> None:
    at = START
    for tells, statement, question, days in steps:
        at += timedelta(days=days, minutes=7)
        if tells:
            await of.remember(user, [Draft("user", statement, "s", at)])
        else:
            turn = await of.recall_and_store(user, Draft("user", question, "s", at), 4, 0)
            asked = turn.remembered.messages[0][0]
            reply = Draft("assistant", "I see.", "s", at)
            await of.remember(user, [reply], (turn.remembered.head, asked.seq))


async def taken_along(of: Memories, user: str, name: str) -> None:
    await import_user(of, name, "".join([line async for line in await export(of, user)]).encode())


async def reads_of(of: Memories, user: str) -> list[tuple[str, float | None, list[tuple[int, int, float]]]]:
    found = []
    for message in await logged(of, user):
        seen = await inspection.trace(of, user, message.id)
        read = [(one.slot, source.seq, one.weight) for one, source in seen.read]
        found.append((message.content, message.confidence, read))
    return found


@ON_SQLITE
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_live_memory_replay_and_import_agree_and_read_the_same(
    memories: Memories, steps: list[tuple[bool, str, str, int]]
) -> None:
    async def agree() -> None:
        user, other = f"u{uuid.uuid4().hex}", f"u{uuid.uuid4().hex}"
        await lived(memories, user, steps)
        await assert_whole(memories, user)
        await taken_along(memories, user, other)
        assert compare(await live_state(memories, user), await live_state(memories, other)) == []
        for mine, theirs in zip(await reads_of(memories, user), await reads_of(memories, other), strict=True):
            assert mine[0] == theirs[0]
            assert mine[1] == pytest.approx(theirs[1], abs=1e-4)
            assert sorted(one[:2] for one in mine[2]) == sorted(one[:2] for one in theirs[2])
            assert sum(one[2] for one in mine[2]) == pytest.approx(sum(one[2] for one in theirs[2]), abs=1e-4)
        assert [(one.parsed, one.occurred_at.utcoffset()) for one in await logged(memories, user)] == [
            (one.parsed, one.occurred_at.utcoffset()) for one in await logged(memories, other)
        ]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(agree())
    loop.close()


@ON_SQLITE
async def test_what_was_bought_before_the_trip_is_found_live_and_after_an_import(speaking: Memories) -> None:
    said = [
        (30, "I bought a pair of hiking boots in a small shop."),
        (28, "Our trip to Rome begins today, we are at the airport."),
        (20, "I bought a new frying pan for the kitchen."),
        (12, "I bought tickets for the opera."),
        (3, "I bought flowers for my mother."),
    ]
    now = START + timedelta(days=60)
    for ago, content in said:
        await speaking.remember("ada", [Draft("user", content, "s", now - timedelta(days=ago))])
    question = Draft("user", "What did I buy two days before the trip to Rome?", "s", now)
    turn = await speaking.recall_and_store("ada", question, 5, 0)
    best = turn.recalled.recollections[0]
    assert best.content == said[0][1]
    asked = turn.remembered.messages[0][0]
    assert asked.parsed is not None and asked.parsed["cue"] == "What did I buy ?" and asked.parsed["span"]

    await taken_along(speaking, "ada", "eve")
    seen = await inspection.trace(speaking, "eve", asked.id)
    read, source = seen.read[0]
    assert source.content == said[0][1]
    assert read.weight == pytest.approx(best.weight, abs=1e-3)


@ON_SQLITE
async def test_a_message_from_before_decisions_were_kept_is_parsed_when_it_is_read_again(memories: Memories) -> None:
    at = START + timedelta(days=40)
    await memories.remember("ada", [Draft("user", "I bought boots.", "s", at - timedelta(days=3))])
    await memories.recall_and_store("ada", Draft("user", "What did I buy three days ago?", "s", at), 4, 0)
    lines = "".join([line async for line in await export(memories, "ada")])
    assert '"parsed": {"span": [' in lines
    old = []
    for line in lines.splitlines():
        one = json.loads(line)
        one.pop("parsed", None)
        if "fingerprint" in one:
            one["fingerprint"] = "of other weights"  # so that each turn reads anew
        old.append(json.dumps(one))
    await import_user(memories, "eve", "\n".join(old).encode())
    assert compare(await live_state(memories, "ada"), await live_state(memories, "eve")) == []
    assert [one.parsed for one in await logged(memories, "eve")] == [
        one.parsed for one in await logged(memories, "ada")
    ]


async def test_a_day_to_come_is_answered_by_what_was_told_of_it(speaking: Memories) -> None:
    at = datetime(2026, 11, 26, 10, tzinfo=timezone(timedelta(hours=1)))
    for days, text in (
        (357, "I went hiking in the hills."),
        (9, "The dentist appointment is on 3 December."),
        (5, "I cleaned out the garage."),
        (2, "I booked a table at the Lotus Garden."),
    ):
        await speaking.remember("ada", [Draft("user", text, "s", at - timedelta(days=days))])
    found = await speaking.recall("ada", "What is on 3 December?", 4, asked_at=at)
    assert "dentist" in found.recollections[0].content
