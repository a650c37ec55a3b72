"""What the service answers, typed. Fields that this version does not know are left out, so that a newer service serves.

`tests/clients/test_models.py` holds them against the service's own schemas.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Modes(Reply):
    """How a weight came about: by content, along links from what was read before, or as what holds until revoked."""

    content: float
    forward: float
    backward: float
    standing: float = 0.0


class Recollection(Reply):
    """A message that the memory found, with its share of the reading."""

    message_id: str
    external_id: str | None
    session_id: str
    role: str
    speaker: str | None
    name: str | None
    content: str
    metadata: dict[str, Any]
    occurred_at: datetime
    slot: int
    weight: float
    modes: Modes


class Recall(Reply):
    """What a cue finds, the heaviest first; `confidence` is how likely the memory holds what is asked."""

    recalled: list[Recollection]
    confidence: float
    timings_ms: dict[str, float]


class WrittenMemory(Reply):
    """The memory after a turn."""

    version: int
    slots: int
    slots_used: int
    written: list[int]


class ChatReply(Reply):
    """A turn, answered."""

    session_id: str
    user_message_id: str
    reply_message_id: str
    reply: str
    recalled: list[Recollection]
    memory: WrittenMemory
    timings_ms: dict[str, float]
    finish_reason: str | None = None


class RememberedMessage(Reply):
    """A message that is in the log, and the slots that hold it now."""

    id: str
    external_id: str | None
    slots: list[int]


class MemoryVersion(Reply):
    """The memory after a change."""

    version: int
    slots_used: int


class Remembered(Reply):
    """Messages remembered."""

    messages: list[RememberedMessage]
    memory: MemoryVersion


class Imported(Reply):
    """A user brought back."""

    messages: int
    memory: MemoryVersion


class LogEntry(Reply):
    """A message as it was said."""

    id: str
    external_id: str | None
    role: str
    speaker: str | None
    name: str | None
    content: str
    metadata: dict[str, Any]
    occurred_at: datetime
    status: str


class TimelineEntry(LogEntry):
    """A message of any session."""

    session_id: str
    forgotten_after: int | None


class SessionEntry(Reply):
    """A session."""

    session_id: str
    started_at: datetime
    last_at: datetime
    messages: int


class UserEntry(Reply):
    """A user, and how much there is of them."""

    user_id: str
    messages: int
    slots_used: int
    last_at: datetime | None


class MemorySummary(Reply):
    """A memory at a glance."""

    version: int
    slots: int
    slots_used: int
    word_shape: list[int]
    dtype: str
    bytes: int
    fingerprint: str
    usage_histogram: list[int]
    oldest: datetime | None
    newest: datetime | None
    last_read: datetime | None


class Link(Reply):
    """A temporal link to another slot."""

    slot: int
    weight: float


class Links(Reply):
    """The slots before and after."""

    before: list[Link]
    after: list[Link]


class Held(Reply):
    """What a slot holds: a message, or a part of it."""

    message_id: str
    external_id: str | None
    session_id: str
    role: str
    speaker: str | None
    text: str
    occurred_at: datetime
    part: int
    usage: float
    strength: float
    reads: int
    links: Links


class Slot(Held):
    """A slot; where messages share it, the first of them, and the others."""

    slot: int
    shared_with: list[Held]


class TraceRead(Reply):
    """One slot that a turn read."""

    slot: int
    message_id: str
    weight: float
    modes: Modes


class TraceWritten(Reply):
    """One slot that a message holds."""

    slot: int
    part: int
    strength: float
    usage: float


class Trace(Reply):
    """What a message's turn read and wrote; `confidence` is null where the message was no cue."""

    message_id: str
    confidence: float | None
    read: list[TraceRead]
    written: list[TraceWritten]


class StandingEntry(Reply):
    """A statement that holds until revoked, and how surely."""

    message_id: str
    content: str
    occurred_at: datetime
    score: float


class ForgetReply(Reply):
    """What is gone, and which replies had recalled it: they may quote it."""

    forgotten: list[str]
    replies_that_recalled: list[str]


class KeyEntry(Reply):
    """A key, without what opens anything."""

    id: str
    name: str
    prefix: str
    scope: str
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(KeyEntry):
    """A key that was made; `key` is shown this once."""

    key: str


class UserToken(Reply):
    """A token, to be sent as a key is; it opens one user's data."""

    token: str
    user_id: str
    expires_at: datetime
