"""A message as the memory takes it: what the encoder is given of it, and how it is written.

The service and a replay both write through here, so that a replayed log gives the memory that is stored.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.memories.times import seconds
from app.store.log import Message
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory, Written
from memory_core.message_features import header
from memory_core.state import EpisodicState


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


def write_message_(
    core: EpisodicMemory, state: EpisodicState, message: Message, utterance: Utterance
) -> tuple[EpisodicState, Written]:
    """Writes a message to the memory, in place."""
    message_features = core.message_features(
        message.content, message.speaker, _is_reply(message), seconds(message.occurred_at)
    )
    return core.write_(state, utterance, message.seq, precedence_gate(core, message), message_features)


def precedence_gate(core: EpisodicMemory, message: Message) -> float:
    """What a message takes of the precedence."""
    return core.precedence_gate(message.content, _is_reply(message))


def _is_reply(message: Message) -> bool:
    return message.role == "assistant" and message.speaker is None  # a named speaker is never taken for the assistant
