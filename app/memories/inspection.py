"""Looking into a memory: what its slots hold, how they are linked, what a turn read. Nothing here changes anything."""

import asyncio
import dataclasses
import io
from datetime import datetime
from typing import Literal

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from app.memories.cache import CachedMemory
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log, memories
from app.store import users as every_user
from app.store.filters import Filter
from app.store.log import Message, Session
from app.store.memories import ReadTrace
from app.store.users import UserEntry
from memory_core import allocation
from memory_core.binary_codes import decode_word

Order = Literal["slot", "usage", "reads", "strength", "written"]


@dataclasses.dataclass(frozen=True)
class MemorySummary:
    """A memory's sizes and ages."""

    version: int
    slots: int
    slots_used: int
    word_shape: list[int]
    dtype: str
    bytes: int
    fingerprint: str
    usage_histogram: list[int]
    oldest: datetime | None
    newest: datetime | None
    last_read: datetime | None


@dataclasses.dataclass(frozen=True)
class SlotView:
    """A slot and the message that it holds; where messages share it, the one that comes first in the order asked for,
    the others in `shared_with`. `token_ids` and `word` are the whole slot's, and there only where asked for.
    """

    slot: int
    message: Message
    part: int
    usage: float
    strength: float
    reads: int
    before: list[tuple[int, float]]
    after: list[tuple[int, float]]
    token_ids: list[str] = dataclasses.field(default_factory=list)
    word: list[list[float]] = dataclasses.field(default_factory=list)
    shared_with: list["SlotView"] = dataclasses.field(default_factory=list)
    key: float = 0.0  # what the list was ordered by


@dataclasses.dataclass(frozen=True)
class TraceView:
    """A message with what its turn read and the slots that it holds."""

    message: Message
    read: list[tuple[ReadTrace, Message]]
    written: list[SlotView]


async def summary(of: Memories, user_id: str) -> MemorySummary:
    """The memory at a glance."""

    async def view(live: CachedMemory) -> MemorySummary:
        state, head = live.state, live.head
        rows = (state.source > 0).nonzero().squeeze(1)
        slots, place = torch.unique(rows % head.capacity, return_inverse=True)
        usage = state.usage.new_zeros(len(slots)).scatter_reduce(0, place, allocation.usage_now(state)[rows], "amax")
        async with of.database.reading() as connection:
            last_cue = await log.last_cue(connection, live.head.id)
            oldest, newest = await memories.span(connection, live.head.id)
        return MemorySummary(
            version=head.version,
            slots=head.capacity,
            slots_used=state.slots_used,
            word_shape=[of.core.config.facets, of.core.config.word],
            dtype="bit",
            bytes=state.nbytes,
            fingerprint=head.fingerprint,
            usage_histogram=torch.histc(usage.clamp(0, 1).cpu(), bins=10, min=0.0, max=1.0).long().tolist(),
            oldest=oldest,
            newest=newest,
            last_read=last_cue.occurred_at if last_cue else None,
        )

    return await of.inspect(user_id, view)


async def slots(
    of: Memories, user_id: str, order: Order, limit: int, after: tuple[float, int] | None = None
) -> list[SlotView]:
    """Used slots: by number ascending, or by another measure descending, those past the place `after`."""

    async def view(live: CachedMemory) -> list[SlotView]:
        keys = _keys(of, live, order).tolist()
        sign = 1 if order == "slot" else -1
        rows = {slot: _first_by(keys, rows) for slot, rows in _rows_by_slot(live).items()}
        placed = sorted((sign * keys[held[0]], slot) for slot, held in rows.items())
        if after is not None:
            placed = [place for place in placed if place > (sign * after[0], after[1])]
        seen = await _views(of, user_id, live, [rows[slot] for _, slot in placed[:limit]])
        return [dataclasses.replace(one, key=sign * key) for one, (key, _) in zip(seen, placed, strict=False)]

    return await of.inspect(user_id, view)


async def whole_slot(of: Memories, user_id: str, slot: int) -> SlotView:
    """One used slot, with its word.

    Raises:
        NotFound: that slot holds nothing.
    """

    async def view(live: CachedMemory) -> SlotView:
        state = live.state
        rows = state.rows_of(slot).tolist() if slot < live.head.capacity else []
        if not rows:
            raise NotFound(f"slot {slot} of user {user_id} holds nothing")
        rows.sort(key=lambda row: (int(state.source[row]), row), reverse=True)
        seen = (await _views(of, user_id, live, [rows]))[0]
        held = state.token_ids[rows] >= 0
        return dataclasses.replace(
            seen,
            token_ids=of.device.encoder.names(state.token_ids[rows][held]),
            word=decode_word(state.words[rows][held]).tolist(),
        )

    return await of.inspect(user_id, view)


async def matrix(of: Memories, user_id: str, format: Literal["npz", "safetensors"]) -> bytes:
    """All tensors of the state, by name."""

    def packed(live: CachedMemory) -> bytes:
        tensors = {name: tensor.cpu().contiguous() for name, tensor in live.state.tensors().items()}
        if format == "safetensors":
            head = live.head
            return save(tensors, {"fingerprint": head.fingerprint, "version": str(head.version)})
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: tensor.numpy() for name, tensor in tensors.items()})  # type: ignore[arg-type]
        return buffer.getvalue()

    async def view(live: CachedMemory) -> bytes:
        return await asyncio.to_thread(packed, live)  # compressing takes long, and the event loop has others to serve

    return await of.inspect(user_id, view)


