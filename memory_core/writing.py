"""From an utterance to rows: which of its pieces are kept, how strongly, and what each row holds beside its word.

Functions over a memory's parameters and a state, as in `reading`. Which row a part takes is the business of
`allocation`, what it is tied to that of `links`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Int, Int8
from torch import Tensor

from memory_core import allocation
from memory_core.allocation import EpisodicConfig
from memory_core.binary_codes import encode_sentence, encode_word
from memory_core.encoder import Utterance
from memory_core.language.sentences import sentences
from memory_core.links import write_links_
from memory_core.message_features import QUESTION_MARKS, MessageFeatures, features, learned_bits
from memory_core.state import EpisodicState

if TYPE_CHECKING:
    from memory_core.episodic import EpisodicMemory


class Written(NamedTuple):
    """What a write changed: the rows that took the utterance, in order; those that gave up facets to make room for it;
    and all that differ now."""

    rows: Int[Tensor, " parts"]
    narrowed: Int[Tensor, " narrowed"]
    changed: Int[Tensor, " changed"]


def precedence_gate(config: EpisodicConfig, text: str, reply: bool) -> float:
    """How much of the precedence a text takes, in (0, 1]: a statement all of it, a question or a reply a little.

    They leave the rest with what was said before them, so that the links tie statement to statement across the
    replies between them.
    """
    if reply:
        return config.reply_gate
    asking = [sentence.endswith(QUESTION_MARKS) for sentence in sentences(text)]
    if not asking or not asking[-1]:
        return 1.0
    return config.question_gate if all(asking) else config.asking_gate


def slots_of(config: EpisodicConfig, pieces: int, capacity: int) -> int:
    """Slots that so many word pieces take once stopwords are dropped: at least one, at most a quarter of the memory."""
    return max(1, min(math.ceil(pieces / config.facets), capacity // 4))


def drop_stopwords(memory: "EpisodicMemory", utterance: Utterance) -> Utterance:
    """The utterance without the pieces that all texts have (the, of, a comma); whole where it has no others.

    Of a piece that is repeated the first `repeats` stay: a message of one letter again and again takes one slot.
    """
    kept = _kept(memory, utterance)
    return Utterance(utterance.facets[kept], utterance.token_ids[kept])


def _kept(memory: "EpisodicMemory", utterance: Utterance) -> Bool[Tensor, " pieces"]:
    ids, most = utterance.token_ids.long(), memory.config.repeats
    kept = ~memory.stopword_mask[ids.clamp(min=0)] | (ids < 0)
    if not bool(kept.any()):
        kept = torch.ones_like(kept)
    if len(ids) > most:
        order = torch.argsort(ids, stable=True)
        firsts = torch.searchsorted(ids[order], ids[order])
        place = torch.empty_like(order)
        place[order] = torch.arange(len(ids), device=ids.device) - firsts
        kept &= (place < most) | (ids < 0)
    return kept


def write_(
    memory: "EpisodicMemory",
    state: EpisodicState,
    utterance: Utterance,
    source: int,
    gate: float,
    message_features: MessageFeatures,
) -> tuple[EpisodicState, Written]:
    """See `EpisodicMemory.write_`."""
    config = memory.config
    intents = memory.told_intents(utterance, message_features.header)
    bits = message_features.feature_bits | learned_bits(intents)
    kept = _kept(memory, utterance)
    parts = slots_of(config, int(kept.sum()), int(state.capacity))
    state.clock.fill_(source)
    precedence = 1.0 - (1.0 - gate) ** (1.0 / parts)  # all parts together leave (1 - gate) of it
    size = config.facets
    facets, token_ids = (torch.split(each[kept][: parts * size], size) for each in utterance[:2])
    sentence_keys = _sentence_keys(config, utterance, kept, message_features.header, parts)
    meanings, foreign_share = _meanings(memory, utterance, message_features.header, parts)
    strengths = _strengths(memory, message_features.feature_bits, [len(each) for each in token_ids], gate)
    rows, narrowed, changed = [], [], []
    protected = (source, int(state.source.max()))
    for part, (held, named, strength) in enumerate(zip(facets, token_ids, strengths, strict=True)):
        state, row, cleared = allocation.allocate_(state, config, protected)
        state.feature_bits[row] = bits
        narrowed += allocation.fill_(state, config, row, encode_word(held), named)
        state.sentence[row], state.meaning[row] = sentence_keys[part], meanings[part]
        state.source[row] = state.touched[row] = source
        state.part[row], state.said_at[row] = part, message_features.at
        state.event_from[row], state.event_to[row] = message_features.event
        voice = message_features.speaker_tokens
        state.speaker_tokens[row, : len(voice)] = state.speaker_tokens.new_tensor(voice)
        state.strength[row] = state.usage[row] = strength
        state.foreign_share[row] = foreign_share
        state.standing[row] = 0.0 if intents is None or part else intents["standing"]
        changed += [cleared, write_links_(state, row, precedence)]
        rows.append(row)
    taken, less = (torch.tensor(one, dtype=torch.int64, device=memory.device) for one in (rows, narrowed))
    return state, Written(taken, less, torch.unique(torch.cat([taken, less, *changed])))


def write_tombstone_(
    memory: "EpisodicMemory", state: EpisodicState, parts: int, source: int, gate: float
) -> tuple[EpisodicState, Written]:
    """Writes what is no longer known: takes the slots and the place in time that a forgotten utterance took."""
    facets = parts * memory.config.facets
    blank = torch.zeros(facets, memory.config.word, device=memory.device)
    none = torch.full((facets,), -1, dtype=torch.int32, device=memory.device)
    return write_(memory, state, Utterance(blank, none), source, gate, MessageFeatures())


def _sentence_keys(
    config: EpisodicConfig, utterance: Utterance, kept: Bool[Tensor, " pieces"], header: int, parts: int
) -> Int8[Tensor, "parts word"]:
    """The sentence key of each part: the direction of the mean facet of all that was said there, stopwords too."""
    part = ((kept.cumsum(0) - 1).clamp(min=0) // config.facets).clamp(max=parts - 1)
    said = utterance.facets.new_ones(len(part))
    if header < len(part):
        said[:header] = 0.0
    total = utterance.facets.new_zeros(parts, config.word).index_add_(0, part, utterance.facets * said.unsqueeze(1))
    return encode_sentence(total)


def _meanings(
    memory: "EpisodicMemory", utterance: Utterance, header: int, parts: int
) -> tuple[Int8[Tensor, "parts meaning"], float]:
    """What each part means in any language, and how foreign the utterance is to the first encoder."""
    if memory.meaning is None:
        return torch.zeros(parts, memory.config.meaning, dtype=torch.int8, device=memory.device), 0.0
    return memory.meaning.parts(utterance, header, parts)


def _strengths(memory: "EpisodicMemory", bits: int, held: Sequence[int], gate: float) -> list[float]:
    """How strongly an utterance's rows are written: by the precedence gate, times the learned write gate if any.

    By both, for in an assistant's memory who asks twice wants the answer, not the first asking.

    Args:
        held: how many facets each row takes.
    """
    if memory.write_gate is None:
        return [gate] * len(held)
    parts, counts = torch.arange(len(held), device=memory.device), torch.tensor(held, device=memory.device)
    learned = memory.write_gate(features(torch.full_like(parts, bits), parts, counts))
    return [gate * strength for strength in learned.tolist()]
