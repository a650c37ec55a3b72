"""The slots that a reading looks at, and how they match the cue: the two steps before the learned reading.

A cheap first stage scores every row and keeps some; late interaction compares these facet by facet.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing, temporal_neighbours
from memory_core.allocation import EpisodicConfig
from memory_core.binary_codes import facet_cosines
from memory_core.encoder import Utterance
from memory_core.message_features import only_requests
from memory_core.multilingual_encoder import MEANING
from memory_core.state import EpisodicState
from memory_core.writing import drop_stopwords

if TYPE_CHECKING:
    from memory_core.episodic import EpisodicMemory


class Terms(NamedTuple):
    """What of a cue is looked for: facets, their word pieces, and how much each counts, by rarity (they sum to 1)."""

    facets: Float[Tensor, "cue word"]
    token_ids: Int[Tensor, " cue"]
    shares: Float[Tensor, " cue"]


class Alike(NamedTuple):
    """How slots and a cue compare by their meanings (see `meaning`).

    Attributes:
        cosines: of the slots' meanings with the cue's.
        cue, slots: how foreign they are to the first encoder, in [0, 1].
    """

    cosines: Float[Tensor, " slots"]
    cue: float
    slots: Float[Tensor, " slots"]

    @property
    def foreign(self) -> Float[Tensor, " slots"]:
        """How foreign each slot and the cue together are: what the first encoder tells of them is worth the rest."""
        return self.slots.clamp(min=self.cue)

    def at(self, rows: Int[Tensor, " rows"]) -> "Alike":
        """The same of some rows."""
        return self._replace(cosines=self.cosines[rows], slots=self.slots[rows])


class Candidates(NamedTuple):
    """The candidates of one reading.

    Attributes:
        slots: the candidates' rows, ascending.
        exact: 1 where a candidate holds a form of the piece.
        proximity: how near each lies to the time that the cue names, in [0, 1].
        pooled: the whole cue's mean facet, of length 1.
        named: all pieces of the cue, which may name a speaker.
        dated: whether the cue names a time.
        intents: what the cue wants, as probabilities by name; None where nothing was trained to tell.
        alike: how candidates and cue compare by their meanings; None where nothing foreign is in play.
    """

    slots: Int[Tensor, " slots"]
    terms: Terms
    exact: Float[Tensor, "slots cue"]
    proximity: Float[Tensor, " slots"]
    pooled: Float[Tensor, " word"]
    named: Int[Tensor, " pieces"]
    dated: bool
    intents: Mapping[str, float] | None = None
    alike: Alike | None = None


def retrieve(
    memory: "EpisodicMemory",
    state: EpisodicState,
    cue: Utterance,
    among: Bool[Tensor, " slots"] | None = None,
    span: tuple[int, int] | None = None,
) -> Candidates:
    """The candidates of one reading; see `EpisodicMemory.read`."""
    lemma_ids, used = memory.lemma_ids.long(), state.source > 0
    looked_for = terms(state, drop_stopwords(memory, cue), lemma_ids, memory.config.cue)
    allowed = used if among is None else used & among
    near = torch.zeros_like(state.usage)
    if span is not None:
        said = addressing.temporal_proximity(state.said_at, state.said_at, span)
        told = addressing.temporal_proximity(state.event_from, state.event_to, span)
        near = torch.where(state.event_to > 0, torch.maximum(said, told), said)
    slots = rows(state, looked_for, allowed, memory.time_share * near, memory.lexical, lemma_ids, memory.config)
    alike = _alike(memory, state, cue)
    if alike is not None:
        slots = with_likest(slots, alike.cosines, allowed, memory.config)
        alike = alike.at(slots)
    held = state.token_ids.index_select(0, slots)
    exact = addressing.exact_matches(lemma_ids[looked_for.token_ids], lemma_ids[held], memory.vocabulary)
    return Candidates(
        slots,
        looked_for,
        exact,
        near[slots],
        cue.pooled,
        cue.token_ids,
        span is not None,
        memory.told_intents(cue),
        alike,
    )


def _alike(memory: "EpisodicMemory", state: EpisodicState, cue: Utterance) -> Alike | None:
    """How like the cue's meaning those of all slots are; None where nothing foreign is in play."""
    if memory.meaning is None or cue.meanings is None or not len(cue.meanings) or not memory.is_foreign(state, cue):
        return None
    cosines = memory.meaning.cosines(state.meaning, cue.meanings[:, MEANING].mean(0))
    return Alike(cosines, memory.meaning.foreign_share(cue.token_ids), state.foreign_share)


