"""Schemas of the views into a memory."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from app.api.schemas import Modes
from app.memories import inspection
from app.memories.standing import ReplacedStatement, StandingStatement
from app.store.log import Message


class MemorySummary(BaseModel):
    """A memory at a glance."""

    version: int
    slots: int = Field(description="its capacity")
    slots_used: int
    word_shape: list[int] = Field(description="facets of a slot, and their width")
    dtype: str
    bytes: int = Field(description="what it takes on the device")
    fingerprint: str = Field(description="names the weights that wrote it")
    usage_histogram: list[int] = Field(description="used slots by usage: [0, 0.1), [0.1, 0.2), … [0.9, 1]")
    oldest: datetime | None = Field(description="when the first of what it holds was said")
    newest: datetime | None = Field(description="when the last of what it holds was said")
    last_read: datetime | None = Field(description="when the last turn that read it was said")

    @classmethod
    def of(cls, seen: inspection.MemorySummary) -> Self:
        return cls(**vars(seen))


class Link(BaseModel):
    """A temporal link to another slot."""

    slot: int
    weight: float


class Links(BaseModel):
    """The slots before and after."""

    before: list[Link]
    after: list[Link]


class Held(BaseModel):
    """What a slot holds: a message, or a part of it."""

    message_id: str
    external_id: str | None
    session_id: str
    role: str
    speaker: str | None
    text: str
    occurred_at: datetime
    part: int = Field(description="which part of a long message, from 0")
    usage: float
    strength: float = Field(description="write strength")
    reads: int
    links: Links

    @classmethod
    def of(cls, seen: inspection.SlotView) -> Self:
        said = seen.message
        return cls(
            message_id=said.id,
            external_id=said.external_id,
            session_id=said.session_id,
            role=said.role,
            speaker=said.speaker,
            text=said.content,
            occurred_at=said.occurred_at,
            part=seen.part,
            usage=seen.usage,
            strength=seen.strength,
            reads=seen.reads,
            links=Links(
                before=[Link(slot=slot, weight=weight) for slot, weight in seen.before],
                after=[Link(slot=slot, weight=weight) for slot, weight in seen.after],
            ),
        )


class Slot(Held):
    """A slot; where messages share it, the first of them in the order asked for, and the others."""

    slot: int
    shared_with: list[Held] = Field(description="the other messages that share the slot; in a memory that is full")

    @classmethod
    def of(cls, seen: inspection.SlotView) -> Self:
        others = [Held.of(one) for one in seen.shared_with]
        return cls(**Held.of(seen).model_dump(), slot=seen.slot, shared_with=others)


class SlotPage(BaseModel):
    """Slots."""

    slots: list[Slot]
    next_cursor: str | None


class WholeSlot(Slot):
    """A slot with its word."""

    pieces: list[str] = Field(description="the word pieces, one a facet")
    word: list[list[float]] = Field(description="the facets, unit vectors of one bit a dimension")

    @classmethod
    def of(cls, seen: inspection.SlotView) -> Self:
        return cls(**Slot.of(seen).model_dump(), pieces=seen.token_ids, word=seen.word)


class StandingEntry(BaseModel):
    """A message that holds until revoked."""

    message_id: str
    content: str
    occurred_at: datetime
    score: float = Field(description="how surely it holds until revoked, 0 to 1")


class StandingList(BaseModel):
    """What every turn reads, the newest first."""

    standing: list[StandingEntry]

    @classmethod
    def of(cls, found: list[StandingStatement]) -> Self:
        return cls(
            standing=[
                StandingEntry(
                    message_id=one.message.id,
                    content=one.message.content,
                    occurred_at=one.message.occurred_at,
                    score=round(one.score, 4),
                )
                for one in found
            ]
        )


class ReplacedBy(BaseModel):
    """What took a statement's place."""

    message_id: str
    content: str
    occurred_at: datetime


class ReplacedEntry(ReplacedBy):
    """A message that held until it was revoked or changed."""

    by: ReplacedBy


class ReplacedList(BaseModel):
    """What took whose place, the newest first."""

    replaced: list[ReplacedEntry]

    @classmethod
    def of(cls, found: list[ReplacedStatement]) -> Self:
        def told(said: Message) -> dict[str, Any]:
            return {"message_id": said.id, "content": said.content, "occurred_at": said.occurred_at}

        return cls(replaced=[ReplacedEntry(**told(one.message), by=ReplacedBy(**told(one.by))) for one in found])


class TraceRead(BaseModel):
    """One slot that a turn read."""

    slot: int
    message_id: str
    weight: float
    modes: Modes


class TraceWritten(BaseModel):
    """One slot that a message holds."""

    slot: int
    part: int
    strength: float
    usage: float


class Trace(BaseModel):
    """What a message's turn read and wrote."""

    message_id: str
    confidence: float | None = Field(description="how sure the memory was; null where the message was no cue")
    read: list[TraceRead]
    written: list[TraceWritten] = Field(description="the slots that it still holds")

    @classmethod
    def of(cls, seen: inspection.TraceView) -> Self:
        return cls(
            message_id=seen.message.id,
            confidence=seen.message.confidence,
            read=[
                TraceRead(
                    slot=one.slot,
                    message_id=found.id,
                    weight=one.weight,
                    modes=Modes(content=one.content, forward=one.forward, backward=one.backward, standing=one.standing),
                )
                for one, found in seen.read
            ],
            written=[
                TraceWritten(slot=one.slot, part=one.part, strength=one.strength, usage=one.usage)
                for one in seen.written
            ],
        )
