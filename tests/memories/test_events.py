"""Times that texts name by an event, and what they do to a recall."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.memories.memories import Memories
from app.memories.messages import Draft
from app.memories.trace import Recollection
from app.store.log import Message
from memory_core.language.events import Event, day_told, event_named, event_span
from memory_core.language.spans import DAY, seconds

NOW = datetime(2026, 6, 18, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("What did I buy two days before the trip to Rome?", Event("the trip to Rome", -2, 1)),
        ("What did I say 10 days after Nora's wedding, about the car?", Event("Nora's wedding", 10, 1)),
        ("The day after my exam, what did I do?", Event("my exam", 1, 1)),
        ("What did I say the day after my exam about the car?", Event("my exam", 1, 1)),
        ("The day before my exam I bought something", Event("my exam", -1, 1)),
        ("Who called the week before our move?", Event("our move", -7, 7)),
        ("Who called the week after our move?", Event("our move", 1, 7)),
        ("Who called a week before our move?", Event("our move", -10, 7)),
        ("Who called two months after our move?", Event("our move", 45, 30)),
        ("What did I do on my birthday?", Event("my birthday", 0, 1)),
        ("What did we eat on the day of the engagement?", Event("the engagement", 0, 1)),
        ("What did I give her on my sister's 30th birthday?", Event("my sister's 30th birthday", 0, 1)),
    ],
)
def test_a_text_names_a_time_by_an_event(text: str, event: Event) -> None:
    assert event_named(text) == event


@pytest.mark.parametrize(
    "text", ["When is my birthday?", "the day before yesterday", "before the trip", "two days before", "on my desk", ""]
)
def test_other_texts_name_no_event(text: str) -> None:
    assert event_named(text) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("My birthday is on the 14th of February", "2027-02-14"),
        ("The marathon is on 20 June", "2026-06-20"),
        ("She was born on 3 May 1990", "1990-05-03"),
        ("The trip starts tomorrow", "2026-05-14"),
        ("We leave the day after tomorrow", "2026-05-15"),
        ("We leave in two weeks", "2026-05-27"),
        ("We marry next Friday", "2026-05-15"),
        ("Yesterday was the exam", "2026-05-12"),
        ("It was in March", None),
        ("What a day", None),
    ],
)
def test_the_day_that_a_message_tells_is_relative_to_when_it_was_said(text: str, day: str | None) -> None:
    told = day_told(text, datetime(2026, 5, 13, 9, 0, tzinfo=UTC))
    assert told == (datetime.fromisoformat(day).toordinal() if day else None)


def recollection(content: str, said: str, weight: float) -> Recollection:
    said_at = datetime.fromisoformat(said).replace(tzinfo=UTC)
    return Recollection(Message(1, "m", "s", "user", content, said_at), 0, weight, weight, 0.0, 0.0)


def day(text: str) -> int:
    return seconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_an_event_was_when_it_is_told_to_be_or_else_when_it_was_told_of() -> None:
    trip = Event("the trip", -2, 1)
    lived = recollection("We are on the trip!", "2026-05-10T12:00", 0.5)
    planned = recollection("The trip begins on 9 May", "2026-04-01T12:00", 0.3)
    other = recollection("My exam is on 1 May", "2026-04-02T12:00", 0.1)
    assert event_span(trip, [lived, other], NOW) == (day("2026-05-08"), day("2026-05-09"))
    assert event_span(trip, [lived, planned, other], NOW) == (day("2026-05-07"), day("2026-05-08"))
    assert event_span(trip, [], NOW) is None
    assert event_span(Event("the trip", -(10**9), 1), [lived], NOW) is None


@pytest.mark.parametrize(
    ("born", "last"),
    [("3 May 1990", "2026-05-03"), ("3 July 1990", "2025-07-03"), ("29 February 1992", "2026-02-28")],
)
def test_a_birthday_comes_every_year(born: str, last: str) -> None:
    told = recollection(f"I was born on {born}", "2026-01-01", 1.0)
    assert event_span(Event("my birthday", 0, 1), [told], NOW) == (day(last), day(last) + DAY)


@given(st.text(max_size=40), st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_no_text_and_no_moment_breaks_it(text: str, now: datetime) -> None:
    at = now.replace(tzinfo=UTC)
    for said in (f"999 months before the {text}", f"on my {text} birthday", f"{text} in 999 weeks", f"tomorrow {text}"):
        event = event_named(said)
        span = event and event_span(event, [recollection(said, now.isoformat(), 1.0)], at)
        assert span is None or span[0] < span[1]


async def test_what_was_said_about_then_is_found(memories: Memories) -> None:
    for ago in range(30, 0, -1):
        said = [Draft("user", "I worked in the garden and planted things", "s", NOW - timedelta(days=ago))]
        if ago == 12:
            said.insert(
                0, Draft("user", "Today we set off for Rome, our trip at last!", "s", NOW - timedelta(days=ago))
            )
        await memories.remember("ada", said)
    query = "What did I plant in the garden two days before our trip to Rome?"
    found = await memories.recall("ada", query, 3, asked_at=NOW)
    assert found.recollections[0].occurred_at == NOW - timedelta(days=14)
    heard = await memories.recall_and_store("ada", Draft("user", query, "t", NOW), 3, 0)
    assert heard.recalled.recollections[0].occurred_at == NOW - timedelta(days=14)
