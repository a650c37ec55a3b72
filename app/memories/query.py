"""What a text asks for, and the one way to read a memory with it.

A turn, a recall, a replay and an import all parse a text and read by the two functions here, `parse` and `read`. What
was decided is kept in the log (`ParsedQuery.plain`), so that reading again later asks neither the rules nor the memory
what "the trip to Rome" meant then.

A day or an event that only tells another time by ("the week before 3 August", "two days before the trip to Rome") is no
part of what is asked for: the cue goes without it, or what was said of it would come first.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from torch import Tensor

from app.memories.device import Device
from app.memories.trace import grouped, recollected
from app.store.log import Message
from memory_core.encoder import Utterance
from memory_core.language.events import Event, event_named, event_span, without_event
from memory_core.language.sentences import sentences
from memory_core.language.times import named_span, without_time
from memory_core.message_features import QUESTION_MARKS
from memory_core.reading import Reading
from memory_core.state import EpisodicState

_OF_EVENT = 3  # messages that are asked when an event was
_KNOWN = 0.75  # confidence from which the memory holds an event

Lookup = Callable[[Collection[int]], Awaitable[Mapping[int, Message]]]  # the messages of these numbers


class EventCue(NamedTuple):
    """An event that a text names a time by, relative to when the text was said.

    Attributes:
        event: which days about which event.
        cue: what is asked for once the event's time is known: the text without it.
        at: when the text was said.
    """

    event: Event
    cue: str
    at: datetime


class ParsedQuery(NamedTuple):
    """What a text asks for.

    Attributes:
        cue: what the memory is addressed with.
        span: the time that it names, from when to when, in seconds since 1970.
        dated_by: the event that it names a time by, of which only the memory can tell when it was.
        context: the whole text, where the cue is only the question in it; it is read too, and counts less.
    """

    cue: str
    span: tuple[int, int] | None = None
    dated_by: EventCue | None = None
    context: str | None = None

    @property
    def texts(self) -> list[str]:
        """What is to be encoded for `read`."""
        dated = [] if self.dated_by is None else [self.dated_by.cue, self.dated_by.event.name]
        return [self.cue, *dated, *([] if self.context is None else [self.context])]

    def plain(self, text: str) -> dict[str, Any]:
        """What was decided of a text, as the log keeps it; empty where the text itself is the cue."""
        kept: dict[str, Any] = {"cue": self.cue} if self.cue != text else {}
        if self.span:
            kept["span"] = list(self.span)
        return {**kept, "context": True} if self.context else kept


def parse(text: str, at: datetime) -> ParsedQuery:
    """What `text`, said at a time, asks for.

    Of a text that tells and then asks, the last question is the cue: what is told before it is not asked for.
    """
    question = last_question(text)
    context = None if question == text else text
    span = named_span(question, at)
    if span is not None:
        return ParsedQuery(_or_all(without_time(question, at), question), span, context=context)
    event = event_named(question)
    if event is None:
        return ParsedQuery(question, context=context)
    return ParsedQuery(
        question, dated_by=EventCue(event, _or_all(without_event(question), question), at), context=context
    )


def last_question(text: str) -> str:
    """The last sentence that ends with a question mark, where the text has other sentences too; else the text."""
    every = sentences(text)
    asking = [sentence for sentence in every if sentence.endswith(QUESTION_MARKS)]
    return asking[-1] if asking and len(every) > 1 else text


def parsed_before(message: Message) -> ParsedQuery:
    """What was decided of a message when it was taken in; parsed now where the log does not tell."""
    if message.parsed is None:
        return parse(message.content, message.occurred_at)
    span = message.parsed.get("span")
    return ParsedQuery(
        message.parsed.get("cue", message.content),
        (span[0], span[1]) if span else None,
        context=message.content if message.parsed.get("context") else None,
    )


async def read(
    device: Device,
    state: EpisodicState,
    query: ParsedQuery,
    cues: Sequence[Utterance],
    messages: Lookup,
    among: Tensor | None = None,
) -> tuple[Reading, ParsedQuery]:
    """Reads a memory, changing nothing; the caller keeps others from changing it meanwhile.

    Args:
        cues: the utterances of `query.texts`.
        messages: finds messages of the memory, to tell when an event was. No database connection may be open meanwhile.
        among: the rows that content may address, where not all.

    Returns:
        The reading, and the query with all that it left open decided.
    """
    addressed, decided = await decide(device, state, query, cues, messages)
    return await device.read(state, addressed, among, decided.span), decided


async def decide(
    device: Device, state: EpisodicState, query: ParsedQuery, cues: Sequence[Utterance], messages: Lookup
) -> tuple[Sequence[Utterance], ParsedQuery]:
    """The cues that `read` addresses the memory with, and the query with all that it left open decided.

    An event of which the memory holds nothing, as far as it can tell, tells no time.
    """
    cues = await device.asked(state, cues, query.texts)
    if query.dated_by is None:
        return cues, query
    whole, dated, name, *context = cues
    span = await _when(device, state, query.dated_by, name, messages)
    if span is None:
        return [whole, *context], ParsedQuery(query.cue, context=query.context)
    return [dated, *context], ParsedQuery(query.dated_by.cue, span, context=query.context)


async def _when(
    device: Device, state: EpisodicState, of: EventCue, name: Utterance, messages: Lookup
) -> tuple[int, int] | None:
    """The time meant, by what the memory holds of the event; None where it holds nothing."""
    reading = await device.read(state, [name])
    if reading.confidence < _KNOWN:
        return None
    found = grouped(reading, state, _OF_EVENT)
    known = await messages({entry.source for entry in found})
    return event_span(of.event, recollected(found, known, int(state.capacity)), of.at)


def _or_all(rest: str, text: str) -> str:
    return rest if any(map(str.isalnum, rest)) else text
