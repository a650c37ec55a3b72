"""Taking a user along as JSON lines, and bringing one back: the log is taken, the memory is made from it anew.

What was forgotten leaves a place in the log, which is taken along too: so later messages lie where they lay, and the
memory that comes back is the one that was exported.
"""

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Collection, Mapping

from app.memories.commit import Change, commit
from app.memories.export_format import BadImport, ExportedUser, end, heading, message_line, parse, place_lines
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.replay import LEAST_SLOTS, Fold
from app.store import log, memories
from app.store.database import Conflict
from app.store.log import Message
from app.store.memories import MemoryRecord, ReadTrace
from memory_core import writing

__all__ = ["BadImport", "Imported", "UserExists", "export", "import_user"]

_MESSAGES_AT_ONCE = 500
_EXPORTED_AT_ONCE = 32  # so many are read and written down without keeping others waiting


class UserExists(Exception):
    """A user is brought back only where none of that name is."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """A user brought back."""

    messages: int
    head: MemoryRecord
    slots_used: int


async def export(of: Memories, user_id: str) -> AsyncIterator[str]:
    """The user as it is now: a heading, messages with what their turns read and forgotten places in order, an end.

    Raises:
        NotFound: no such user (before the first line).
        Conflict: something was forgotten meanwhile (after some lines, and then there is no end).
    """
    async with of.database.reading() as connection:
        head = await memories.granted(connection, user_id)
        if head is None:
            raise NotFound(f"no user {user_id}")
        places = await log.tombstones(connection, head.id)
        messages = await log.count(connection, head.id)

    async def lines() -> AsyncIterator[str]:
        yield heading(user_id, head, messages, len(places))
        waiting = sorted(place_lines(places).items())
        seq, more = 0, True
        while more:
            async with of.database.reading() as connection:
                said = await log.after(connection, head.id, seq, _EXPORTED_AT_ONCE)
                more = len(said) == _EXPORTED_AT_ONCE and said[-1].seq < head.last_seq
                said = [message for message in said if message.seq <= head.last_seq]
                read = await memories.reads_of(connection, head.id, [message.seq for message in said])
                found = await log.by_seqs(connection, head.id, {one.source for reads in read.values() for one in reads})
                if await log.tombstones(connection, head.id) != places:
                    raise Conflict(f"something of {user_id} was forgotten while it was exported")
            page = []
            for message in said:
                while waiting and waiting[0][0] < message.seq:
                    page.append(waiting.pop(0)[1])
                page.append(message_line(message, read[message.seq], found))
            yield "".join(page)
            seq = said[-1].seq if said else seq
        yield "".join(line for _, line in waiting) + end(messages, len(places))

    return lines()


async def import_user(of: Memories, user_id: str, body: bytes) -> Imported:
    """Makes a user of exported lines: all of them or none.

    Under the weights and in the size that the memory was exported with, what its turns had read is applied as it was;
    else every turn reads anew.

    Raises:
        BadImport: a line that is not of an export.
        UserExists: there is a user of that name.
    """
    exported = await asyncio.to_thread(parse, body)
    async with of.database.reading() as connection:
        if await memories.granted(connection, user_id) is not None:
            raise _exists(user_id)
    fits = exported.capacity is not None and LEAST_SLOTS <= exported.capacity <= of.slots
    capacity = exported.capacity if fits and exported.capacity else of.slots
    is_same = (exported.fingerprint, exported.capacity) == (of.device.fingerprint, capacity)
    fold = await _folded(of, exported, capacity, exported.traces if is_same else exported.counted())
    versions = max((place.version for place in exported.places), default=0)
    begun = MemoryRecord(uuid.uuid4().hex, versions, of.device.fingerprint, capacity, 0, 0, b"", b"")
    change = dataclasses.replace(
        await of.device.run(Change.whole, begun, fold.state, exported.last_seq),
        expected=0,
        said=[fold.as_read(message) for message in exported.said],
        places=exported.places,
        reads=fold.reads,
    )
    try:
        await commit(of.database, user_id, change)
    except Conflict:  # begun while we computed
        raise _exists(user_id) from None
    return Imported(len(exported.said), change.record, fold.state.slots_used)


async def _folded(
    of: Memories, exported: ExportedUser, capacity: int, traces: Mapping[int, list[ReadTrace] | int]
) -> Fold:
    by_seq = {message.seq: message for message in exported.said}

    async def lookup(seqs: Collection[int]) -> Mapping[int, Message]:
        return {seq: by_seq[seq] for seq in seqs if seq in by_seq}

    most = writing.slots_of(of.core.config, 2**31, capacity)  # no message takes more
    places = [dataclasses.replace(place, parts=min(place.parts, most)) for place in exported.places]
    fold = Fold(of.device, await of.device.run(of.core.empty, capacity), places, lookup, of.standing, keeps_reads=True)
    said = exported.said
    for start in range(0, len(said), _MESSAGES_AT_ONCE):
        await fold.take(said[start : start + _MESSAGES_AT_ONCE], traces)
    await fold.finish(exported.last_seq)
    return fold


def _exists(user_id: str) -> UserExists:
    return UserExists(f"user {user_id} exists: erase it first, or import under another name")
