"""A user's messages: remembering them, their traces, forgetting them."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep, SettingsDep
from app.api.errors import RESPONSES
from app.api.gate import check_text
from app.api.presence import while_present
from app.api.schemas import EditRequest, LogEntry, MessageId, PutRequest, RememberReply, RememberRequest, UserId, draft
from app.api.views import Trace
from app.memories import inspection

router = APIRouter(prefix="/v1/users/{user_id}/messages", tags=["messages"], responses=RESPONSES)


@router.post("", status_code=201)
async def remember(
    user_id: UserId,
    body: RememberRequest,
    request: Request,
    caller: UserCaller,
    memories: MemoriesDep,
    settings: SettingsDep,
) -> RememberReply:
    """Remembers messages, in the order given, without replying: all of them or none."""
    check_text(settings, sum(len(message.content) for message in body.messages))
    session_id = body.session_id or uuid.uuid4().hex
    drafts = [draft(message, session_id, settings.zone) for message in body.messages]
    return RememberReply.of(await while_present(request, memories.remember(user_id, drafts)))


@router.put("")
async def put(
    user_id: UserId,
    body: PutRequest,
    request: Request,
    caller: UserCaller,
    memories: MemoriesDep,
    settings: SettingsDep,
) -> RememberReply:
    """Remembers a message in place of the one known by its `external_id`, which goes whole; else as a new one."""
    check_text(settings, len(body.message.content))
    new = draft(body.message, body.session_id or uuid.uuid4().hex, settings.zone)
    return RememberReply.of(await while_present(request, memories.editing.put(user_id, new)))


@router.patch("/{message_id}")
async def edit(
    user_id: UserId,
    message_id: MessageId,
    body: EditRequest,
    request: Request,
    caller: UserCaller,
    memories: MemoriesDep,
) -> RememberReply:
    """Puts another text in a message's place: the old one goes whole, the new one counts as remembered last."""
    edit = memories.editing.edit(user_id, message_id, body.content, body.metadata)
    return RememberReply.of(await while_present(request, edit))


@router.get("/{message_id}/trace")
async def trace(user_id: UserId, message_id: MessageId, caller: UserCaller, memories: MemoriesDep) -> Trace:
    """What the turn of this message read, by mode, and what it wrote."""
    return Trace.of(await inspection.trace(memories, user_id, message_id))


class ForgetReply(BaseModel):
    """What is gone, and what had recalled it."""

    forgotten: list[str] = Field(description="ids of the messages that are gone")
    replies_that_recalled: list[str] = Field(description="ids of the replies that had recalled the message")


class RecalledBy(BaseModel):
    """The replies to turns that recalled a message: they may quote it."""

    replies: list[LogEntry]


@router.get("/{message_id}/recalled-by")
async def recalled_by(user_id: UserId, message_id: MessageId, caller: UserCaller, memories: MemoriesDep) -> RecalledBy:
    """The assistant's replies to turns that recalled this message, so that they may quote it."""
    replies = await memories.editing.replies_that_recalled(user_id, message_id)
    return RecalledBy(replies=[LogEntry.of(reply) for reply in replies])


@router.delete(
    "/{message_id}",
    status_code=204,
    responses={200: {"model": ForgetReply, "description": "with `with_replies=true`: what is gone"}},
)
async def forget(
    user_id: UserId,
    message_id: MessageId,
    caller: UserCaller,
    memories: MemoriesDep,
    with_replies: Annotated[bool, Query(description="the replies that recalled it go too")] = False,
) -> Response:
    """Forgets a message: its text, its slots, its links, and its place in every trace.

    `X-Recalled-By` has the ids of the replies that recalled it, if any did (the first 20): they may quote it.
    """
    done = await memories.forget(user_id, message_id, with_replies)
    if with_replies:
        told = ForgetReply(forgotten=done.messages, replies_that_recalled=done.replies_that_recalled)
        return JSONResponse(told.model_dump())
    named = ", ".join(done.replies_that_recalled[:20])
    return Response(status_code=204, headers={"X-Recalled-By": named} if named else None)
