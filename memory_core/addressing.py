"""Addressing: how a memory finds, weighs, allocates and links its slots. Pure functions, each one idea of a paper.

Everything runs in fp32 whatever the storage type, and nothing passed in is changed. Notation is that of Graves et al.
2016 ("Hybrid computing using a neural network with dynamic external memory", Methods): w a weighting, u usage,
p precedence, L the temporal link matrix, where L[i, j] is the degree to which slot i was written after slot j.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

_EPSILON = 1e-6  # of squared lengths
_MANY = 4096  # values from which a search for equal ones is worth the while


def full_precision(device: torch.device) -> torch.autocast:
    """Addressing runs inside this: autocast leaves it alone."""
    return torch.autocast(device.type, enabled=False)


def wide(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In single precision, or in double where it comes in double."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def late_interaction(
    cosines: Float[Tensor, "facets cue"], slot: Int[Tensor, " facets"], slots: int
) -> Float[Tensor, "slots cue"]:
    """How well each cue facet, a read head of its own, matches its best facet of each slot's word.

    Args:
        cosines: of every facet of the words with every cue facet.
        slot: which slot's each is, below `slots`.

    Returns:
        Cosines in [0, 1]: what a word has nothing like, or the opposite of, counts 0.

    Source: Khattab & Zaharia 2020 (ColBERT), eq. 3, before the sum over the cue; bounded below by 0.
    """
    best = cosines.new_zeros(slots, cosines.shape[1])
    return best.scatter_reduce(0, slot.unsqueeze(1).expand_as(cosines), cosines, "amax")


def exact_matches(
    cue_pieces: Int[Tensor, " cue"], token_ids: Int[Tensor, "slots facets"], vocabulary: int
) -> Float[Tensor, "slots cue"]:
    """1 where a slot holds the very word piece of a cue facet, else 0.

    Args:
        cue_pieces: of the cue's facets, below `vocabulary`.
        token_ids: of the slots' facets; -1 where a slot has no facet.
    """
    distinct, place = torch.unique(cue_pieces, return_inverse=True)
    column = token_ids.new_zeros(vocabulary + 1, dtype=torch.int64)  # 0: pieces that the cue has not; the last: -1
    column[distinct] = torch.arange(1, len(distinct) + 1, device=token_ids.device)
    held = torch.zeros(len(token_ids), len(distinct) + 1, device=token_ids.device).scatter_(1, column[token_ids], 1.0)
    return held[:, place + 1]


def rarity(counts: Int[Tensor, " pieces"], slots: Int[Tensor, ""]) -> Float[Tensor, " pieces"]:
    """How much a word piece tells, by how few slots of this memory hold it: log((slots + 1) / (count + 1/2)), >= 0.

    Source: Sparck Jones 1972, smoothed.
    """
    return torch.log((slots.float() + 1.0) / (counts.float() + 0.5)).clamp(min=0.0)


def cosine_similarity(
    keys: Float[Tensor, "*batch heads word"],
    memory: Float[Tensor, "*batch slots word"],
    mask: Float[Tensor, "*batch heads word"] | None = None,
) -> Float[Tensor, "*batch heads slots"]:
    """The cosine of each head's key with each slot's word, in (-1, 1); about 0 where either is all but nothing.

    Args:
        mask: in [0, 1]; how much each part of the word counts, for the key and the memory alike.

    Source: Graves 2016, D(u, v); the mask is that of Csordas & Schmidhuber 2019. Epsilon under the roots keeps the
    cosine and its gradient finite at words of zeros.
    """
    across = memory.transpose(-1, -2)
    if mask is None:
        return keys @ across * inverse_length(keys).unsqueeze(-1) * inverse_length(memory).unsqueeze(-2)
    squares = mask.square() @ across.square()
    return (keys * mask.square()) @ across * inverse_length(keys * mask).unsqueeze(-1) * (squares + _EPSILON).rsqrt()


def inverse_length(words: Float[Tensor, "*batch word"]) -> Float[Tensor, "*batch"]:
    """1 / |w|, and 1,000 for a word of zeros."""
    return (words.square().sum(-1) + _EPSILON).rsqrt()


_OUTSIDE = 0.5  # of a slot's nearness to a time, just outside of it
_LONGEST_FADE = 30 * 86_400  # seconds


def temporal_proximity(
    start_at: Int[Tensor, " slots"], end_at: Int[Tensor, " slots"], span: tuple[int, int]
) -> Float[Tensor, " slots"]:
    """How near slots lie to a span of time: 1 where they overlap, else 1/2, halved for every length of the span away.

    How far a slot is away is told by its middle.

    A span of more than 30 days counts as 30 long outside: else "before 2025" would be near to all that came after, too.

    Args:
        start_at, end_at: from when to when a slot lasts, in seconds since 1970.
        span: from when to when, not empty.
    """
    start, end = span
    middle = (start_at + end_at) // 2
    apart = torch.maximum(start - middle, middle - end).clamp(min=0)
    away = apart.masked_fill((start_at < end) & (end_at > start), 0)
    near = torch.exp2(-away.double() / min(end - start, _LONGEST_FADE)).float()
    return torch.where(away > 0, _OUTSIDE * near, near)


def content_weighting(
    similarity: Float[Tensor, "*batch slots"],
    key_strength: Float[Tensor, "*#batch"],
    prior: Float[Tensor, "*batch slots"] | None = None,
) -> Float[Tensor, "*batch slots"]:
    """A weighting in the simplex: softmax of key strength times similarity, times a prior of each slot.

    Args:
        similarity: any scale.
        key_strength: beta >= 0.
        prior: >= 0; a slot of prior 0 gets weight 0. Where all are 0, so are the weights. Without one all are equal.

    Source: Graves 2016, content-based addressing C(M, k, beta); the prior is the slots' write strength.
    """
    scores = key_strength.unsqueeze(-1) * wide(similarity)
    if prior is None:
        return torch.softmax(scores, -1)
    scores = scores + wide(prior).log()
    none = torch.isneginf(scores).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(none, 0.0), -1).masked_fill(none, 0.0)


def interpolate(
    content: Float[Tensor, "*batch slots"], before: Float[Tensor, "*batch slots"], gate: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch slots"]:
    """g w_c + (1 - g) w: found by content, or where the head was before. Source: Graves 2014 (NTM), eq. 7."""
    return before + gate.unsqueeze(-1) * (content - before)


def shift(
    weighting: Float[Tensor, "*batch slots"], shares: Float[Tensor, "*batch shifts"]
) -> Float[Tensor, "*batch slots"]:
    """Moves a weighting round the slots: w(i) <- sum_j w(j) s(i - j), circular.

    Args:
        shares: of the shifts -k … k, in the simplex.

    Source: Graves 2014 (NTM), eq. 8.
    """
    reach = shares.shape[-1] // 2
    return torch.stack([weighting.roll(by, -1) for by in range(-reach, reach + 1)], -1).matmul(
        shares.unsqueeze(-1)
    ).squeeze(-1)  # fmt: skip


def sharpen(
    weighting: Float[Tensor, "*batch slots"], gamma: float | Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch slots"]:
    """w(i)^gamma / sum_j w(j)^gamma, gamma >= 1; a weighting of zeros stays one. Source: Graves 2014 (NTM), eq. 9."""
    powered = weighting.clamp(min=0.0) ** (gamma if isinstance(gamma, float) else gamma.unsqueeze(-1))
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)


def read(
    memory: Float[Tensor, "*batch slots word"], weighting: Float[Tensor, "*batch heads slots"]
) -> Float[Tensor, "*batch heads word"]:
    """r = sum_i w(i) M(i). Source: Graves 2014 (NTM), eq. 2."""
    return weighting @ memory


def erase_and_add(
    memory: Float[Tensor, "*batch slots word"],
    weighting: Float[Tensor, "*batch heads slots"],
    erase: Float[Tensor, "*batch heads word"],
    add: Float[Tensor, "*batch heads word"],
) -> Float[Tensor, "*batch slots word"]:
    """M <- M o prod_h (1 - w_h e_h^T) + sum_h w_h a_h^T: every head erases before any adds, so their order is free.

    Source: Graves 2014 (NTM), eqs. 3-4; erase in [0, 1].
    """
    for w, e in zip(weighting.unbind(-2), erase.unbind(-2), strict=True):
        memory = memory * (1.0 - w.unsqueeze(-1) * e.unsqueeze(-2))
    return memory + weighting.transpose(-1, -2) @ add


def usage_after_write(
    usage: Float[Tensor, "*batch slots"],
    weighting: Float[Tensor, "*batch slots"],
    retention: Float[Tensor, "*batch slots"],
) -> Float[Tensor, "*batch slots"]:
    """u <- (u + w - u o w) o psi. Source: Graves 2016, dynamic memory allocation."""
    return (usage + weighting - usage * weighting) * retention


def retention(
    read_weightings: Float[Tensor, "*batch heads slots"], free_gates: Float[Tensor, "*batch heads"]
) -> Float[Tensor, "*batch slots"]:
    """psi = prod over read heads of (1 - f w): what the free gates leave of a slot's usage. Source: Graves 2016."""
    return (1.0 - free_gates.unsqueeze(-1) * read_weightings).prod(-2)


