"""A user's messages: remembering them, their traces, forgetting them."""

import uuid
from datetime import UTC, datetime

from fastapi import APIRouter, Request

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep, SettingsDep
from app.api.errors import RESPONSES
from app.api.gate import check_text
from app.api.presence import while_present
from app.api.schemas import MessageId, RememberReply, RememberRequest, UserId, draft
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
    session_id, now = body.session_id or uuid.uuid4().hex, datetime.now(UTC)
    drafts = [draft(message, session_id, now) for message in body.messages]
    return RememberReply.of(await while_present(request, memories.remember(user_id, drafts)))


@router.get("/{message_id}/trace")
async def trace(user_id: UserId, message_id: MessageId, caller: UserCaller, memories: MemoriesDep) -> Trace:
    """What the turn of this message read, by mode, and what it wrote."""
    return Trace.of(await inspection.trace(memories, user_id, message_id))


@router.delete("/{message_id}", status_code=204)
async def forget(user_id: UserId, message_id: MessageId, caller: UserCaller, memories: MemoriesDep) -> None:
    """Forgets a message: its text, its slots, its links, and its place in every trace."""
    await memories.forget(user_id, message_id)
