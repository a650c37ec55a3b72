"""The rows of an episodic memory: which one a write takes, what it then holds, how much it is used, how it is freed.

Usage and allocation of Graves et al. 2016, with a row for each utterance's part and up to `sharing` rows a slot. All
works in place, on the rows it touches. It must never look at a cue: what a reading finds is the business of `episodic`.
"""

import dataclasses

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from memory_core import addressing
from memory_core.binary_codes import slot_keys
from memory_core.links import clear_links_
from memory_core.message_features import only_requests
from memory_core.state import EpisodicState

_READ_GAIN = 0.5  # how much of a read weighting becomes usage


@dataclasses.dataclass(frozen=True)
class EpisodicConfig:
    """Sizes and rules of the memory; they belong to its fingerprint.

    Attributes:
        facets: word pieces that one slot has room for.
        sharing: rows that may share a slot and its room.
        word: width of a facet.
        meaning: width of a slot's meaning; 0 where the memory has no multilingual encoder.
        cue: word pieces of a cue that count, the rarest; the others weigh next to nothing and cost as much.
        links: links a slot keeps in each direction (K).
        speaker_tokens: word pieces of a speaker's name that tell who speaks.
        scanned: word pieces of a row, its rarest, that the first stage compares with the cue's.
        candidates: slots that the first stage hands to late interaction; at or above the slots held, reading is exact.
        around: of how many of these, the best, the neighbours along the links come with them.
        repeats: times that one word piece may stand in an utterance's words.
        read: slots that a read weighting keeps.
        reply_gate: precedence gate of an unnamed assistant's message.
        question_gate: precedence gate of a message that only asks.
        asking_gate: precedence gate of a message that says something and ends by asking.
    """

    facets: int = 64
    sharing: int = 4
    word: int = 256
    meaning: int = 0
    cue: int = 32
    links: int = 8
    speaker_tokens: int = 4
    scanned: int = 16
    candidates: int = 384
    around: int = 96
    repeats: int = 16
    read: int = 64
    reply_gate: float = 0.1
    question_gate: float = 0.05
    asking_gate: float = 0.5


