"""All slots of a memory at once, for a picture of it."""

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.schemas import UserId
from app.memories import memory_map as maps

router = APIRouter(prefix="/v1/users/{user_id}/memory", tags=["memory"], responses=RESPONSES)


class MemoryMap(BaseModel):
    """The used slots, ascending, as columns of little-endian numbers in base64: the number of slots is `count`."""

    version: int
    slots: int = Field(description="the memory's capacity")
    clock: int = Field(description="number of the last message written; `written` counts up to it")
    count: int = Field(description="length of each column")
    columns: dict[str, str] = Field(
        description="`slot`, `written`, `said_at` (seconds since 1970): uint32; `usage`, `strength`: uint8, 255 is 1;"
        " `reads`, `session`, `speaker` (places in the lists below): uint16"
    )
    sessions: list[str]
    speakers: list[str] = Field(description="names; `user` and `assistant` for those without one")

    @classmethod
    def of(cls, seen: maps.MemoryMap) -> Self:
        return cls(slots=seen.capacity, **{name: value for name, value in vars(seen).items() if name != "capacity"})


@router.get("/map")
async def memory_map(caller: UserCaller, user_id: UserId, memories: MemoriesDep) -> MemoryMap:
    """Every used slot's usage, age, strength, reads, session and speaker; where messages share one, the last's."""
    return MemoryMap.of(await maps.memory_map(memories, user_id))
