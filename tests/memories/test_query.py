"""What a text asks for, apart from the day or the event that it tells a time by."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.memories.memories import Memories
from app.memories.messages import Draft
from app.memories.query import parse

NOW = datetime(2026, 6, 18, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("What is my dog called?", ["What is my dog called?"]),
        ("What did I buy on 3 August?", ["What did I buy on 3 August?"]),
        ("What did I buy the week before August 3, 2023, again?", ["What did I buy , again?"]),
        ("The week before 3 August?", ["The week before 3 August?"]),
        ("What was it on my birthday?", ["What was it on my birthday?", "What was it on my birthday?", "my birthday"]),
        (
            "Two days before the trip to Rome, what did I buy?",
            ["Two days before the trip to Rome, what did I buy?", ", what did I buy?", "the trip to Rome"],
        ),
        ("A day after my exam", ["A day after my exam", "A day after my exam", "my exam"]),
    ],
)  # fmt: skip
def test_the_cue_goes_without_what_only_tells_a_time(text: str, cues: list[str]) -> None:
    assert parse(text, NOW).texts == cues


@given(st.text(max_size=60))
def test_a_cue_is_part_of_the_text_and_never_empty_but_with_it(text: str) -> None:
    for said in (text, f"{text} the week before 3 August {text}", f"{text} two days before our {text}"):
        of = parse(said, NOW)
        assert len(of.texts) == (3 if of.dated_by else 1) + (of.context is not None)
        assert all(any(map(str.isalnum, cue)) for cue in of.texts) or not any(map(str.isalnum, said))


async def test_what_was_said_on_the_day_that_a_time_is_told_by_does_not_come_first(memories: Memories) -> None:
    for ago in range(30, 0, -1):
        at = NOW - timedelta(days=ago)
        await memories.remember("ada", [Draft("user", f"It is {at:%-d %B}, I worked in the garden", "s", at)])
    query = "What did I tell you two days before 3 June?"
    found = await memories.recall("ada", query, 3, asked_at=NOW)
    assert found.recollections[0].occurred_at.date() == datetime(2026, 6, 1).date()


async def test_an_event_that_is_not_held_tells_no_time(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    for ago in range(30, 0, -1):
        said = "We set off for Rome" if ago == 12 else "I worked in the garden and planted things"
        await memories.remember("ada", [Draft("user", said, "s", NOW - timedelta(days=ago))])
    query = "What did I plant in the garden two days before our trip to Rome?"
    held = await memories.recall("ada", query, 5, asked_at=NOW)
    monkeypatch.setattr("app.memories.query._KNOWN", 1.1)
    unknown = await memories.recall("ada", query, 5, asked_at=NOW)
    monkeypatch.setattr("app.memories.query.event_named", lambda text: None)
    timeless = await memories.recall("ada", query, 5, asked_at=NOW)
    assert unknown.recollections == timeless.recollections != held.recollections
