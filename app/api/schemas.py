"""What requests may say and what replies say; ids, names and texts obey `app.memories.validation`."""

from datetime import datetime, tzinfo
from typing import Annotated, Any, Self

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from app.api.content import Content, other_parts
from app.api.filtering import KEY_RULE, as_written, is_key
from app.memories.messages import Draft, Remembered
from app.memories.recalled import Recalled
from app.memories.trace import Recollection as Found
from app.memories.validation import (
    IDENTIFIER,
    MESSAGE_ID,
    External,
    Identifier,
    Metadata,
    Moment,
    Name,
    Role,
    Text,
    in_zone,
    in_zone_or_now,
    no_dots,
)
from app.store.filters import Filter
from app.store.log import Message as Logged

MOST_MESSAGES = 1_000
MOST_RECALLED = 100

Count = Annotated[int, Field(strict=True, ge=1, le=MOST_RECALLED)]

UserId = Annotated[
    str,
    Path(pattern=IDENTIFIER, description="the caller's own name for the user", examples=["ada"]),
    AfterValidator(no_dots),
]
UserName = Annotated[str, Field(pattern=IDENTIFIER), AfterValidator(no_dots)]
SessionId = Annotated[str, Path(pattern=IDENTIFIER, examples=["monday"]), AfterValidator(no_dots)]
MessageId = Annotated[str, Path(pattern=MESSAGE_ID, description="as given when it was remembered")]
SlotNumber = Annotated[int, Path(ge=0, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="most entries of one page")]
Cursor = Annotated[str | None, Query(max_length=256, description="`next_cursor` of the page before")]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ChatRequest(Request):
    """One turn."""

    user_id: Identifier = Field(examples=["ada"])
    message: Text = Field(examples=["My dog is called Biscuit."])
    session_id: Identifier | None = Field(None, description="continues that session; else a new one begins")
    stream: Annotated[bool, Field(strict=True)] = Field(False, description="answer as server-sent events")
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=4096)] | None = Field(None, description="longest reply")
    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    k: Count | None = Field(None, description="messages to recall")
    occurred_at: Moment | None = Field(None, description="when it was said, if not now; without an offset, in TIMEZONE")


class NewMessage(Request):
    """A message to remember."""

    role: Role = Field(examples=["user"])
    content: Content = Field(
        description="a text, or OpenAI's list of parts: their text is kept, and the types of the others are listed in"
        " `metadata.parts`",
        examples=["We adopted a beagle and named him Biscuit."],
    )
    name: Name | None = Field(None, description="the author's name in the interface that it comes from")
    metadata: Metadata = Field(
        default_factory=dict, description="a small JSON object of your own: up to 4 KB; lists filter by it"
    )
    speaker: Name | None = Field(None, description="who said it, where several people take part", examples=["Ada"])
    occurred_at: Moment | None = Field(None, description="when it was said, if not now; without an offset, in TIMEZONE")
    external_id: External | None = Field(None, description="your own id; a message known by it is not added again")

    @model_validator(mode="before")
    @classmethod
    def _name_other_parts(cls, given: Any) -> Any:
        others = other_parts(given.get("content")) if isinstance(given, dict) else []
        metadata = given.get("metadata", {}) if others else {}
        return {**given, "metadata": {**metadata, "parts": others}} if others and isinstance(metadata, dict) else given


class EditRequest(Request):
    """Another text in a message's place."""

    content: Content
    metadata: Metadata | None = Field(None, description="in place of the metadata there is, if given")


class RememberRequest(Request):
    """Messages to remember without a reply."""

    session_id: Identifier | None = Field(None, description="the session that they belong to; else a new one")
    messages: Annotated[list[NewMessage], Field(min_length=1, max_length=MOST_MESSAGES)]


class KnownMessage(NewMessage):
    """A message that is known by an id of yours."""

    external_id: External = Field(description="your own id; a message known by it is replaced")


class PutRequest(Request):
    """A message to remember in place of the one that is known by its external id."""

    session_id: Identifier | None = Field(None, description="the session that it belongs to; else a new one")
    message: KnownMessage


