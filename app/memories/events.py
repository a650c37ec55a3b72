"""When a text speaks of, where it names an event: "on my birthday", "two days before the trip to Rome".

Two steps: what the text says of the event (by pattern, in English), and when the event was, by the messages that the
memory finds for its name. As with `times`, a text that names no event must cost nothing.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.memories.times import BESIDE, DAY, FIRST, day_told, days_beside, midnight, seconds
from app.memories.trace import Recollection

_WHOSE = r"(?:my|our|your|his|her|their|the|[^\W\d]+(?:'s|’s))"
_ENDS = (
    r"\ (?:about|and|but|did|do|does|had|have|he|i|she|that|they|to\ me|was|we|were|what|when|where|which|who|you)\b"
)
_NAMED = rf"{_WHOSE}\ [^.,;:!?\n]{{2,60}}?(?={_ENDS}|[.,;:!?\n]|$)"
_OCCASION = r"birthday|anniversary|wedding(?:\ day)?|graduation|engagement|funeral|christening|retirement"
_PHRASE = re.compile(
    rf"""\b(?:
      {BESIDE}(?P<beside>{_NAMED})
    | (?:on(?:\ the\ day\ of)?|at|during)\ (?P<on>{_WHOSE}\ (?:[\w'’]+\ ){{0,2}}?(?:{_OCCASION}))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_YEARLY = re.compile(r"\b(?:birthday|anniversary)$", re.IGNORECASE)
_NEXT_BEST = 0.5  # of the heaviest recollection's weight: one that names a day and weighs as much is believed before it


class Event(NamedTuple):
    """An event that a text names, and which days about it are meant.

    Attributes:
        name: as the text has it.
        first: the first of the days, counted from the event's: -2 is two days before.
        days: how many.
    """

    name: str
    first: int
    days: int


def event_named(text: str) -> Event | None:
    """The first event that the text names a time by, or None."""
    found = _PHRASE.search(text, 0, FIRST)
    if found is None:
        return None
    if found["on"]:
        return Event(found["on"], 0, 1)
    return Event(found["beside"], *days_beside(found))


def without_event(text: str) -> str:
    """The text without the event that it tells another time by, and that time; whole where it means the event's own."""
    found = _PHRASE.search(text, 0, FIRST)
    return text[: found.start()] + text[found.end() :] if found and found["beside"] else text


def event_span(event: Event, found: Sequence[Recollection], asked_at: datetime) -> tuple[int, int] | None:
    """The time meant, from when to when, in seconds since 1970; None where nothing was found.

    Args:
        found: what the memory has for the event's name, the heaviest first. The first that weighs well and names a day
            tells when the event was; where none does, it was when the heaviest was said. A birthday comes every year.
    """
    if not found:
        return None
    believed = (one for one in found if one.weight >= _NEXT_BEST * found[0].weight)
    days = (day_told(one.content, one.occurred_at, asked_at) for one in believed)
    day = next(filter(None, days), None) or midnight(found[0].occurred_at)
    if _YEARLY.search(event.name):
        day = _last(day, asked_at.astimezone(UTC))
    try:
        start = day + timedelta(days=event.first)
    except OverflowError:
        return None
    return seconds(start), seconds(start) + event.days * DAY


def _last(day: datetime, now: datetime) -> datetime:
    """The same day of the last year in which it was before now; 29 February, where there is none, is the 28th."""
    year = now.year if (day.month, day.day) <= (now.month, now.day) else now.year - 1
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)