def allocation_weighting(usage: Float[Tensor, "*batch slots"]) -> Float[Tensor, "*batch slots"]:
    """a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i], phi the slots from least to most used.

    Slots whose usage differs by rounding alone, as of slots not yet written, count as equal in the order, so
    that the lowest number comes first whatever the batch. Source: Graves 2016, eq. 1. Its sparse limit is `least_used`.
    """
    order = torch.sort((usage.detach() * 2**20).round(), dim=-1, stable=True).indices
    ordered = usage.gather(-1, order)
    before = torch.cat([torch.ones_like(ordered[..., :1]), torch.cumprod(ordered, -1)[..., :-1]], -1)
    return torch.zeros_like(usage).scatter(-1, order, (1.0 - ordered) * before)


def least_used(usage: Float[Tensor, " slots"], protected: Bool[Tensor, " slots"], count: int) -> Int[Tensor, " least"]:
    """The `count` least used slots that are not protected, the lowest number first among equals.

    Source: Rae et al. 2016 (sparse access memory), least recently accessed allocation, by usage.
    """
    open_to_all = usage.masked_fill(protected, torch.inf)
    if count == 1:  # a write asks for one at a time, of thousands: the first of the least, without putting all in order
        return open_to_all.argmin().unsqueeze(0)
    return torch.sort(open_to_all, stable=True).indices[:count]