class RecallRequest(Request):
    """A cue."""

    query: Text = Field(examples=["What's my dog's name?"])
    k: Count | None = Field(None, description="messages to recall")
    asked_at: Moment | None = Field(
        None, description='when the question is asked, which "last week" in it is relative to; now, if not given'
    )
    session_id: Identifier | None = Field(None, description="recall only what was said in that session")
    role: Role | None = None
    speaker: Name | None = None
    since: Moment | None = Field(None, description="recall only what was said then or later")
    until: Moment | None = Field(None, description="recall only what was said before")
    metadata: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="recall only messages with these values; `metadata.KEY` does too"
    )
    min_confidence: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="below it nothing is recalled")
    min_weight: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="less is not recalled")

    @model_validator(mode="before")
    @classmethod
    def _gather_metadata(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not any(
            isinstance(name, str) and name.startswith("metadata.") for name in given
        ):
            return given
        dotted = {name: value for name, value in given.items() if name.startswith("metadata.")}
        held = given.get("metadata", {})
        gathered = {name.removeprefix("metadata."): value for name, value in dotted.items()}
        rest = {name: value for name, value in given.items() if name not in dotted}
        return {**rest, "metadata": {**held, **gathered}} if isinstance(held, dict) else rest

    @field_validator("metadata")
    @classmethod
    def _by_keys(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        if not all(is_key(key) for key in metadata):
            raise ValueError(KEY_RULE)
        return metadata

    def filter(self, zone: tzinfo) -> Filter:
        """Which messages are to be recalled."""
        return Filter(
            session_id=self.session_id,
            role=self.role,
            speaker=self.speaker,
            since=self.since and in_zone(self.since, zone),
            until=self.until and in_zone(self.until, zone),
            metadata=as_written(self.metadata),
        )


class Modes(BaseModel):
    """How a weight came about: by content, along the temporal links from what was read before, or because it holds
    until revoked and is read at every turn."""

    content: float
    forward: float
    backward: float
    standing: float


class Recollection(BaseModel):
    """A message that the memory found."""

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

    @classmethod
    def of(cls, found: Found) -> Self:
        said = found.message
        return cls(
            message_id=said.id,
            external_id=said.external_id,
            session_id=said.session_id,
            role=said.role,
            speaker=said.speaker,
            name=said.name,
            content=said.content,
            metadata=dict(said.metadata),
            occurred_at=said.occurred_at,
            slot=found.slot,
            weight=found.weight,
            modes=Modes(
                content=found.by_content,
                forward=found.by_forward,
                backward=found.by_backward,
                standing=found.by_standing,
            ),
        )


class WrittenMemory(BaseModel):
    """The memory after a turn."""

    version: int
    slots: int = Field(description="its capacity")
    slots_used: int
    written: list[int] = Field(description="the slots that this turn's messages took")


class ChatReply(BaseModel):
    """A turn, answered."""

    session_id: str
    user_message_id: str
    reply_message_id: str
    reply: str
    recalled: list[Recollection]
    memory: WrittenMemory
    timings_ms: dict[str, float]
    finish_reason: str | None = Field(
        description="stop: the model ended; length: cut at max_tokens; repetition: it went round in circles; or null"
    )


class RememberedMessage(BaseModel):
    """A message that is in the log."""

    id: str
    external_id: str | None
    slots: list[int] = Field(description="the slots that hold it now")


class MemoryVersion(BaseModel):
    """The memory after an import."""

    version: int
    slots_used: int


class RememberReply(BaseModel):
    """Messages remembered."""

    messages: list[RememberedMessage]
    memory: MemoryVersion

    @classmethod
    def of(cls, done: Remembered) -> Self:
        return cls(
            messages=[
                RememberedMessage(id=message.id, external_id=message.external_id, slots=slots)
                for message, slots in done.messages
            ],
            memory=MemoryVersion(version=done.head.version, slots_used=done.slots_used),
        )


class RecallReply(BaseModel):
    """What the memory finds."""

    recalled: list[Recollection]
    confidence: float = Field(description="how likely the memory holds what is asked, 0 to 1")
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, found: Recalled) -> Self:
        return cls(
            recalled=[Recollection.of(one) for one in found.recollections],
            confidence=found.confidence,
            timings_ms=found.timings_ms,
        )


class SessionEntry(BaseModel):
    """A session."""

    session_id: str
    title: str | None = Field(None, exclude_if=lambda title: title is None, description="what its user calls it")
    started_at: datetime
    last_at: datetime
    messages: int


class RenameRequest(Request):
    """What a session is called."""

    title: Name | None = Field(description="null takes the title away", examples=["The trip to Rome"])


class SessionPage(BaseModel):
    """Sessions, the last used first."""

    sessions: list[SessionEntry]
    next_cursor: str | None


class LogEntry(BaseModel):
    """A message as it was said."""

    id: str
    external_id: str | None
    role: str
    speaker: str | None
    name: str | None
    content: str
    metadata: dict[str, Any]
    occurred_at: datetime
    status: str = Field(description="`complete`, or `interrupted` for a reply that was cut short")

    @classmethod
    def of(cls, said: Logged) -> Self:
        return cls(**{name: getattr(said, name) for name in cls.model_fields})


class LogPage(BaseModel):
    """A session's messages, in order."""

    messages: list[LogEntry]
    next_cursor: str | None


def draft(message: NewMessage, session_id: str, zone: tzinfo) -> Draft:
    """A message of a request, ready to be remembered.

    Args:
        zone: of its time, where that came without an offset or not at all.
    """
    return Draft(
        role=message.role,
        content=message.content,
        session_id=session_id,
        occurred_at=in_zone_or_now(message.occurred_at, zone),
        speaker=message.speaker,
        external_id=message.external_id,
        name=message.name,
        metadata=message.metadata,
    )
