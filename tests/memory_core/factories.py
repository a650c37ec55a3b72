"""What the tests say to a memory: random utterances without a transformer, and how two states are compared."""

import random

import torch
from torch.nn import functional

from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState, TensorState

ROWS = (
    "words", "token_ids", "keys", "source", "part", "touched", "feature_bits", "speaker_tokens", "usage", "strength",
    "reads",
    "forward_slots", "forward_weights", "backward_slots", "backward_weights",
)  # fmt: skip


def saying(seed: int, token_ids: int, word: int = 16, distinct: int = 40) -> Utterance:
    """An utterance of random facets; its pieces are few enough to recur, and equal pieces look alike."""
    drawn = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, distinct, (token_ids,), generator=drawn)
    lexicon = torch.randn(distinct, word, generator=torch.Generator().manual_seed(1))
    facets = functional.normalize(lexicon[numbers] + 0.5 * torch.randn(token_ids, word, generator=drawn), dim=-1)
    return Utterance(facets, numbers.to(torch.int32))


def follow_up(memory: EpisodicMemory, seed: int, backward: bool) -> Utterance:
    """A cue close to a prototype of the read modes."""
    prototypes = memory.look_back_prototypes if backward else memory.follow_up_prototypes
    drawn = torch.Generator().manual_seed(seed)
    mean = prototypes[seed % len(prototypes)].detach().cpu()
    facets = functional.normalize(mean + 0.1 * torch.randn(3, len(mean), generator=drawn), dim=-1)
    return Utterance(facets, torch.randint(0, 40, (3,), generator=drawn).to(torch.int32))


def moved(utterance: Utterance, device: torch.device) -> Utterance:
    return Utterance(*(tensor.to(device) for tensor in utterance[:2]))


def filled(memory: EpisodicMemory, sources: int, capacity: int = 16, seed: int = 0, rows: int = 0) -> EpisodicState:
    """A memory after so many utterances of one to three parts and various gates."""
    state, choose = memory.empty(capacity, rows), random.Random(seed)
    for source in range(1, sources + 1):
        said = saying(seed * 1000 + source, choose.randint(1, 3 * memory.config.facets))
        state, _ = memory.write_(state, moved(said, memory.device), source, choose.choice([1.0, 0.3, 0.5]))
    return state


def differing(first: TensorState, second: TensorState) -> list[str]:
    """The fields that are not equal bit for bit."""
    ours, theirs = first.tensors(), second.tensors()
    return [name for name in ours if not torch.equal(ours[name].cpu(), theirs[name].cpu())]


def differing_rows(first: EpisodicState, second: EpisodicState, memory: EpisodicMemory) -> set[int]:
    """The slots whose rows are not equal bit for bit; rows that only one state has count as empty in the other."""
    slots = max(first.rows, second.rows)
    blank = memory.empty(slots, slots)
    rows = set()
    for name in ROWS:
        ours, theirs = (
            torch.cat([getattr(state, name), getattr(blank, name)[state.rows :]]).flatten(1)
            if getattr(state, name).dim() > 1
            else torch.cat([getattr(state, name), getattr(blank, name)[state.rows :]]).unsqueeze(1)
            for state in (first, second)
        )
        rows |= set((ours != theirs).any(1).nonzero().flatten().tolist())
    return rows


def dense_links(state: EpisodicState, backward: bool = False) -> torch.Tensor:
    """The temporal link matrix L, out of the forward rows, or out of the backward ones."""
    links = torch.zeros(state.rows, state.rows)
    slots, weights = (
        (state.backward_slots, state.backward_weights) if backward else (state.forward_slots, state.forward_weights)
    )
    for row in range(state.rows):
        for other, weight in zip(slots[row].tolist(), weights[row].tolist(), strict=True):
            if other >= 0:
                later, earlier = (row, other) if backward else (other, row)
                assert links[later, earlier] == 0.0, "a link is listed twice"
                links[later, earlier] = weight
    return links


def dense_weighting(slots: torch.Tensor, weights: torch.Tensor, length: int) -> torch.Tensor:
    """A sparse weighting, dense."""
    dense = torch.zeros(length)
    for slot, weight in zip(slots.tolist(), weights.tolist(), strict=True):
        if slot >= 0:
            assert dense[slot] == 0.0, "a slot is listed twice"
            dense[slot] = weight
    return dense
