"""A message as the memory takes it: what the encoder is given of it, and how it is written.

The service and a replay both write through here, so that a replayed log gives the memory that is stored.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import torch

from app.memories.cache import CachedMemory
from app.store.log import Message
from app.store.memories import MemoryRecord
from memory_core import writing
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.language.times import told_span
from memory_core.message_features import MessageFeatures
from memory_core.state import EpisodicState
from memory_core.writing import Written

WRITTEN_AT_ONCE = 8  # then the thread that computes turns to others
_LONGEST_EVENT = 367 * 86_400  # seconds


@dataclasses.dataclass(frozen=True)
class Draft:
    """A message to remember."""

    role: str
    content: str
    session_id: str
    occurred_at: datetime
    speaker: str | None = None
    external_id: str | None = None
    status: str = "complete"
    name: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def spoken(message: Draft | Message) -> str:
    """What the encoder is given: when it was said and, if a name is known, by whom, then what was said."""
    return header(message.speaker, message.occurred_at) + message.content


@dataclasses.dataclass(frozen=True)
class Remembered:
    """Messages now in the log, each with the slots it holds, and the memory as it stands."""

    messages: list[tuple[Message, list[int]]]
    head: MemoryRecord
    slots_used: int
    timings_ms: dict[str, float]


class DifferentText(Exception):
    """A message came again, under the external id of another text."""

    def __init__(self, known: Message, sent: Draft) -> None:
        super().__init__(f"external_id {known.external_id}: known with another text; edit that message, or forget it")
        self.message_id = known.id
        self.digests = {"stored": _digest(known.content), "sent": _digest(sent.content)}


def write_messages_(
    core: EpisodicMemory, live: CachedMemory, said: Sequence[tuple[Message, Utterance]]
) -> tuple[set[int], set[int]]:
    """Writes messages to a live memory, in place. Returns the rows that changed, and those whose words did."""
    changed, written = set[int](), set[int]()
    for message, utterance in said:
        live.state, wrote = write_message_(core, live.state, message, utterance)
        changed |= set(wrote.changed.tolist())
        written |= set(wrote.rows.tolist() + wrote.narrowed.tolist())
    return changed, written


def write_message_(
    core: EpisodicMemory, state: EpisodicState, message: Message, utterance: Utterance
) -> tuple[EpisodicState, Written]:
    """Writes a message to the memory, in place."""
    gate = precedence_gate(core, message)
    return core.write_(state, utterance, message.seq, gate, features_of(core, message))


def features_of(core: EpisodicMemory, message: Draft | Message) -> MessageFeatures:
    """How a message was said, as the memory takes it."""
    reply, at = _is_reply(message), message.occurred_at
    return core.message_features(message.content, message.speaker, reply, at, _event(message))


def _event(message: Draft | Message) -> tuple[int, int]:
    """The time that a message tells of, at most a year long; (0, 0) where it names none."""
    span = told_span(message.content, message.occurred_at)
    return (span.start, span.end) if span and span.end - span.start <= _LONGEST_EVENT else (0, 0)


def remembered(live: CachedMemory, messages: Sequence[Message], timings_ms: dict[str, float]) -> Remembered:
    """Messages of the log with the slots that hold them now."""
    held: dict[int, list[int]] = {message.seq: [] for message in messages}
    sources = live.state.source
    index = torch.isin(sources, sources.new_tensor(sorted(held))).nonzero().squeeze(1)
    parts = zip(live.state.part[index].tolist(), index.tolist(), sources[index].tolist(), strict=True)
    for _, row, source in sorted(parts):
        held[source].append(row % live.head.capacity)
    return Remembered(
        [(message, held[message.seq]) for message in messages], live.head, live.state.slots_used, timings_ms
    )


def precedence_gate(core: EpisodicMemory, message: Message) -> float:
    """What a message takes of the precedence."""
    return writing.precedence_gate(core.config, message.content, _is_reply(message))


def _is_reply(message: Draft | Message) -> bool:
    """Whether nobody says it of themselves: a named speaker is never taken for the assistant, a system or a tool."""
    return message.role != "user" and message.speaker is None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
