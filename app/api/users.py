"""Users: listed; and one as a whole, taken along, brought back, erased."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Send

from app.api.auth import AdminCaller, UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.paging import cursor_of, place_of
from app.api.presence import while_present
from app.api.schemas import Cursor, Limit, MemoryVersion, UserId
from app.memories import inspection, transfer
from app.memories.serialization import DamagedMemory
from app.store.database import Conflict, StoreUnavailable

router = APIRouter(prefix="/v1/users", tags=["users"], responses=RESPONSES)
logger = logging.getLogger(__name__)

_LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        "description": "what `export` gave",
    }
}


_TYPES = ("application/x-ndjson", "application/jsonl", "application/json")
_NO_LINES = {"description": "the content type is none of " + ", ".join(_TYPES)}


class Imported(BaseModel):
    """A user brought back."""

    messages: int
    memory: MemoryVersion


async def _only_lines(request: Request) -> None:
    # A page of another site may send a form's types without asking; these it may not.
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in _TYPES:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {_TYPES[0]}")


class UserEntry(BaseModel):
    """A user, and how much there is of them."""

    user_id: str
    messages: int
    slots_used: int
    last_at: datetime | None = Field(description="when their last message was said")


class UserPage(BaseModel):
    """Users, in the order of their ids."""

    users: list[UserEntry]
    next_cursor: str | None


@router.get("")
async def users(caller: AdminCaller, memories: MemoriesDep, limit: Limit = 50, cursor: Cursor = None) -> UserPage:
    """Every user."""
    after = place_of(cursor, str)
    page = await inspection.users(memories, after[0] if after else "", limit + 1)
    shown = page[:limit]
    return UserPage(
        users=[UserEntry(**vars(one)) for one in shown],
        next_cursor=cursor_of(shown[-1].user_id) if len(page) > limit else None,
    )


@router.get("/{user_id}/export", response_class=StreamingResponse)
async def export(user_id: UserId, caller: UserCaller, memories: MemoriesDep) -> StreamingResponse:
    """Everything of the user as JSON lines: a heading, messages in order, each with what its turn read, an end.

    Where something was forgotten its place is kept, so that an import makes the same memory of the rest.
    """
    lines = await transfer.export(memories, user_id)
    begun = [await anext(lines), await anext(lines)]  # what fails at once is an ordinary error reply
    headers = {"Content-Disposition": 'attachment; filename="mneme.jsonl"'}
    return _Lines(_chain(begun, lines), media_type="application/x-ndjson", headers=headers)


class _Lines(StreamingResponse):
    """Lines of which one may not be readable: the reply then breaks off, so that no client takes it for whole."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except (StoreUnavailable, DamagedMemory, Conflict) as error:
            # uvicorn closes a connection whose reply has no end
            logger.error("an export broke off: %s", type(error).__name__ if isinstance(error, Conflict) else error)


async def _chain(begun: list[str], rest: AsyncIterator[str]) -> AsyncIterator[str]:
    for line in begun:
        yield line
    async for line in rest:
        yield line


@router.post(
    "/{user_id}/import",
    status_code=201,
    openapi_extra=_LINES,
    dependencies=[Depends(_only_lines)],
    responses={415: _NO_LINES},
)
async def import_user(user_id: UserId, request: Request, caller: UserCaller, memories: MemoriesDep) -> Imported:
    """Brings an export back, as a user that does not exist yet; the memory is made anew from the messages."""
    done = await while_present(request, transfer.import_user(memories, user_id, await request.body()))
    return Imported(messages=done.messages, memory=MemoryVersion(version=done.head.version, slots_used=done.slots_used))


@router.delete("/{user_id}", status_code=204)
async def erase(user_id: UserId, caller: UserCaller, memories: MemoriesDep) -> None:
    """Erases the user: log, memory, traces. No row stays."""
    await memories.erase(user_id)