def terms(state: EpisodicState, cue: Utterance, lemma_ids: Int[Tensor, " pieces"], most: int) -> Terms:
    """A cue's rarest pieces, in its order, at most so many; rare is a word whose forms stand in few slots."""
    token_ids = cue.token_ids.long()
    counts = torch.zeros_like(state.piece_counts).index_add_(0, lemma_ids[:-1], state.piece_counts)
    told = (state.source > 0) & ~only_requests(state.feature_bits)
    rarity = addressing.rarity(counts[lemma_ids[token_ids]], told.sum())
    kept = torch.sort(torch.topk(rarity, most).indices).values if len(token_ids) > most else slice(None)
    facets, token_ids, rarity = cue.facets[kept], token_ids[kept], rarity[kept]
    return Terms(facets, token_ids, rarity / rarity.sum().clamp(min=1e-6))


def rows(
    state: EpisodicState,
    of: Terms,
    allowed: Bool[Tensor, " rows"],
    prior: Float[Tensor, " rows"],
    lexical: Float[Tensor, ""],
    lemma_ids: Int[Tensor, " pieces"],
    config: EpisodicConfig,
) -> Int[Tensor, " slots"]:
    """The rows that are most like the cue by their keys and rarest pieces, with their neighbours along the links.

    Args:
        prior: added to each row's score.
        lexical: what the exact match of all pieces adds.

    Returns:
        Rows that are allowed, ascending; all of them where the state has no more than `config.candidates`.
    """
    if state.rows <= config.candidates:
        return allowed.nonzero().squeeze(1)
    of_lemma = of.shares.new_zeros(len(lemma_ids))  # of lemma -1, none, last
    of_lemma[lemma_ids[of.token_ids]] = of.shares
    table = of_lemma[lemma_ids.roll(1)].unsqueeze(1)  # of each piece, from piece -1 on
    rarest = 1 + state.token_ids[:, : config.scanned]
    matched = functional.embedding_bag(rarest, table, mode="sum").squeeze(1).clamp(max=1.0)
    score = state.keys @ (of.shares @ of.facets).half() + lexical * matched + prior
    best = score.masked_fill(~allowed, -torch.inf).topk(config.candidates).indices
    found = torch.unique(torch.cat([best, temporal_neighbours.neighbours(state, best[: config.around])]))
    kept: Tensor = found[allowed[found]]
    return kept


def with_likest(
    slots: Int[Tensor, " slots"],
    cosines: Float[Tensor, " rows"],
    allowed: Bool[Tensor, " rows"],
    config: EpisodicConfig,
) -> Int[Tensor, " more"]:
    """The candidates with those that are likest to the cue by their meanings, as many as `config.around`."""
    if len(cosines) <= config.candidates:
        return slots
    best = cosines.masked_fill(~allowed, -torch.inf).topk(config.around).indices
    more: Tensor = torch.unique(torch.cat([slots, best[allowed[best]]]))
    return more


def cosines(states: Sequence[EpisodicState], candidate_sets: Sequence[Candidates]) -> list[Float[Tensor, "slots cue"]]:
    """Late interaction of each reading's candidates with its cue, over the facets of all readings at once."""
    if not candidate_sets:
        return []
    held = [state.token_ids.index_select(0, one.slots) >= 0 for state, one in zip(states, candidate_sets, strict=True)]
    words = [
        state.words.index_select(0, one.slots)[there]
        for state, one, there in zip(states, candidate_sets, held, strict=True)
    ]
    cues = _padded([one.terms.facets for one in candidate_sets])
    per_slot = torch.cat([there.sum(1) for there in held])
    slot = torch.repeat_interleave(per_slot)
    of = torch.repeat_interleave(torch.tensor([len(each) for each in words], device=slot.device))
    found = addressing.late_interaction(facet_cosines(cues, torch.cat(words), of), slot, len(per_slot))
    each = torch.split(found, [len(one.slots) for one in candidate_sets])
    return [best[:, : len(one.terms.facets)] for best, one in zip(each, candidate_sets, strict=True)]


def _padded(each: list[Tensor]) -> Tensor:
    return each[0].unsqueeze(0) if len(each) == 1 else nn.utils.rnn.pad_sequence(each, batch_first=True)
