"""A user's memory: reading it and looking into it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from app.api.auth import UserCaller
from app.api.dependencies import MemoriesDep, SettingsDep
from app.api.errors import RESPONSES
from app.api.paging import cursor_of, place_of
from app.api.presence import while_present
from app.api.schemas import Cursor, Limit, RecallReply, RecallRequest, SlotNumber, UserId
from app.api.views import MemorySummary, ReplacedList, Slot, SlotPage, StandingList, WholeSlot
from app.memories import inspection, standing
from app.memories.validation import in_zone_or_now

router = APIRouter(prefix="/v1/users/{user_id}/memory", tags=["memory"], responses=RESPONSES)

_MEDIA = {"npz": "application/x-npz", "safetensors": "application/octet-stream"}


@router.post("/recall")
async def recall(
    user_id: UserId,
    body: RecallRequest,
    request: Request,
    caller: UserCaller,
    memories: MemoriesDep,
    settings: SettingsDep,
) -> RecallReply:
    """Reads with a cue, changing nothing."""
    zone = settings.zone
    recall = memories.recall(
        user_id,
        body.query,
        body.k or settings.recalled,
        asked_at=in_zone_or_now(body.asked_at, zone),
        among=body.filter(zone),
        min_confidence=body.min_confidence,
        min_weight=body.min_weight,
    )
    return RecallReply.of(await while_present(request, recall))


@router.get("")
async def summary(user_id: UserId, caller: UserCaller, memories: MemoriesDep) -> MemorySummary:
    """The memory at a glance."""
    return MemorySummary.of(await inspection.summary(memories, user_id))


@router.get("/standing")
async def what_stands(user_id: UserId, caller: UserCaller, memories: MemoriesDep) -> StandingList:
    """What holds until revoked, the newest first: every turn reads it beside what the message recalls."""
    return StandingList.of(await standing.statements(memories, user_id))


@router.get("/standing/replaced")
async def what_was_replaced(user_id: UserId, caller: UserCaller, memories: MemoriesDep) -> ReplacedList:
    """What held until something said later revoked or changed it, and what that was; the newest first."""
    return ReplacedList.of(await standing.replaced_statements(memories, user_id))


@router.get("/slots")
async def slots(
    user_id: UserId,
    caller: UserCaller,
    memories: MemoriesDep,
    order: Annotated[inspection.Order, Query(description="by number, or the greatest first")] = "slot",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SlotPage:
    """The used slots, a page at a time."""
    after = place_of(cursor, float, int)
    page = await inspection.slots(memories, user_id, order, limit + 1, (after[0], after[1]) if after else None)
    more = len(page) > limit
    shown = page[:limit]
    last = cursor_of(shown[-1].key, shown[-1].slot) if more else None
    return SlotPage(slots=[Slot.of(one) for one in shown], next_cursor=last)


@router.get("/slots/{slot}")
async def slot(user_id: UserId, slot: SlotNumber, caller: UserCaller, memories: MemoriesDep) -> WholeSlot:
    """One slot whole, with its word."""
    return WholeSlot.of(await inspection.whole_slot(memories, user_id, slot))


@router.get("/matrix", response_class=Response)
async def matrix(
    user_id: UserId,
    caller: UserCaller,
    memories: MemoriesDep,
    format: Annotated[Literal["npz", "safetensors"], Query()] = "npz",
) -> Response:
    """The memory matrix with usage, links and precedence: every tensor of the state by its name."""
    content = await inspection.matrix(memories, user_id, format)
    headers = {"Content-Disposition": f'attachment; filename="memory.{format}"'}
    return Response(content, media_type=_MEDIA[format], headers=headers)
