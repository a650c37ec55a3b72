"""Who did what to whose memory, for administrators."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.auth import AdminCaller
from app.api.dependencies import AuditDep
from app.api.errors import RESPONSES
from app.api.paging import cursor_of, place_of
from app.api.schemas import Cursor, Limit
from app.store.audit import KeptAct

router = APIRouter(tags=["access"], responses=RESPONSES)


class AuditEntry(BaseModel):
    """One request, without what was said in it."""

    at: datetime
    key_id: str | None = Field(description="the key that was shown; null where none was asked for, or none was valid")
    by_token: bool = Field(description="whether a token that the key minted was shown")
    method: str
    route: str
    user_id: str | None = Field(description="whose memory")
    object_id: str | None = Field(description="the message, session, slot or key that the path names")
    status: int
    request_id: str

    @classmethod
    def of(cls, act: KeptAct) -> Self:
        return cls(**{name: getattr(act, name) for name in cls.model_fields})


class AuditPage(BaseModel):
    """Requests, the latest first."""

    entries: list[AuditEntry]
    next_cursor: str | None


@router.get("/v1/audit")
async def list_audit(
    caller: AdminCaller,
    audit: AuditDep,
    user_id: Annotated[
        str | None, Query(max_length=128, description="only what was done to this user's memory")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditPage:
    """Who read, wrote, exported or forgot whose memory, and when; kept for `AUDIT_DAYS`."""
    before = place_of(cursor, int)
    acts = await audit.latest(before[0] if before else None, limit + 1, user_id)
    shown = acts[:limit]
    last = cursor_of(shown[-1].id) if len(acts) > limit else None
    return AuditPage(entries=[AuditEntry.of(one) for one in shown], next_cursor=last)
