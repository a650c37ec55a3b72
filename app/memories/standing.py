"""What holds until revoked, as it is listed: what the user's next turn will read whatever it says."""

import dataclasses

from app.memories.cache import CachedMemory
from app.memories.memories import Memories
from app.store.log import Message
from memory_core.standing import standing


@dataclasses.dataclass(frozen=True)
class StandingStatement:
    """A message that stands, and how surely it does."""

    message: Message
    score: float


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
