"""Why a recall finds what it finds."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep, SettingsDep
from app.api.errors import RESPONSES
from app.api.presence import while_present
from app.api.schemas import RecallRequest, Recollection, UserId
from app.memories import explanation
from app.memories.validation import in_zone_or_now

router = APIRouter(prefix="/v1/users/{user_id}/memory", tags=["memory"], responses=RESPONSES)


class Ranks(BaseModel):
    """A message's place from 1 on, whole and with one part left out.

    Null: it would not have been looked at, or that part had no say.
    """

    content: int | None = Field(None, description="by what is alike alone, before the second stage")
    reranked: int | None = Field(None, description="with all parts, but for read modes")
    time: int | None = Field(None, description="without the time that the cue names")
    speaker: int | None = Field(None, description="without the speaker that the cue names")
    recency: int | None = Field(None, description="without a later telling before an earlier one")


class Explained(Recollection):
    """A recollection with its ranks and how its word pieces match the cue's."""

    ranks: Ranks
    pieces: list[str] = Field(description="the word pieces of its strongest slot, the rarest first")
    cosines: list[list[float]] = Field(description="of each of them with each word piece of the cue")


class CuePiece(BaseModel):
    """A word piece of the cue and how much it counts, by rarity; the shares sum to 1."""

    piece: str
    share: float


class TimeWindow(BaseModel):
    """The time that the cue names."""

    since: datetime
    until: datetime


class ReadModes(BaseModel):
    """How the cue is read: `following` is the share that starts from what the last turn read."""

    following: float
    forward: float
    content: float
    backward: float


class Explanation(BaseModel):
    """A recall and why it came out so."""

    recalled: list[Explained]
    confidence: float
    doubt_below: float = Field(description="confidence below which the assistant may say it does not remember")
    cue: str = Field(description="what was looked for; without a day or event that only tells a time")
    window: TimeWindow | None
    asks_of_now: bool = Field(description="the cue asks how something stands now: a later telling comes first")
    modes: ReadModes
    pieces: list[CuePiece]
    candidates: int = Field(description="rows that were compared piece by piece")
    parts: list[str] = Field(description="the parts that had a say: the names of `ranks` that are told")
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, found: explanation.ExplainedRecall, doubt_below: float) -> Self:
        recalled = [
            Explained(
                **Recollection.of(one.recollection).model_dump(),
                ranks=Ranks(**one.ranks),
                pieces=one.pieces,
                cosines=one.cosines,
            )
            for one in found.recalled
        ]
        return cls(
            recalled=recalled,
            confidence=found.confidence,
            doubt_below=doubt_below,
            cue=found.cue,
            window=TimeWindow(since=found.span[0], until=found.span[1]) if found.span else None,
            asks_of_now=found.current_state,
            modes=ReadModes(**vars(found.modes)),
            pieces=[CuePiece(piece=piece, share=share) for piece, share in found.pieces],
            candidates=found.candidates,
            parts=sorted(found.parts),
            timings_ms=found.timings_ms,
        )


@router.post("/explain")
async def explain(
    user_id: UserId,
    body: RecallRequest,
    request: Request,
    caller: UserCaller,
    memories: MemoriesDep,
    settings: SettingsDep,
) -> Explanation:
    """Reads as `recall` does, changing nothing, and tells what each part did to the order and which pieces matched."""
    zone = settings.zone
    found = await while_present(
        request,
        explanation.explained(
            memories,
            user_id,
            body.query,
            body.k or settings.recalled,
            in_zone_or_now(body.asked_at, zone),
            body.filter(zone),
            body.min_confidence,
            body.min_weight,
        ),
    )
    return Explanation.of(found, settings.doubt_below)
