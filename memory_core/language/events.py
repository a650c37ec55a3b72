"""When a text speaks of, where it names an event: "on my birthday", "two days before the trip to Rome".

Two steps: what the text says of the event (by pattern, in English), and when the event was, by the messages that the
memory finds for its name. As with `times`, a text that names no event must cost nothing.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from memory_core.language.spans import DAY, Now, Span, local_date, nth_day
from memory_core.language.times import FIRST, told_span
from memory_core.language.times_english import BESIDE, days_beside

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


@runtime_checkable
class Told(Protocol):
    """A message that the memory finds for an event's name."""

    @property
    def content(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def weight(self) -> float: ...


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


def event_span(event: Event, found: Sequence[Told], asked_at: datetime) -> Span | None:
    """The time meant; None where nothing was found.

    Args:
        found: what the memory has for the event's name, the heaviest first. The first that weighs well and names a day
            tells when the event was; where none does, it was when the heaviest was said. A birthday comes every year.
    """
    if not found:
        return None
    now = Now(asked_at)
    believed = (one for one in found if one.weight >= _NEXT_BEST * found[0].weight)
    days = (day_told(one.content, one.occurred_at) for one in believed)
    day = next(filter(None, days), None) or found[0].occurred_at.toordinal()
    if _YEARLY.search(event.name):
        told = local_date(day)
        day = now.yearly(nth_day(told.month, told.day), "past")[0]
    return now.days(day + event.first, day + event.first + event.days)


def day_told(text: str, said_at: datetime) -> int | None:
    """The number of the day that a message names for what it tells of; None where it names none, or more than a day."""
    span = told_span(text, said_at)
    return Now(said_at).number(span.start) if span and span.end - span.start <= DAY else None
