"""Every slot of a memory at once, as columns of small numbers, for a picture of up to a hundred thousand slots."""

import base64
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.memories.cache import CachedMemory
from app.memories.memories import Memories
from app.store import timeline
from memory_core import allocation
from memory_core.state import EpisodicState

Numbers = np.ndarray[Any, np.dtype[Any]]
_MOST = 65_535  # what a column of two bytes counts to


@dataclasses.dataclass(frozen=True)
class MemoryMap:
    """The used slots of a memory, ascending; where messages share a slot, the last written of them.

    Attributes:
        capacity: slots that the memory has.
        clock: number of the last message written.
        columns: base64 of little-endian arrays: `slot`, `written` (the number of the message in the log) and `said_at`
            (seconds since 1970) as uint32, `usage` and `strength` as uint8 (255 is 1), `reads`, `session` and `speaker`
            (places in the lists) as uint16.
        sessions, speakers: names, in order of their first message; a reply has the speaker `assistant`, an unnamed
            user `user`.
    """

    version: int
    capacity: int
    clock: int
    count: int
    columns: dict[str, str]
    sessions: list[str]
    speakers: list[str]


async def memory_map(of: Memories, user_id: str) -> MemoryMap:
    """The map of a user's memory.

    Raises:
        NotFound: no such user.
    """

    async def view(live: CachedMemory) -> MemoryMap:
        async with of.database.reading() as connection:
            origins = await timeline.origins(connection, live.head.id)
        capacity = live.head.capacity
        rows, slots = _last_written(live.state, capacity)
        usage = allocation.usage_now(live.state)[rows]
        known, written = np.array([one.seq for one in origins], dtype=np.int64), live.state.source[rows].cpu().numpy()
        sessions, session = _numbered([one.session_id for one in origins], known, written)
        speakers, speaker = _numbered([one.speaker or one.role for one in origins], known, written)
        numbers = {
            "slot": slots.numpy().astype("<u4"),
            "written": written.astype("<u4"),
            "said_at": live.state.said_at[rows].clamp(min=0, max=2**32 - 1).cpu().numpy().astype("<u4"),
            "usage": (255 * usage.clamp(0, 1)).round().cpu().numpy().astype("u1"),
            "strength": (255 * live.state.strength[rows].clamp(0, 1)).round().cpu().numpy().astype("u1"),
            "reads": live.state.reads[rows].clamp(max=_MOST).cpu().numpy().astype("<u2"),
            "session": session,
            "speaker": speaker,
        }
        return MemoryMap(
            version=live.head.version,
            capacity=capacity,
            clock=int(live.state.clock),
            count=len(rows),
            columns={name: base64.b64encode(column.tobytes()).decode() for name, column in numbers.items()},
            sessions=sessions,
            speakers=speakers,
        )

    return await of.inspect(user_id, view)


def _last_written(state: EpisodicState, capacity: int) -> tuple[Tensor, Tensor]:
    """The row of each used slot that was written last, and the slots, ascending."""
    source = state.source.cpu()
    used = (source > 0).nonzero().squeeze(1)
    ascending = used[torch.sort(source[used], stable=True).indices]
    place = torch.full((capacity,), -1).scatter_reduce(0, ascending % capacity, torch.arange(len(ascending)), "amax")
    slots = (place >= 0).nonzero().squeeze(1)
    return ascending[place[slots]], slots


def _numbered(names: list[str], known: Numbers, wanted: Numbers) -> tuple[list[str], Numbers]:
    """The different names in order, and for each wanted message the place of its name among them.

    Args:
        names: of the known messages.
        known, wanted: numbers of messages; a wanted one that is not known counts as of the first name.
    """
    places: dict[str, int] = {}
    of_known = np.array([min(places.setdefault(name, len(places)), _MOST) for name in names], dtype="<u2")
    at = np.searchsorted(known, wanted).clip(max=max(len(known) - 1, 0))
    return list(places)[: _MOST + 1], of_known[at] if len(known) else np.zeros(len(wanted), "<u2")
