"""What a reading found, as whoever asked is told it."""

import dataclasses
from collections.abc import Mapping

from app.memories.query import ParsedQuery
from app.memories.trace import Recollection
from memory_core.reading import Reading
from memory_core.state import EpisodicState


@dataclasses.dataclass(frozen=True)
class Recalled:
    """What a reading found.

    Attributes:
        asks, asks_of_world: see `Reading`.
        is_dated: whether the text names a time.
        outdated: the numbers of messages that a later one outdates, with its number.
    """

    recollections: list[Recollection]
    confidence: float
    timings_ms: dict[str, float]
    asks: float = 1.0
    asks_of_world: float | None = None
    is_dated: bool = False
    outdated: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @property
    def of_statement(self) -> bool:
        """Whether the text asks for nothing."""
        return self.asks < 0.5

    @property
    def of_world(self) -> bool | None:
        """Whether the text asks for what is known without being told; None where that cannot be said."""
        return None if self.asks_of_world is None or self.of_statement else self.asks_of_world > 0.5

    @property
    def standing(self) -> list[Recollection]:
        """What of it a turn reads because it holds until revoked, oldest first."""
        return sorted((one for one in self.recollections if one.by_standing), key=lambda one: one.message.seq)


def outdated_in(reading: Reading, state: EpisodicState) -> dict[int, int]:
    """The numbers of messages that a later one outdates, with its number."""
    return {int(state.source[earlier]): int(state.source[later]) for earlier, later in reading.outdated}


def recalled_by(
    found: list[Recollection],
    outdated: Mapping[int, int],
    reading: Reading,
    query: ParsedQuery,
    timings: dict[str, float],
) -> Recalled:
    """What a reading found, cut to messages.

    Args:
        outdated: see `outdated_in`; of the state that was read, before anything is written to it.
        query: with all that it left open decided.
    """
    is_dated = query.span is not None
    return Recalled(found, reading.confidence, timings, reading.asks, reading.asks_of_world, is_dated, outdated)
