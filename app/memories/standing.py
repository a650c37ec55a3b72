"""What holds until revoked, as it is listed: what the user's next turn will read whatever it says."""

import dataclasses

from app.memories.cache import CachedMemory
from app.memories.memories import Memories
from app.store.log import Message
from memory_core.standing import replaced, standing


@dataclasses.dataclass(frozen=True)
class StandingStatement:
    """A message that stands, and how surely it does."""

    message: Message
    score: float


@dataclasses.dataclass(frozen=True)
class ReplacedStatement:
    """A message that stood, and the one that took its place."""

    message: Message
    by: Message


async def replaced_statements(of: Memories, user_id: str) -> list[ReplacedStatement]:
    """What stood until something said later took its place, the newest first.

    Raises:
        NotFound: no such user.
    """

    async def view(live: CachedMemory) -> list[ReplacedStatement]:
        found = await of.device.run(replaced, of.core, live.state)
        sources = live.state.source
        pairs = list(zip(sources[found.rows].tolist(), sources[found.by].tolist(), strict=True))
        known = await of.lookup(user_id, live)({source for pair in pairs for source in pair})
        return [ReplacedStatement(known[old], known[new]) for old, new in pairs if old in known and new in known]

    return await of.inspect(user_id, view)


async def statements(of: Memories, user_id: str) -> list[StandingStatement]:
    """What stands, the newest first.

    Raises:
        NotFound: no such user.
    """

    async def view(live: CachedMemory) -> list[StandingStatement]:
        found = await of.device.run(standing, of.core, live.state, of.standing)
        sources = live.state.source[found.rows].tolist()
        known = await of.lookup(user_id, live)(set(sources))
        pairs = zip(sources, found.scores.tolist(), strict=True)
        return [StandingStatement(known[source], score) for source, score in pairs if source in known]

    return await of.inspect(user_id, view)
