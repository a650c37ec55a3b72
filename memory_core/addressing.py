"""Addressing: how a memory finds, weighs, allocates and links its slots. Pure functions, each one idea of a paper.

Everything runs in fp32 whatever the storage type, and nothing passed in is changed. Notation is that of Graves et al.
2016 ("Hybrid computing using a neural network with dynamic external memory", Methods): w a weighting, u usage,
p precedence, L the temporal link matrix, where L[i, j] is the degree to which slot i was written after slot j.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def late_interaction(
    cue: Float[Tensor, "batch cue word"],
    words: Float[Tensor, "batch slots facets word"],
    held: Bool[Tensor, "batch slots facets"],
) -> Float[Tensor, "batch slots cue"]:
    """How well each cue facet, a read head of its own, matches its best facet of each slot's word.

    Args:
        cue: unit vectors.
        words: unit vectors.
        held: which facets a word has; at least one for a result above -1.

    Returns:
        Cosines in [-1, 1].

    Source: Khattab & Zaharia 2020 (ColBERT), eq. 3, before the sum over the cue.
    """
    batch, slots, facets, word = words.shape
    cosines = (cue @ words.reshape(batch, slots * facets, word).transpose(1, 2)).reshape(batch, -1, slots, facets)
    return cosines.masked_fill(~held.unsqueeze(1), -1.0).amax(3).transpose(1, 2)


def rarity(counts: Int[Tensor, " pieces"], slots: Int[Tensor, ""]) -> Float[Tensor, " pieces"]:
    """How much a word piece tells, by how few slots of this memory hold it: log((slots + 1) / (count + 1/2)), >= 0.

    Source: Sparck Jones 1972, smoothed.
    """
    return torch.log((slots.float() + 1.0) / (counts.float() + 0.5)).clamp(min=0.0)


def content_weighting(
    similarity: Float[Tensor, "*batch slots"],
    key_strength: Float[Tensor, ""],
    prior: Float[Tensor, "*batch slots"],
) -> Float[Tensor, "*batch slots"]:
    """A weighting in the simplex: softmax of key strength times similarity, times a prior of each slot.

    Args:
        similarity: any scale.
        key_strength: beta >= 0.
        prior: >= 0; a slot of prior 0 gets weight 0. Where all are 0, so are the weights.

    Source: Graves 2016, content-based addressing C(M, k, beta); the prior is the slots' write strength.
    """
    scores = key_strength * similarity.float() + prior.float().log()
    none = torch.isneginf(scores).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(none, 0.0), -1).masked_fill(none, 0.0)


def sharpen(weighting: Float[Tensor, "*batch slots"], gamma: float) -> Float[Tensor, "*batch slots"]:
    """w(i)^gamma / sum_j w(j)^gamma; a weighting of zeros stays one. Source: Graves 2014 (NTM), eq. 9."""
    powered = weighting.clamp(min=0.0) ** gamma
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)


def erase_and_add(
    memory: Float[Tensor, "*batch slots word"],
    weighting: Float[Tensor, "*batch slots"],
    erase: Float[Tensor, "*batch word"],
    add: Float[Tensor, "*batch word"],
) -> Float[Tensor, "*batch slots word"]:
    """M <- M o (1 - w e^T) + w a^T. Source: Graves 2014, eqs. 3-4; erase in [0, 1]."""
    w = weighting.unsqueeze(-1)
    return memory * (1.0 - w * erase.unsqueeze(-2)) + w * add.unsqueeze(-2)


def usage_after_write(
    usage: Float[Tensor, "*batch slots"],
    weighting: Float[Tensor, "*batch slots"],
    retention: Float[Tensor, "*batch slots"],
) -> Float[Tensor, "*batch slots"]:
    """u <- (u + w - u o w) o psi. Source: Graves 2016, dynamic memory allocation."""
    return (usage + weighting - usage * weighting) * retention


def retention(
    read_weightings: Float[Tensor, "heads *batch slots"], free_gates: Float[Tensor, " heads"]
) -> Float[Tensor, "*batch slots"]:
    """psi = prod over read heads of (1 - f w): what the free gates leave of a slot's usage. Source: Graves 2016."""
    gates = free_gates.reshape(-1, *[1] * (read_weightings.dim() - 1))
    return (1.0 - gates * read_weightings).prod(0)


