"""Why a reading came out as it did: what each part of it did to the order, and which word pieces matched.

A part is explained by leaving it out: the same cue is read again without the time that it names, without the speaker
that it names, without the recency override, and by content alone. Nothing here changes a memory, and a reading that is
explained is the reading that `EpisodicMemory.read` gives.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memory_core import candidate_retrieval
from memory_core import reading as reading_of
from memory_core.binary_codes import decode_word
from memory_core.candidate_retrieval import Candidates, Terms
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.reading import Reading
from memory_core.reranker import SIGNALS, RerankerInput
from memory_core.state import EpisodicState

_SPEAKER_SIGNALS = [place for place, name in enumerate(SIGNALS) if name in ("voice", "other voice")]


@dataclasses.dataclass(frozen=True)
class ReadModes:
    """How the cue is read: which share starts from what the last turn read, and the weight of each mode."""

    following: float
    forward: float
    content: float
    backward: float


class Match(NamedTuple):
    """How one row's word pieces match the cue's: the cosine of every facet of the row with every facet of the cue."""

    token_ids: Int[Tensor, " pieces"]
    cosines: Float[Tensor, "pieces cue"]


class Explanation(NamedTuple):
    """A reading with what led to it.

    Attributes:
        terms: the word pieces of the cue that are looked for, and how much each counts.
        current_state: whether the cue asks how something stands now.
        orders: sources from the strongest on, for the whole reading and with one part left out: `content` is what the
            first stage and late interaction find, before the reranker; `time`, `speaker` and `recency` are the reranked
            order without that part; `reranked` is with all of them. Only parts that had a say are there.
        candidates: how many rows late interaction compared.
    """

    reading: Reading
    terms: Terms
    modes: ReadModes
    current_state: bool
    orders: dict[str, list[int]]
    candidates: int


@torch.no_grad()
def explain(
    core: EpisodicMemory,
    state: EpisodicState,
    cues: Sequence[Utterance],
    among: Bool[Tensor, " slots"] | None = None,
    span: tuple[int, int] | None = None,
) -> Explanation:
    """Reads as `EpisodicMemory.read` does, and tells what each part did.

    Args:
        cues: of one reading, as for `EpisodicMemory.read`; what each part did is told of the first.
        among, span: as for `EpisodicMemory.read`.
    """
    reading = core.read([state], [cues], [among], [span])[0]
    cue = cues[0]
    candidates, found = _found(core, state, cue, among, span)
    modes = ReadModes(*(float(part) for part in reading_of.read_modes(core, candidates.pooled, candidates.intents)))
    sources = state.source[candidates.slots]
    orders = {
        "content": _order(found.content[0], sources),
        "reranked": _order(_logits(core, state, candidates, found), sources),
    }
    if span is not None:
        undated, without = _found(core, state, cue, among, None)
        # What a cue that names no time would ask for is another question: only the time is left out.
        orders["time"] = _order(
            _logits(core, state, undated, without._replace(now=found.now)), state.source[undated.slots]
        )
    signals = found.signals.clone()
    if bool(signals[..., _SPEAKER_SIGNALS].any()):
        signals[..., _SPEAKER_SIGNALS] = 0.0
        orders["speaker"] = _order(_logits(core, state, candidates, found._replace(signals=signals)), sources)
    current_state = bool(found.now.any())
    if current_state:
        orders["recency"] = _order(_logits(core, state, candidates, found._replace(now=~found.now)), sources)
    return Explanation(reading, candidates.terms, modes, current_state, orders, len(candidates.slots))


@torch.no_grad()
def match(state: EpisodicState, terms: Terms, row: int) -> Match:
    """How a row's word pieces match the cue's."""
    held = state.token_ids[row] >= 0
    return Match(state.token_ids[row][held], decode_word(state.words[row][held]) @ terms.facets.T)


def _found(
    core: EpisodicMemory, state: EpisodicState, cue: Utterance, among: Tensor | None, span: tuple[int, int] | None
) -> tuple[Candidates, RerankerInput]:
    candidates = candidate_retrieval.retrieve(core, state, cue, among, span)
    return candidates, reading_of.found(core, state, candidates, candidate_retrieval.cosines([state], [candidates])[0])


def _logits(
    core: EpisodicMemory, state: EpisodicState, candidates: Candidates, found: RerankerInput
) -> Float[Tensor, " rows"]:
    if core.reranker is None or not found.content.shape[1]:
        return found.content[0]
    return reading_of.rerank(core, state, candidates, found)[0]


def _order(logits: Float[Tensor, " rows"], sources: Int[Tensor, " rows"]) -> list[int]:
    """Sources by their strongest row."""
    ordered = sources[torch.sort(logits, descending=True, stable=True).indices]
    return list(dict.fromkeys(ordered.tolist()))
