"""A user's sessions and the log of each."""

import dataclasses

from fastapi import APIRouter

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.filtering import ListFilter
from app.api.paging import cursor_of, place_of
from app.api.schemas import (
    Cursor,
    Limit,
    LogEntry,
    LogPage,
    RenameRequest,
    SessionEntry,
    SessionId,
    SessionPage,
    UserId,
)
from app.memories import inspection

router = APIRouter(prefix="/v1/users/{user_id}/sessions", tags=["sessions"], responses=RESPONSES)


@router.get("")
async def sessions(
    user_id: UserId, caller: UserCaller, memories: MemoriesDep, limit: Limit = 50, cursor: Cursor = None
) -> SessionPage:
    """The user's sessions, the last used first."""
    before = place_of(cursor, int)
    page = await inspection.sessions(memories, user_id, before[0] if before else None, limit + 1)
    shown = page[:limit]
    entries = [
        SessionEntry(
            session_id=one.id, title=one.title, started_at=one.started_at, last_at=one.last_at, messages=one.messages
        )
        for one in shown
    ]
    return SessionPage(sessions=entries, next_cursor=cursor_of(shown[-1].last_seq) if len(page) > limit else None)


@router.get("/{session_id}/messages")
async def messages(
    user_id: UserId,
    session_id: SessionId,
    caller: UserCaller,
    memories: MemoriesDep,
    which: ListFilter,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LogPage:
    """What was said in a session, in order."""
    after = place_of(cursor, int)
    which = dataclasses.replace(which, session_id=session_id)
    page = await inspection.session_log(memories, user_id, which, after[0] if after else 0, limit + 1)
    shown = page[:limit]
    last = cursor_of(shown[-1].seq) if len(page) > limit else None
    return LogPage(messages=[LogEntry.of(one) for one in shown], next_cursor=last)


@router.patch("/{session_id}", status_code=204)
async def rename(
    user_id: UserId, session_id: SessionId, body: RenameRequest, caller: UserCaller, memories: MemoriesDep
) -> None:
    """Gives a session a title, or takes it away with null; its id stays."""
    await inspection.rename_session(memories, user_id, session_id, body.title)


@router.delete("/{session_id}", status_code=204)
async def forget(user_id: UserId, session_id: SessionId, caller: UserCaller, memories: MemoriesDep) -> None:
    """Forgets a session's messages and all that they wrote."""
    await memories.editing.forget_session(user_id, session_id)
