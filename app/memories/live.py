"""Users' memories as they stand now: one operation of a user at a time, on the memory as the database has it.

The shape is always the same: under the user's lock take the memory, compute, commit under the condition that its
version has not moved, and redo if it has. A state that was changed but not committed is dropped, never used again.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories.cache import Cache, CachedMemory, Locks
from app.memories.device import Device
from app.memories.serialization import DamagedMemory, load_state
from app.store import memories
from app.store.database import Conflict, Database
from app.store.memories import MemoryRecord

_TRIES = 30
Done = TypeVar("Done")


class ForeignMemory(Exception):
    """A memory that other weights wrote: it must be replayed before this process may use it."""


class NotFound(Exception):
    """The user has no such thing."""


class LiveMemories:
    """Loads, keeps and orders.

    Args:
        slots: capacity of a new user's memory.
        cache_bytes: bound of the live memories kept.
    """

    def __init__(self, database: Database, device: Device, slots: int, cache_bytes: int) -> None:
        self._database, self._device, self._slots = database, device, slots
        self.cache, self._locks = Cache(cache_bytes), Locks()

    async def in_order(
        self, user_id: str, once: Callable[[CachedMemory], Awaitable[Done]], trusting: bool = False
    ) -> Done:
        """Runs an operation on a user's memory after those that came before; again, where the memory moved meanwhile.

        Args:
            once: may change the memory that it gets; whatever it raises but `NotFound` makes that one be dropped.
            trusting: whether a memory that is kept here is taken without a look into the database. `once` must then
                read with `reading`, or commit, both of which notice that it is not the newest.

        Raises:
            Conflict: others were always quicker.
            DamagedMemory: nobody was, and yet it cannot be written.
        """

        found = set[tuple[str, int]]()

        async def attempt(trusting: bool) -> Done:
            live = self.cache.latest(user_id) if trusting else None
            if live is None:
                live = await self._load(user_id)
            version = live.head.version
            found.add((live.head.id, version))
            try:
                return await once(live)
            except NotFound:
                raise
            except BaseException:
                self.cache.drop(user_id)
                raise
            finally:
                if live.head.version != version:
                    self.cache.put(user_id, live)

        async with self._locks.holding(user_id):
            try:
                return await redoing(attempt, trusting)
            except Conflict:
                if len(found) > 1:
                    raise
                raise DamagedMemory("the stored memory cannot be written, run `mneme replay`") from None

    async def alone(self, user_id: str, once: Callable[[], Awaitable[None]]) -> None:
        """Runs an operation that does away with what is kept of a user, after those that came before."""
        async with self._locks.holding(user_id):
            self.cache.drop(user_id)
            await redoing(lambda _: once())

    @asynccontextmanager
    async def reading(self, user_id: str, live: CachedMemory) -> AsyncIterator[AsyncConnection]:
        """A connection for queries on a memory that is the newest.

        Raises:
            Conflict: it is not.
        """
        async with self._database.reading() as connection:
            record = await memories.granted(connection, user_id)
            if (record.id, record.version) != (live.head.id, live.head.version) if record else live.head.version:
                raise Conflict(f"the memory of {user_id} moved on from version {live.head.version}")
            yield connection

    async def _load(self, user_id: str) -> CachedMemory:
        async with self._database.reading() as connection:
            record = await memories.granted(connection, user_id)
            if record is not None and record.fingerprint != self._device.fingerprint:
                raise ForeignMemory(
                    f"the memory of {user_id} was written by {record.fingerprint}, this is {self._device.fingerprint}:"
                    " run `mneme replay --all`"
                )
            live = self.cache.get(user_id, record) if record else None
            rows = await memories.slot_rows(connection, record.id) if record and live is None else []
        if live is not None:
            return live
        if record is None:
            self.cache.drop(user_id)
            return await self._begin()
        live = CachedMemory(record, await self._device.run(load_state, self._device.memory, record, rows))
        self.cache.put(user_id, live)
        return live

    async def _begin(self) -> CachedMemory:
        state = await self._device.run(self._device.memory.empty, self._slots)
        record = MemoryRecord(uuid.uuid4().hex, 0, self._device.fingerprint, self._slots, state.rows, 0, b"", b"")
        return CachedMemory(record, state)


async def redoing(once: Callable[[bool], Awaitable[Done]], first: bool = True) -> Done:
    """Tries until nobody else was quicker; `once` gets `first` at the first try, then False."""
    for attempt in range(_TRIES):
        try:
            return await once(first and attempt == 0)
        except Conflict:
            if attempt == _TRIES - 1:
                raise
            await asyncio.sleep(random.uniform(0, 0.02 * (attempt + 1)))
    raise AssertionError("unreachable")
