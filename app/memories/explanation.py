"""Why a recall finds what it finds: the reading with its parts left out one by one, and the word pieces that match."""

import dataclasses
import time
from datetime import UTC, datetime

from app.memories.cache import CachedMemory
from app.memories.memories import Memories, rows_of
from app.memories.query import decide, parse
from app.memories.trace import Recollection, grouped, recollected, that_matter
from app.store.filters import Filter
from memory_core import explanation
from memory_core.explanation import Explanation, Match, ReadModes
from memory_core.state import EpisodicState


@dataclasses.dataclass(frozen=True)
class ExplainedRecollection:
    """A recollection with its place in the order, whole and with each part left out, and how its pieces match.

    Attributes:
        ranks: place from 1 on by `Explanation.orders`' names; None where the message would not be looked at.
        pieces: the word pieces of its strongest slot, the rarest first.
        cosines: of each of them with each word piece of the cue.
    """

    recollection: Recollection
    ranks: dict[str, int | None]
    pieces: list[str]
    cosines: list[list[float]]


@dataclasses.dataclass(frozen=True)
class ExplainedRecall:
    """A recall and what led to it.

    Attributes:
        cue: what the memory was addressed with; without a day or an event that only tells a time.
        span: the time that it names, from when to when.
        pieces: the word pieces that were looked for, with how much each counted.
        candidates: rows that were compared piece by piece.
        parts: the names of the orders that are told.
    """

    recalled: list[ExplainedRecollection]
    confidence: float
    cue: str
    span: tuple[datetime, datetime] | None
    current_state: bool
    modes: ReadModes
    pieces: list[tuple[str, float]]
    candidates: int
    parts: list[str]
    timings_ms: dict[str, float]


async def explained(
    of: Memories,
    user_id: str,
    query: str,
    k: int,
    asked_at: datetime | None = None,
    among: Filter = Filter(),  # noqa: B008 (frozen)
    min_confidence: float = 0.0,
    min_weight: float = 0.0,
) -> ExplainedRecall:
    """Recalls as `Memories.recall` does, and tells why.

    Raises:
        NotFound: no such user or session.
    """
    began = time.perf_counter()
    parsed = parse(query, asked_at or datetime.now(UTC))
    cues = await of.device.encode(parsed.texts)
    encoded = time.perf_counter()

    async def view(live: CachedMemory) -> ExplainedRecall:
        lookup = of.lookup(user_id, live)
        addressed, decided = await decide(of.device, live.state, parsed, cues, lookup)
        wanted = await of.wanted(user_id, live, among)
        why = await of.device.run(
            explanation.explain, of.core, live.state, addressed, rows_of(live, wanted), decided.span
        )
        found = grouped(why.reading, live.state, k, among=wanted)
        known = await lookup({entry.source for entry in found})
        every = recollected(found, known, live.head.capacity)
        recollections = that_matter(every, why.reading.confidence, min_confidence, min_weight)
        rows = {entry.source: entry.slot for entry in reversed(found)}  # the strongest of each message
        matches = await of.device.run(_matches, live.state, why, [rows[one.message.seq] for one in recollections])
        places = {name: {seq: place for place, seq in enumerate(order, 1)} for name, order in why.orders.items()}
        done = time.perf_counter()
        return ExplainedRecall(
            recalled=[
                ExplainedRecollection(
                    recollection=one,
                    ranks={name: place.get(one.message.seq) for name, place in places.items()},
                    pieces=of.device.encoder.names(each.token_ids),
                    cosines=[[round(number, 3) for number in line] for line in each.cosines.tolist()],
                )
                for one, each in zip(recollections, matches, strict=True)
            ],
            confidence=why.reading.confidence,
            cue=decided.cue,
            span=(_moment(decided.span[0]), _moment(decided.span[1])) if decided.span else None,
            current_state=why.current_state,
            modes=why.modes,
            pieces=list(zip(of.device.encoder.names(why.terms.token_ids), why.terms.shares.tolist(), strict=True)),
            candidates=why.candidates,
            parts=list(why.orders),
            timings_ms={"encode": 1000 * (encoded - began), "total": 1000 * (done - began)},
        )

    return await of.inspect(user_id, view)


def _matches(state: EpisodicState, why: Explanation, rows: list[int]) -> list[Match]:
    return [explanation.match(state, why.terms, row) for row in rows]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