async def trace(of: Memories, user_id: str, message_id: str) -> TraceView:
    """What a message's turn read, and the slots that the message holds.

    Raises:
        NotFound: no such message.
    """

    async def view(live: CachedMemory) -> TraceView:
        async with of.database.reading() as connection:
            message = await log.by_id(connection, live.head.id, message_id)
            if message is None:
                raise NotFound(f"user {user_id} has no message {message_id}")
            read = (await memories.reads_of(connection, live.head.id, [message.seq]))[message.seq]
            found = await log.by_seqs(connection, live.head.id, {one.source for one in read})
        held = (live.state.source == message.seq).nonzero().squeeze(1).tolist()
        written = await _views(of, user_id, live, [[row] for row in held])
        return TraceView(
            message,
            [
                (dataclasses.replace(one, slot=one.slot % live.head.capacity), found[one.source])
                for one in read
                if one.source in found
            ],
            sorted(written, key=lambda one: one.part),
        )

    return await of.inspect(user_id, view)


async def users(of: Memories, after: str, limit: int) -> list[UserEntry]:
    """Every user whose id comes after one, in order; for administrators."""
    async with of.database.reading() as connection:
        return await every_user.page(connection, after, limit)


async def sessions(of: Memories, user_id: str, before_seq: int | None, limit: int) -> list[Session]:
    """The user's sessions, the last used first.

    Raises:
        NotFound: no such user.
    """
    async with of.database.reading() as connection:
        record = await memories.granted(connection, user_id)
        if record is None:
            raise NotFound(f"no user {user_id}")
        return await log.list_sessions(connection, record.id, before_seq, limit)


async def rename_session(of: Memories, user_id: str, session_id: str, title: str | None) -> None:
    """Gives a session a title, or takes it away; its id stays, and no memory changes.

    Raises:
        NotFound: no such user or session.
    """
    async with of.database.writing() as connection:
        record = await memories.granted(connection, user_id)
        if record is None:
            raise NotFound(f"no user {user_id}")
        if not await log.rename_session(connection, record.id, session_id, title):
            raise NotFound(f"user {user_id} has no session {session_id}")


async def session_log(of: Memories, user_id: str, which: Filter, after_seq: int, limit: int) -> list[Message]:
    """A session's messages, those that are wanted, in order.

    Raises:
        NotFound: no such user or session.
    """
    async with of.database.reading() as connection:
        record = await memories.granted(connection, user_id)
        session_id = which.session_id or ""
        if record is None or not await log.session_exists(connection, record.id, session_id):
            raise NotFound(f"user {user_id} has no session {session_id}")
        return await log.matching(connection, record.id, which, after_seq, limit)


def _keys(of: Memories, live: CachedMemory, order: Order) -> Tensor:
    state = live.state
    match order:
        case "slot":
            return torch.arange(state.rows, dtype=torch.float64, device=state.source.device) % live.head.capacity
        case "usage":
            return allocation.usage_now(state).double()
        case "reads":
            return state.reads.double()
        case "strength":
            return state.strength.double()
        case "written":
            return state.source.double()


def _rows_by_slot(live: CachedMemory) -> dict[int, list[int]]:
    """The rows of every slot that holds something."""
    found: dict[int, list[int]] = {}
    for row in (live.state.source > 0).nonzero().squeeze(1).tolist():
        found.setdefault(row % live.head.capacity, []).append(row)
    return found


def _first_by(keys: list[float], rows: list[int]) -> list[int]:
    """The rows, that of the greatest key first, the last in number first among equals."""
    return sorted(rows, key=lambda row: (-keys[row], -row)) if len(rows) > 1 else rows


async def _views(of: Memories, user_id: str, live: CachedMemory, chosen: list[list[int]]) -> list[SlotView]:
    """A view of each group of rows, which share a slot."""
    state, capacity = live.state, live.head.capacity
    sources = {row: int(state.source[row]) for rows in chosen for row in rows}
    known = await of.messages_held(user_id, live, set(sources.values()))
    usage = allocation.usage_now(state)

    def view(row: int) -> SlotView:
        return SlotView(
            slot=row % capacity,
            message=known[sources[row]],
            part=int(state.part[row]),
            usage=float(usage[row]),
            strength=float(state.strength[row]),
            reads=int(state.reads[row]),
            before=_links(state.backward_slots[row], state.backward_weights[row], capacity),
            after=_links(state.forward_slots[row], state.forward_weights[row], capacity),
        )

    return [dataclasses.replace(view(rows[0]), shared_with=[view(row) for row in rows[1:]]) for rows in chosen]


def _links(rows: Tensor, weights: Tensor, capacity: int) -> list[tuple[int, float]]:
    held = zip(rows.tolist(), weights.tolist(), strict=True)
    return sorted(((row % capacity, weight) for row, weight in held if row >= 0), key=lambda link: (-link[1], link[0]))
