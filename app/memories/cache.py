"""Live memories kept on the device, within a bound of bytes; and the order of each user's operations."""

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.store.memories import MemoryRecord
from memory_core.state import EpisodicState


@dataclasses.dataclass
class CachedMemory:
    """A memory as it stands at `head`'s version. Whoever changes it holds the user's lock, and commits or drops it."""

    head: MemoryRecord
    state: EpisodicState


class Cache:
    """The least recently used memories go when the bound is passed; they are in the database all the same."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self.bytes = most_bytes, 0
        self._live: OrderedDict[str, tuple[CachedMemory, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def get(self, user_id: str, head: MemoryRecord) -> CachedMemory | None:
        """The user's memory, if it is here as of `head`."""
        live, _ = self._live.get(user_id, (None, 0))
        if live is None or (live.head.id, live.head.version) != (head.id, head.version):
            self.drop(user_id)
            return None
        self._live.move_to_end(user_id)
        return live

    def latest(self, user_id: str) -> CachedMemory | None:
        """The user's memory as this process knew it last."""
        live, _ = self._live.get(user_id, (None, 0))
        if live is not None:
            self._live.move_to_end(user_id)
        return live

    def put(self, user_id: str, live: CachedMemory) -> None:
        """Keeps a memory; the latest one is kept even if it alone passes the bound."""
        self.drop(user_id)
        size = live.state.nbytes
        self._live[user_id] = (live, size)
        self.bytes += size
        while self.bytes > self._most and len(self._live) > 1:
            self.drop(next(iter(self._live)))

    def drop(self, user_id: str) -> None:
        """Forgets what is kept of a user; the next use loads it."""
        _, size = self._live.pop(user_id, (None, 0))
        self.bytes -= size


class Locks:
    """A lock a user, made when asked for and gone when nobody waits; first come, first served."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def holding(self, user_id: str) -> AsyncIterator[None]:
        """Waits for all that came before for the same user."""
        lock, waiting = self._locks.get(user_id, (asyncio.Lock(), 0))
        self._locks[user_id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            waiting = self._locks[user_id][1] - 1
            if waiting:
                self._locks[user_id] = (lock, waiting)
            else:
                del self._locks[user_id]
