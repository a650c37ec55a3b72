"""Times that texts name, and what they do to a recall."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.memories.memories import Memories
from app.memories.messages import Draft
from app.memories.times import seconds, span_named

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("text", "first", "days"),
    [
        ("What did I tell you last week about the garden?", "2026-11-09", 7),
        ("What did I say yesterday about work?", "2026-11-21", 1),
        ("And the day before yesterday?", "2026-11-20", 1),
        ("Who did I meet on Monday?", "2026-11-16", 1),
        ("What did I tell you three weeks ago?", "2026-10-26", 7),
        ("What did we talk about in March?", "2026-03-01", 31),
        ("Where was I in May 2023?", "2023-05-01", 31),
        ("What happened on 8 May 2023?", "2023-05-08", 1),
        ("What happened on May 8th, 2023?", "2023-05-08", 1),
        ("What happened on 2023-05-08?", "2023-05-08", 1),
        ("What did I plan in December?", "2025-12-01", 31),
        ("What did I read last year?", "2025-01-01", 365),
        ("What did I do the week before August 3, 2023?", "2023-07-27", 7),
        ("Which puppy did she get two weeks before August 11, 2023?", "2023-07-25", 7),
        ("Who called the day after 8 May?", "2026-05-09", 1),
        ("Who called three days after last Monday?", "2026-11-19", 1),
        ("What did I plan the week before March 2023?", "2023-03-01", 31),
    ],
)
def test_a_time_is_the_day_week_month_or_year_that_the_words_mean(text: str, first: str, days: int) -> None:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert span_named(text, NOW) == (seconds(start), seconds(start + timedelta(days=days)))


@pytest.mark.parametrize(
    "text",
    [
        "What is my dog's name?",
        "May I ask about June, my sister?",
        "The march of time",
        "What happened two days before the trip?",
        "30 February 2023",
        "in 0000",
        "999 years ago 999 years ago",
        "",
    ],
)
def test_a_text_that_names_no_time_has_none(text: str) -> None:
    assert span_named(text, datetime(900, 1, 1, tzinfo=UTC) if text.startswith("999") else NOW) is None


@given(st.text(max_size=60), st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_no_text_and_no_moment_breaks_it(text: str, now: datetime) -> None:
    for said in (text, f"{text} last week {text}", f"{text} in December {text}", f"in {text} 2020"):
        span = span_named(said, now.replace(tzinfo=UTC))
        assert span is None or span[0] < span[1]


async def test_what_was_said_then_is_found_before_what_was_said_at_other_times(memories: Memories) -> None:
    for day in range(30, 0, -1):
        draft = Draft("user", "I worked in the garden and planted things", "s", NOW - timedelta(days=day))
        await memories.remember("ada", [draft])
    plain = await memories.recall("ada", "What did I plant in the garden?", 3, asked_at=NOW)
    dated = await memories.recall("ada", "What did I plant in the garden 3 days ago?", 3, asked_at=NOW)
    assert dated.recollections[0].occurred_at == NOW - timedelta(days=3)
    assert plain.recollections[0].occurred_at != NOW - timedelta(days=3)
    later = await memories.recall(
        "ada", "What did I plant in the garden 3 days ago?", 3, asked_at=NOW + timedelta(days=-10)
    )
    assert later.recollections[0].occurred_at == NOW - timedelta(days=13)
    assert dated.confidence == pytest.approx(later.confidence)