def empty(
    config: EpisodicConfig, vocabulary: int, capacity: int, rows: int = 0, device: torch.device | str = "cpu"
) -> EpisodicState:
    """A memory that holds nothing yet.

    Args:
        vocabulary: how many word pieces there are.
        capacity: its slots.
        rows: rows to make room for now. It grows by doubling up to a row a slot, then by a quarter of the slots.
    """
    c = config
    rows = min(capacity * c.sharing, max(rows, 16))

    def full(*shape: int, value: int = 0, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.full(shape, value, dtype=dtype, device=device)

    real = torch.float32
    return EpisodicState(
        words=full(rows, c.facets, c.word // 8, dtype=torch.uint8),
        token_ids=full(rows, c.facets, value=-1, dtype=torch.int32),
        keys=full(rows, c.word, dtype=torch.float16),
        sentence=full(rows, c.word, dtype=torch.int8),
        meaning=full(rows, c.meaning, dtype=torch.int8),
        source=full(rows),
        part=full(rows),
        touched=full(rows),
        said_at=full(rows),
        event_from=full(rows),
        event_to=full(rows),
        feature_bits=full(rows),
        speaker_tokens=full(rows, c.speaker_tokens, value=-1),
        usage=full(rows, dtype=real),
        strength=full(rows, dtype=real),
        standing=full(rows, dtype=real),
        foreign_share=full(rows, dtype=real),
        reads=full(rows),
        forward_slots=full(rows, c.links, value=-1),
        forward_weights=full(rows, c.links, dtype=real),
        backward_slots=full(rows, c.links, value=-1),
        backward_weights=full(rows, c.links, dtype=real),
        precedence_slots=full(c.links, value=-1),
        precedence_weights=full(c.links, dtype=real),
        read_slots=full(c.read, value=-1),
        read_weights=full(c.read, dtype=real),
        piece_counts=full(vocabulary, dtype=torch.int32),
        clock=full(),
        capacity=full(value=capacity),
    )


def allocate_(
    state: EpisodicState, config: EpisodicConfig, protected: tuple[int, int]
) -> tuple[EpisodicState, int, Tensor]:
    """A free row; where there is none, a new one that will share a slot; where none may, the least used, freed.

    Args:
        protected: the sources whose rows are never taken.

    Returns:
        The state to go on with (another object where it grew), the row, and the rows that freeing it changed.
    """
    free = (state.source == 0).nonzero()
    none = state.source.new_empty(0)
    if len(free):
        return state, int(free[0, 0]), none
    if state.rows < int(state.capacity) * config.sharing:
        first = state.rows
        return _grow(state, config), first, none
    spared = (state.source == protected[0]) | (state.source == protected[1])
    row = int(addressing.least_used(usage_now(state), spared, 1)[0])
    return state, row, clear_(state, row)


def fill_(
    state: EpisodicState,
    config: EpisodicConfig,
    row: int,
    word: UInt8[Tensor, "held bytes"],
    token_ids: Int[Tensor, "held"],
) -> list[int]:
    """Fills a free row with the facets that its slot has room for. Returns the rows that made room."""
    others = state.rows_of(row % int(state.capacity))
    room = config.facets // (1 + len(others))
    order = torch.sort(token_ids, descending=True, stable=True).indices
    _hold_(state, row, word[order[:room]], token_ids[order[:room]])
    wider = others[(state.token_ids[others] >= 0).sum(1) > room].tolist()
    for other in wider:
        token_ids = state.token_ids[other]
        _count_(state, other, -1)
        _hold_(state, other, state.words[other, :room].clone(), token_ids[:room].clone())
    return wider


def _hold_(state: EpisodicState, row: int, word: Tensor, token_ids: Tensor) -> None:
    state.words[row].zero_()[: len(token_ids)] = word
    state.token_ids[row].fill_(-1)[: len(token_ids)] = token_ids.to(torch.int32)
    state.keys[row] = slot_keys(state.words[row : row + 1], state.token_ids[row : row + 1])[0]
    _count_(state, row, 1)


def _count_(state: EpisodicState, row: int, by: int) -> None:
    """Counts a row's token ids; those of mere requests don't count, or asking for a thing would make it seem known."""
    token_ids = state.token_ids[row]
    if bool(only_requests(state.feature_bits[row])):
        return
    state.piece_counts[torch.unique(token_ids[token_ids >= 0]).long()] += by


def _grow(state: EpisodicState, config: EpisodicConfig) -> EpisodicState:
    capacity, rows = int(state.capacity), state.rows
    more = min(2 * rows, capacity) if rows < capacity else rows + max(1, capacity // 4)
    wider = empty(config, len(state.piece_counts), capacity, more, state.usage.device)
    for name, tensor in wider.tensors().items():
        old = getattr(state, name)
        (tensor[: len(old)] if tensor.dim() else tensor).copy_(old)
    return wider


def clear_(state: EpisodicState, row: int) -> Int[Tensor, " changed"]:
    """Frees a row and joins the links around it. Returns the rows whose links changed."""
    _count_(state, row, -1)
    changed = clear_links_(state, row)
    state.words[row].zero_()
    state.token_ids[row].fill_(-1)
    state.keys[row].zero_()
    for name in ("source", "part", "touched", "said_at", "event_from", "event_to", "feature_bits", "reads"):
        getattr(state, name)[row] = 0
    state.speaker_tokens[row] = -1
    state.sentence[row].zero_()
    state.meaning[row].zero_()
    state.usage[row] = state.strength[row] = state.standing[row] = state.foreign_share[row] = 0.0
    return changed


def use_(state: EpisodicState, rows: Tensor, weights: Tensor, clock: Tensor) -> None:
    """Raises the usage of rows by what was read of them at `clock`; no read frees a row."""
    used = _faded(state.usage[rows], clock - state.touched[rows], state.capacity)
    state.usage[rows] = addressing.usage_after_write(used, _READ_GAIN * weights, torch.ones_like(used))
    state.touched[rows] = clock
    state.reads[rows] += 1


def usage_now(state: EpisodicState) -> Float[Tensor, " rows"]:
    """Usage as it stands: halved for every `capacity` of messages since the row was last written or read."""
    return _faded(state.usage, state.clock - state.touched, state.capacity)


def _faded(usage: Tensor, age: Tensor, capacity: Tensor) -> Tensor:
    return usage * torch.exp2(-age.float() / capacity)
