"""The audit log's writer: entries gather in memory and are written together, so that no request waits for them.

A crash loses the entries of the last two seconds at most, or what the database did not take while it was away; the
memory itself never loses what was acknowledged. A regular stop writes all.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from app.access.keys import Keys
from app.store import audit
from app.store.audit import Act, KeptAct
from app.store.database import Conflict, Database, StoreUnavailable
from app.store.keys import note_uses

logger = logging.getLogger(__name__)

_SECONDS = 2.0
_MOST_AT_ONCE = 500
_MOST_WAITING = 50_000
_TIDY_EVERY = timedelta(hours=1)


class AuditLog:
    """Gathers entries and the last uses of keys, and writes them every two seconds.

    Args:
        days: how long entries are kept; 0 keeps no audit log.
    """

    def __init__(self, database: Database, keys: Keys, days: int) -> None:
        self._database, self._keys, self._days = database, keys, days
        self._waiting: deque[Act] = deque()
        self._tidied = datetime.min.replace(tzinfo=UTC)
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self.lost = 0

    def start(self) -> None:
        """Begins to write."""
        self._task = asyncio.create_task(self._work())

    def note(self, act: Act) -> None:
        """Keeps an entry to be written soon."""
        if self._days == 0:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(act)

    async def flush(self) -> None:
        """Writes what waits.

        Raises:
            StoreUnavailable: the database does not answer; what waits goes on waiting.
        """
        while self._waiting or self._keys.used:
            acts = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            uses = dict(self._keys.used)
            try:
                async with self._database.writing() as connection:
                    await audit.add_acts(connection, acts)
                    await note_uses(connection, uses)
            except BaseException:
                self._waiting.extendleft(reversed(acts))
                raise
            self._keys.are_kept(uses)
        if self.lost:
            logger.error("%d entries of the audit log were lost while the database was away", self.lost)
            self.lost = 0

    async def latest(self, before: int | None, limit: int, user_id: str | None = None) -> list[KeptAct]:
        """The latest entries, those that wait to be written included.

        Args:
            before: the id of the last entry of the page before.
        """
        await self.flush()
        async with self._database.reading() as connection:
            return await audit.latest_acts(connection, before, limit, user_id)

    async def tidy(self) -> None:
        """Deletes entries that are older than they are kept."""
        now = datetime.now(UTC)
        if now - self._tidied < _TIDY_EVERY:
            return
        async with self._database.writing() as connection:
            await audit.drop_acts(connection, now - timedelta(days=self._days))
        self._tidied = now

    async def close(self) -> None:
        """Writes what waits, and ends."""
        self._ending.set()
        if self._task is not None:
            await self._task
        try:
            await self.flush()
        except (StoreUnavailable, Conflict):
            logger.error("%d entries of the audit log could not be written", len(self._waiting))

    async def _work(self) -> None:
        while not self._ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _SECONDS)
            try:
                await self.flush()
                await self.tidy()
            except (StoreUnavailable, Conflict) as error:
                logger.warning("the audit log waits: %s", error)
            except Exception:
                logger.exception("the audit log could not be written")
