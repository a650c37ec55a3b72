"""What a turn read: a reading grouped by message, kept as rows, and made part of the memory again from them."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import torch
from torch import Tensor

from app.store.log import Message
from app.store.memories import ReadTrace
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.message_features import MessageFeatures
from memory_core.reading import Reading
from memory_core.standing import SHARE, standing, weights
from memory_core.state import EpisodicState

STANDING = 8  # statements that hold until revoked, of which a turn reads so many unless told otherwise
_NOTHING = 1e-6  # a weight that rounds to none


@dataclasses.dataclass(frozen=True)
class Recollection:
    """A message that a reading found, with its weight and each mode's part of it; `slot` is its strongest."""

    message: Message
    slot: int
    weight: float
    by_content: float
    by_forward: float
    by_backward: float
    by_standing: float = 0.0

    @property
    def role(self) -> str:
        """Who said it: user, assistant or system."""
        return self.message.role

    @property
    def speaker(self) -> str | None:
        """The name of who said it, where one was given."""
        return self.message.speaker

    @property
    def content(self) -> str:
        """What was said."""
        return self.message.content

    @property
    def occurred_at(self) -> datetime:
        """When it was said."""
        return self.message.occurred_at


def grouped(
    reading: Reading,
    state: EpisodicState,
    k: int,
    without: Collection[int] = (),
    among: Collection[int] | None = None,
) -> list[ReadTrace]:
    """A reading by message, cut to its `k` strongest messages: one entry a slot, the strongest message first.

    Args:
        without: numbers of messages to leave out of account.
        among: numbers of the messages that are wanted, where not all.
    """
    sources = state.source[reading.rows].tolist()
    totals: dict[int, float] = {}
    for source, weight in zip(sources, reading.weights.tolist(), strict=True):
        totals[source] = totals.get(source, 0.0) + weight
    wanted = totals.keys() - set(without) if among is None else totals.keys() & set(among) - set(without)
    kept = [source for source in wanted if totals[source] > _NOTHING]
    strongest = sorted(kept, key=lambda source: (-totals[source], -source))[:k]
    rank = {source: place for place, source in enumerate(strongest)}
    columns = [column.tolist() for column in reading[:5]]
    entries = [
        ReadTrace(0, slot, source, weight, content, forward, backward)
        for source, slot, weight, content, forward, backward in zip(sources, *columns, strict=True)
        if source in rank
    ]
    return sorted(entries, key=lambda entry: rank[entry.source])


def beside_standing(
    core: EpisodicMemory,
    state: EpisodicState,
    found: Sequence[ReadTrace],
    most: int,
    saying: tuple[Utterance, MessageFeatures] | None = None,
) -> list[ReadTrace]:
    """What a turn's cue found, and what stands beside it: a share of the weighting goes to the latter.

    Args:
        most: messages that stand, at most.
        saying: the message that is being said; what it takes the place of stands no more.
    """
    stands = standing(core, state, most, saying)
    if not len(stands.rows):
        return list(found)
    rest = 1.0 - SHARE
    entries = {
        one.slot: dataclasses.replace(
            one,
            weight=rest * one.weight,
            content=rest * one.content,
            forward=rest * one.forward,
            backward=rest * one.backward,
        )
        for one in found
    }
    sources = state.source[stands.rows].tolist()
    for row, source, weight in zip(stands.rows.tolist(), sources, weights(stands).tolist(), strict=True):
        one = entries.get(row, ReadTrace(0, row, source, 0.0, 0.0, 0.0, 0.0))
        entries[row] = dataclasses.replace(one, weight=one.weight + weight, standing=weight)
    return list(entries.values())


def found_by_cue(trace: Sequence[ReadTrace]) -> int:
    """How many messages a turn's cue found, apart from what stands."""
    return len({one.source for one in trace if one.by_cue > 0})


def recollected(found: Sequence[ReadTrace], known: Mapping[int, Message], capacity: int) -> list[Recollection]:
    """Readings summed by message, the heaviest first; `capacity` is the memory's, which tells a row's slot."""
    merged: dict[int, Recollection] = {}
    for entry in found:
        message = known.get(entry.source)
        if message is None:
            continue
        one = merged.get(entry.source)
        if one is None:
            one = Recollection(message, entry.slot % capacity, 0.0, 0.0, 0.0, 0.0)
        merged[entry.source] = dataclasses.replace(
            one,
            weight=one.weight + entry.weight,
            by_content=one.by_content + entry.content,
            by_forward=one.by_forward + entry.forward,
            by_backward=one.by_backward + entry.backward,
            by_standing=one.by_standing + entry.standing,
        )
    return sorted(merged.values(), key=lambda one: -one.weight)


def that_matter(
    found: Sequence[Recollection], confidence: float, min_confidence: float, min_weight: float
) -> list[Recollection]:
    """Those of at least so much weight; none where the reading's confidence is below `min_confidence`."""
    return [one for one in found if one.weight >= min_weight] if confidence >= min_confidence else []


def note_read_(core: EpisodicMemory, state: EpisodicState, trace: Sequence[ReadTrace]) -> None:
    """Makes a turn's reading part of the memory, as `EpisodicMemory.note_read_` does.

    A follow-up starts from what the cue found; what stands is read at every turn and is no part of what was spoken of.
    """
    core.note_read_(state, *_weighting(state, trace, lambda entry: entry.weight))
    if any(entry.standing for entry in trace):
        set_last_read_(core, state, trace)


def set_last_read_(core: EpisodicMemory, state: EpisodicState, trace: Sequence[ReadTrace]) -> None:
    """Makes a turn's reading the one that a follow-up starts from, as far as its slots still hold what it read."""
    held = [entry for entry in trace if int(state.source[entry.slot]) == entry.source]
    by_cue = [entry for entry in held if entry.by_cue > 0]
    core.set_last_read_(state, *_weighting(state, by_cue, lambda entry: entry.by_cue))


def _weighting(
    state: EpisodicState, trace: Sequence[ReadTrace], weight: Callable[[ReadTrace], float]
) -> tuple[Tensor, Tensor]:
    ordered = sorted(trace, key=lambda entry: (-weight(entry), entry.slot))
    slots = torch.tensor([entry.slot for entry in ordered], dtype=torch.int64, device=state.source.device)
    return slots, state.usage.new_tensor([weight(entry) for entry in ordered])
