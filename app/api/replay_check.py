"""Whether a memory is what its log makes of it."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
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
async def check(caller: UserCaller, user_id: UserId, memories: MemoriesDep) -> ReplayCheck:
    """Makes the memory anew from the messages and compares, changing nothing; takes as long as an import."""
    done = await replay(memories.database, memories.device, user_id, write=False, standing=memories.standing)
    if done is None:
        raise NotFound(f"no user {user_id}")
    return ReplayCheck(
        messages=done.messages,
        same=not done.foreign and not done.differences,
        foreign=done.foreign,
        differences=done.differences,
    )
