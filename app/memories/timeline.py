"""What a user said, over all sessions, the latest first; and where something was forgotten, without what it was."""

import bisect
import dataclasses

from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log, memories, timeline
from app.store.filters import Filter
from app.store.log import Message


@dataclasses.dataclass(frozen=True)
class Entry:
    """A message, and how many were forgotten between it and the one remembered next (None: not looked for)."""

    message: Message
    forgotten_after: int | None


async def entries(of: Memories, user_id: str, which: Filter, before_seq: int | None, limit: int) -> list[Entry]:
    """The user's messages, the last remembered first.

    Forgotten places are counted where every message is listed: among filtered ones they would say too much of what was
    forgotten.

    Raises:
        NotFound: no such user.
    """
    async with of.database.reading() as connection:
        head = await memories.granted(connection, user_id)
        if head is None:
            raise NotFound(f"no user {user_id}")
        said = await log.latest(connection, head.id, which, before_seq, limit)
        if not which.is_open or not said:
            return [Entry(message, None) for message in said]
        above = head.last_seq + 1 if before_seq is None else before_seq
        gone = await timeline.forgotten_between(connection, head.id, said[-1].seq, above)
    found = []
    for message in said:
        found.append(Entry(message, bisect.bisect(gone, above) - bisect.bisect(gone, message.seq)))
        above = message.seq
    return found
