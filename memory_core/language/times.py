"""When a text speaks of, in the days of whoever said it: "last week", "on 3 December", "in three days".

`named_span` is for what is asked: which time it asks for. `told_span` is for what is told: when that happens or
happened. A date without a year, a bare weekday and a feast lie in the past or ahead; the verbs tell which (`tense`),
and where they do not, the nearest is meant (of what is told, the next). A text that names no time must cost next to
nothing, since every message comes through here: only where one of a few words stands is more looked at.
"""

from datetime import datetime
from typing import NamedTuple

from memory_core.language import (  # noqa: F401  (each adds its rules)
    times_elsewhere,
    times_english_compound,
    times_english_dates,
    times_english_relative,
)
from memory_core.language.spans import DAY, Now, Span
from memory_core.language.times_english import BESIDE_IT, RULES, Reading, days_beside, may_name_time

FIRST = 2_000  # characters that are looked at: what is longer tells a story, it does not ask


class Named(NamedTuple):
    """A time that a text names: from which character to which, and when."""

    start: int
    end: int
    span: Span


def named_span(text: str, at: datetime) -> Span | None:
    """The first time that a text said at a moment asks for; None where it names none."""
    found = _first(text, at, telling=False)
    if found is None:
        return None
    beside = BESIDE_IT.search(text, 0, found.start)
    if beside is None or found.span.end - found.span.start != DAY:
        return found.span
    first, days = days_beside(beside)
    return Now(at).span(found.span.start + first * DAY, found.span.start + (first + days) * DAY)


def told_span(text: str, said_at: datetime) -> Span | None:
    """When that happens or happened which a message tells of; None where it names no time."""
    found = _first(text, said_at, telling=True)
    return found and found.span


def without_time(text: str, at: datetime) -> str:
    """The text without the day that it tells a time by, and that time ("the week before 3 August"), where it does."""
    found = _first(text, at, telling=False)
    beside = found and BESIDE_IT.search(text, 0, found.start)
    return text[: beside.start()] + text[found.end :] if found and beside else text


def _first(text: str, at: datetime, telling: bool) -> Named | None:
    """The time that is named first; of those that begin there, the longest."""
    text = text[:FIRST].lower().replace("’", "'")
    if len(text) > FIRST:  # a few letters grow in lower case
        text = text[:FIRST]
    if may_name_time(text):
        reading = Reading(text, Now(at), telling)
        best: Named | None = None
        for pattern, rule in RULES:
            for found in pattern.finditer(text):
                if best and (found.start(), -found.end()) >= (best.start, -best.end):
                    break
                span = rule(found, reading)
                if span is not None:
                    best = Named(found.start(), found.end(), span)
                    break
        if best:
            return best
    elsewhere = times_elsewhere.first(text, Now(at), telling)
    return elsewhere and Named(*elsewhere)