def precedence_after_write(
    precedence: Float[Tensor, "*batch slots"], weighting: Float[Tensor, "*batch slots"]
) -> Float[Tensor, "*batch slots"]:
    """p <- (1 - sum w) p + w. Source: Graves 2016, temporal memory linkage."""
    return (1.0 - weighting.sum(-1, keepdim=True)) * precedence + weighting


def links_after_write(
    links: Float[Tensor, "*batch slots slots"],
    weighting: Float[Tensor, "*batch slots"],
    precedence: Float[Tensor, "*batch slots"],
) -> Float[Tensor, "*batch slots slots"]:
    """L[i, j] <- (1 - w[i] - w[j]) L[i, j] + w[i] p[j], with L[i, i] = 0; dense.

    Args:
        precedence: that of before this write.

    Source: Graves 2016, temporal memory linkage.
    """
    after, before = weighting.unsqueeze(-1), weighting.unsqueeze(-2)
    updated = (1.0 - after - before) * links + after * precedence.unsqueeze(-2)
    return updated.masked_fill(torch.eye(links.shape[-1], dtype=torch.bool, device=links.device), 0.0)


def sharpen_links(
    flow: Float[Tensor, "*batch slots"], sharpness: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch slots"]:
    """What the links lead to, made sharper and of the same sum.

    Args:
        flow: L w or L^T w.
        sharpness: >= 1.

    Source: Csordas & Schmidhuber 2019, who make the sum 1. Kept as it is, a slot that links to all but nothing
    leads nowhere, and the gradient stays finite.
    """
    return flow.sum(-1, keepdim=True) * sharpen(flow, sharpness)


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


def greatest(values: Float[Tensor, "*batch slots"], count: int) -> Int[Tensor, "*batch count"]:
    """Where the `count` greatest values stand, the greatest first, the lowest number first among equals.

    Args:
        count: <= slots.

    Compared in single precision. Which of several equals is found never depends on what lies beside them, so that a
    row of a batch gives what it gives alone.
    """
    values = values.detach().float()
    slots = values.shape[-1]
    if slots > _MANY:  # where no two of the greatest are equal there is nothing to decide
        best, found = values.topk(count + 1, -1)
        if not (best.diff() == 0).any():
            return found[..., :count]
    bits = (values + 0.0).view(torch.int32)  # -0 is 0
    rank = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()  # in the order of the floats
    numbered = rank * slots + torch.arange(slots - 1, -1, -1, device=values.device)
    return numbered.topk(count, -1).indices


def across(
    slots: Int[Tensor, "batch entries"], table: Shaped[Tensor, "batch rows width"]
) -> Int[Tensor, "batch entries width"]:
    """The index with which gather and scatter take the whole rows of a table that stand at `slots`."""
    return slots.unsqueeze(-1).expand(-1, -1, table.shape[-1])


def first_of_slot(slots: Int[Tensor, "*batch entries"]) -> Int[Tensor, "*batch entries"]:
    """For each entry of a sparse weighting the first entry of the same slot."""
    return (slots.unsqueeze(-1) == slots.unsqueeze(-2)).int().argmax(-1)


def add_up(
    slots: Int[Tensor, "*batch entries"], weights: Float[Tensor, "*batch entries"]
) -> Float[Tensor, "*batch entries"]:
    """A sparse weighting with all of a slot's weight on its first entry and 0 on the others."""
    return torch.zeros_like(weights).scatter_add(-1, first_of_slot(slots), weights)


def spread(
    slots: Int[Tensor, "*batch entries"], weights: Float[Tensor, "*batch entries"], size: int
) -> Float[Tensor, "*batch {size}"]:
    """The dense form of a sparse weighting."""
    return weights.new_zeros(*weights.shape[:-1], size).scatter_add(-1, slots, weights)