def allocation_weighting(usage: Float[Tensor, " slots"]) -> Float[Tensor, " slots"]:
    """a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i], phi the slots from least to most used.

    Source: Graves 2016, eq. 1. Its sparse limit is `least_used`.
    """
    ordered, order = torch.sort(usage, stable=True)
    before = torch.cat([usage.new_ones(1), torch.cumprod(ordered, 0)[:-1]])
    return torch.zeros_like(usage).scatter(0, order, (1.0 - ordered) * before)


def least_used(usage: Float[Tensor, " slots"], protected: Bool[Tensor, " slots"], count: int) -> Int[Tensor, " least"]:
    """The `count` least used slots that are not protected, the lowest number first among equals.

    Source: Rae et al. 2016 (sparse access memory), least recently accessed allocation, by usage.
    """
    return torch.sort(usage.masked_fill(protected, torch.inf), stable=True).indices[:count]


def precedence_after_write(
    precedence: Float[Tensor, "*batch slots"], weighting: Float[Tensor, "*batch slots"]
) -> Float[Tensor, "*batch slots"]:
    """p <- (1 - sum w) p + w. Source: Graves 2016, temporal memory linkage."""
    return (1.0 - weighting.sum(-1, keepdim=True)) * precedence + weighting


def links_after_write(
    links: Float[Tensor, "slots slots"], weighting: Float[Tensor, " slots"], precedence: Float[Tensor, " slots"]
) -> Float[Tensor, "slots slots"]:
    """L[i, j] <- (1 - w[i] - w[j]) L[i, j] + w[i] p[j], with L[i, i] = 0; dense.

    Args:
        precedence: that of before this write.

    Source: Graves 2016, temporal memory linkage.
    """
    w = weighting
    updated = (1.0 - w.unsqueeze(1) - w.unsqueeze(0)) * links + w.unsqueeze(1) * precedence.unsqueeze(0)
    return updated.masked_fill(torch.eye(len(w), dtype=torch.bool, device=w.device), 0.0)


def follow_links(
    slots: Int[Tensor, " held"],
    weights: Float[Tensor, " held"],
    link_slots: Int[Tensor, "rows links"],
    link_weights: Float[Tensor, "rows links"],
) -> tuple[Int[Tensor, " found"], Float[Tensor, " found"]]:
    """The forward weighting L w (or the backward one, L^T w, from the other rows) of a sparse weighting.

    Args:
        slots, weights: the sparse weighting; slot -1 stands for nothing.
        link_slots, link_weights: row-sparse links, row j listing what slot j leads to.

    Returns:
        The slots reached, each once, in ascending order, and their weights.

    Source: Rae et al. 2016, appendix D (sparse links); Graves 2016, f = L w and b = L^T w.
    """
    known = slots >= 0
    slots, weights = slots[known], weights[known]
    reached, flow = link_slots[slots], weights.unsqueeze(1) * link_weights[slots]
    return gather_weighting(reached.flatten(), flow.flatten())


def gather_weighting(
    slots: Int[Tensor, " entries"], weights: Float[Tensor, " entries"]
) -> tuple[Int[Tensor, " found"], Float[Tensor, " found"]]:
    """A sparse weighting with each slot once, in ascending order; entries of slot -1 or weight 0 are dropped."""
    known = (slots >= 0) & (weights > 0)
    found, place = torch.unique(slots[known], return_inverse=True)
    return found, weights.new_zeros(len(found)).index_add(0, place, weights[known])
