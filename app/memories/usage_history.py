"""How a slot's usage came to be what it is: what its write set, and what every reading since made of it."""

import dataclasses
from datetime import datetime

import torch

from app.memories.cache import CachedMemory
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log, memories
from memory_core import allocation
from memory_core.allocation import use_
from memory_core.episodic import EpisodicMemory

_MOST_READINGS = 1_000


@dataclasses.dataclass(frozen=True)
class Point:
    """Usage just after a message of the log wrote the slot or, in a turn, read it.

    Attributes:
        number: of the message, in order of the log.
        message_id, read_at: of the message whose turn read it; None for the write.
    """

    number: int
    usage: float
    message_id: str | None = None
    read_at: datetime | None = None


@dataclasses.dataclass(frozen=True)
class UsageHistory:
    """Usage from the write until now; between two points it halves for every `halves_after` messages."""

    usage: float
    now: int
    halves_after: int
    points: list[Point]


async def usage_history(of: Memories, user_id: str, slot: int) -> UsageHistory:
    """The history of a slot's usage; where messages share it, of the last written.

    Raises:
        NotFound: that slot holds nothing.
    """

    async def view(live: CachedMemory) -> UsageHistory:
        state, capacity = live.state, live.head.capacity
        rows = state.rows_of(slot).tolist() if slot < capacity else []
        if not rows:
            raise NotFound(f"slot {slot} of user {user_id} holds nothing")
        row = max(rows, key=lambda one: (int(state.source[one]), one))
        async with of.database.reading() as connection:
            found = await memories.reads_from(connection, live.head.id, int(state.source[row]))
            read = [one for one in found if one.slot == row][-_MOST_READINGS:]
            cues = await log.by_seqs(connection, live.head.id, {one.seq for one in read})
        weights = [(one.seq - 1, one.weight) for one in read]
        written, strength = int(state.source[row]), float(state.strength[row])
        usages = await of.device.run(_replayed, of.core, capacity, written, strength, weights)
        points = [Point(written, strength)] + [
            Point(one.seq, usage, cues[one.seq].id, cues[one.seq].occurred_at)
            for one, usage in zip(read, usages, strict=True)
            if one.seq in cues
        ]
        return UsageHistory(float(allocation.usage_now(state)[row]), int(state.clock), capacity, points)

    return await of.inspect(user_id, view)


def _replayed(
    core: EpisodicMemory, capacity: int, written: int, strength: float, read: list[tuple[int, float]]
) -> list[float]:
    """The usage after each reading, (clock, weight), by the rule that the memory itself goes by."""
    state = core.empty(capacity, 1)
    row = torch.zeros(1, dtype=torch.int64, device=state.usage.device)
    state.usage[0], state.touched[0] = strength, written
    usages = []
    for clock, weight in read:
        use_(state, row, state.usage.new_tensor([weight]), state.clock * 0 + clock)
        usages.append(float(state.usage[0]))
    return usages
