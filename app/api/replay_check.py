"""Whether a memory is what its log makes of it."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.presence import while_present
from app.api.schemas import UserId
from app.memories.live import NotFound
from app.memories.replay import replay

router = APIRouter(prefix="/v1/users/{user_id}/memory", tags=["memory"], responses=RESPONSES)


class ReplayCheck(BaseModel):
    """What a replay of the log found."""

    messages: int = Field(description="messages replayed")
    same: bool = Field(description="the memory is what the log makes of it")
    foreign: bool = Field(description="it was written by other weights, so that there was nothing to compare")
    differences: list[str] = Field(description="a line for each part that differs")


@router.post("/check")
async def check(user_id: UserId, request: Request, caller: UserCaller, memories: MemoriesDep) -> ReplayCheck:
    """Makes the memory anew from the messages and compares, changing nothing; takes as long as an import."""
    of = memories
    work = replay(of.database, of.device, user_id, write=False, standing=of.standing, slots=of.slots)
    done = await while_present(request, work)
    if done is None:
        raise NotFound(f"no user {user_id}")
    return ReplayCheck(
        messages=done.messages,
        same=not done.foreign and not done.differences,
        foreign=done.foreign,
        differences=done.differences,
    )
