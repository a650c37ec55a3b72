"""How a slot's usage came about."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.schemas import SlotNumber, UserId
from app.memories import usage_history

router = APIRouter(prefix="/v1/users/{user_id}/memory/slots", tags=["memory"], responses=RESPONSES)


class UsagePoint(BaseModel):
    """Usage just after the write, or just after a turn read the slot."""

    number: int = Field(description="of the message that wrote or read it, in the order of the log")
    usage: float
    message_id: str | None = Field(description="the message whose turn read it; null for the write")
    read_at: datetime | None


class UsageHistory(BaseModel):
    """Usage from the write until now."""

    usage: float = Field(description="now")
    now: int = Field(description="number of the last message")
    halves_after: int = Field(description="messages after which usage is half, where nothing reads the slot")
    points: list[UsagePoint]

    @classmethod
    def of(cls, found: usage_history.UsageHistory) -> Self:
        return cls(**{**vars(found), "points": [UsagePoint(**vars(one)) for one in found.points]})


@router.get("/{slot}/usage")
async def usage(user_id: UserId, slot: SlotNumber, caller: UserCaller, memories: MemoriesDep) -> UsageHistory:
    """A slot's usage over time, and which turns read it; where messages share it, of the last written."""
    return UsageHistory.of(await usage_history.usage_history(memories, user_id, slot))
