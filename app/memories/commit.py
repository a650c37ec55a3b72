"""What changes in a stored memory, and the one place that applies it: all of it or nothing.

Writing, forgetting, replaying and importing each make a `Change`; it is applied only while the memory is at the version
that it was computed from.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.memories.cache import CachedMemory
from app.memories.device import Device
from app.memories.serialization import changed_rows, new_head, word_rows
from app.store import log, memories, users
from app.store.database import Database, Row
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.state import EpisodicState


@dataclasses.dataclass(frozen=True)
class Change:
    """A memory's next version, and what of its rows differs from the one before.

    Attributes:
        expected: the version that it was computed from; 0 for a memory that is to be made.
        record: the memory's row as it will be.
        rows: counters and links of slots that changed.
        words: what newly written slots hold.
        freed: slots that hold nothing any more.
        said: messages that come to the log.
        forgotten: messages that go from it, and the places that stay.
        places: forgotten places that come to the log with an import.
        reads: what turns read.
        decided: where every turn read anew, by message, how sure the memory was and what was decided of the text;
            `reads` then replace all others.
        anew: whether the slots replace all others.
    """

    expected: int
    record: MemoryRecord
    rows: Sequence[Row]
    words: Sequence[Row]
    freed: Sequence[int]
    said: Sequence[Message] = ()
    forgotten: Sequence[tuple[Message, Tombstone]] = ()
    places: Sequence[Tombstone] = ()
    reads: Sequence[ReadTrace] = ()
    decided: Mapping[int, tuple[float, Mapping[str, Any]]] | None = None
    anew: bool = False

    @classmethod
    def of(
        cls,
        old: MemoryRecord,
        state: EpisodicState,
        changed: Iterable[int],
        written: Iterable[int],
        last_seq: int | None = None,
    ) -> "Change":
        """The change from a stored memory to a state.

        Args:
            changed: rows whose counters or links changed.
            written: rows whose words changed.
            last_seq: of the log after the change, if it has grown.
        """
        rows, freed = changed_rows(state, changed)
        record = new_head(old, state, old.last_seq if last_seq is None else last_seq)
        return cls(old.version, record, rows, word_rows(state, written), freed)

    @classmethod
    def whole(cls, old: MemoryRecord, state: EpisodicState, last_seq: int | None = None) -> "Change":
        """The change from a stored memory, whatever it holds, to a state that was made anew."""
        used = (state.source > 0).nonzero().squeeze(1).tolist()
        return dataclasses.replace(cls.of(old, state, used, used, last_seq), anew=True)


async def commit(database: Database, user_id: str, change: Change) -> None:
    """Applies a change to a user's memory, in one transaction.

    Raises:
        Conflict: the memory is not, or no longer, at the version that the change was computed from.
        StoreUnavailable: the database went away.
    """
    memory_id = change.record.id
    async with database.writing() as connection:
        if change.expected == 0:
            await users.add(connection, user_id, datetime.now(UTC))
            await memories.begin(connection, user_id, change.record)
        await memories.advance(connection, change.expected, change.record)
        if change.anew and change.expected:
            await memories.clear_slots(connection, memory_id)
        await memories.put_slots(connection, memory_id, change.rows, change.words, change.freed)
        for message, place in change.forgotten:
            await memories.remove_reads(connection, memory_id, message.seq)
            await log.remove(connection, memory_id, message, place)
        if change.said:
            await log.append(connection, memory_id, change.said)
        if change.places:
            await log.add_tombstones(connection, memory_id, change.places)
        if change.decided is not None:
            await memories.clear_reads(connection, memory_id)
            await log.set_decided(connection, memory_id, change.decided)
        await memories.add_reads(connection, memory_id, change.reads)


async def compute_and_commit(
    device: Device, database: Database, user_id: str, live: CachedMemory, compute: Callable[[], Change]
) -> dict[str, float]:
    """Computes a change of a live memory where all else is computed, and commits it. Returns both times, in ms."""
    began = time.perf_counter()
    change = await device.run(compute)
    computed = time.perf_counter()
    await commit(database, user_id, change)
    live.head = change.record
    committed = time.perf_counter()
    return {"write": round(1000 * (computed - began), 3), "commit": round(1000 * (committed - computed), 3)}
