"""A user's messages over all sessions, to look through."""

import dataclasses
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.filtering import ListFilter
from app.api.paging import cursor_of, place_of
from app.api.schemas import Cursor, Limit, LogEntry, UserId
from app.memories import timeline
from app.memories.validation import IDENTIFIER, External, no_dots

router = APIRouter(prefix="/v1/users/{user_id}/messages", tags=["messages"], responses=RESPONSES)


class TimelineEntry(LogEntry):
    """A message of any session."""

    session_id: str
    forgotten_after: int | None = Field(
        description="messages forgotten between this and the one remembered next; null in a filtered list"
    )

    @classmethod
    def at(cls, one: timeline.Entry) -> Self:
        said = one.message
        return cls(**LogEntry.of(said).model_dump(), session_id=said.session_id, forgotten_after=one.forgotten_after)


class TimelinePage(BaseModel):
    """Messages, the last remembered first."""

    messages: list[TimelineEntry]
    next_cursor: str | None


@router.get("")
async def messages(
    caller: UserCaller,
    user_id: UserId,
    memories: MemoriesDep,
    filtered: ListFilter,
    session_id: Annotated[str | None, Query(pattern=IDENTIFIER), AfterValidator(no_dots)] = None,
    contains: Annotated[str | None, Query(min_length=1, max_length=200, description="letters of the text")] = None,
    external_id: Annotated[list[External], Query(max_length=100, description="your own ids; any of them")] = [],  # noqa: B006
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TimelinePage:
    """What was said in all sessions, the last remembered first."""
    before = place_of(cursor, int)
    which = dataclasses.replace(filtered, session_id=session_id, contains=contains, external_ids=tuple(external_id))
    page = await timeline.entries(memories, user_id, which, before[0] if before else None, limit + 1)
    shown = page[:limit]
    last = cursor_of(shown[-1].message.seq) if len(page) > limit else None
    return TimelinePage(messages=[TimelineEntry.at(one) for one in shown], next_cursor=last)
