"""What a text asks for: the cue that the memory is addressed with, and the time that it speaks of.

A day or an event that only tells another time by ("the week before 3 August", "two days before the trip to Rome") is no
part of what is asked for: the cue goes without it, or what was said of it would come first.
"""

from datetime import datetime
from typing import NamedTuple

from app.memories.events import Event, event_named, without_event
from app.memories.times import span_named, without_day


class ParsedQuery(NamedTuple):
    """What a text asks for.

    Attributes:
        cues: what is to be encoded: the cue; where an event is named, the whole text, the cue, and the event's name.
        span: the time that it names, from when to when, in seconds since 1970.
        event: or else the event that it names a time by.
    """

    cues: list[str]
    span: tuple[int, int] | None
    event: Event | None


def asked(text: str, at: datetime) -> ParsedQuery:
    """What `text`, said at a time, asks for."""
    span = span_named(text, at)
    if span is not None:
        return ParsedQuery([_or_all(without_day(text), text)], span, None)
    event = event_named(text)
    if event is None:
        return ParsedQuery([text], None, None)
    return ParsedQuery([text, _or_all(without_event(text), text), event.name], None, event)


def _or_all(rest: str, text: str) -> str:
    return rest if any(map(str.isalnum, rest)) else text
