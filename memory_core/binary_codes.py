"""A slot's word as it is stored, one bit a dimension of each facet, and what is made of words when they are loaded.

A facet's signs, after a rotation that gives every dimension the same weight, keep its direction nearly as well as its
numbers do, in a thirty-second of the room; the cue's facets keep theirs.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float, Int, Int8, UInt8
from torch import Tensor
from torch.nn import functional

_BITS = (128, 64, 32, 16, 8, 4, 2, 1)


def encode_word(facets: Float[Tensor, "*slots facets word"]) -> UInt8[Tensor, "*slots facets bytes"]:
    """Facets as they are stored: bit 1 where a part is above 0, the first part in a byte's highest bit."""
    bits = (facets > 0).reshape(*facets.shape[:-1], facets.shape[-1] // 8, 8).to(torch.uint8)
    packed: Tensor = (bits * torch.tensor(_BITS, dtype=torch.uint8, device=facets.device)).sum(-1, dtype=torch.uint8)
    return packed


def decode_word(word: UInt8[Tensor, "*slots facets bytes"]) -> Float[Tensor, "*slots facets word"]:
    """Stored facets as the unit vectors that they stand for; where a word holds no facet, what comes means nothing."""
    parts = _signs(word.device).index_select(0, word.flatten().int())
    length: float = (8 * word.shape[-1]) ** -0.5
    return parts.view(*word.shape[:-1], 8 * word.shape[-1]) * length


def encode_sentence(means: Float[Tensor, "*rows word"]) -> Int8[Tensor, "*rows word"]:
    """Directions as whole numbers from -127 to 127, the largest part at the end of the range; zeros stay zeros."""
    largest = means.abs().amax(-1, keepdim=True).clamp(min=1e-12)
    return (127.0 * means / largest).round().to(torch.int8)


def facet_cosines(
    cues: Float[Tensor, "cues cue word"], words: UInt8[Tensor, "facets bytes"], of: Int[Tensor, " facets"]
) -> Float[Tensor, "facets cue"]:
    """The cosine of every stored facet with every facet of its cue, without making the stored ones whole.

    A table holds what each byte at each place adds to each cue facet's product; a cosine is the sum of a facet's bytes.

    Args:
        cues: unit vectors.
        words: as `encode_word` gives them.
        of: which cue each is compared with.

    Source: Jégou et al. 2011, asymmetric distance computation.
    """
    count, heads, bytes_ = *cues.shape[:2], words.shape[-1]
    added = cues.reshape(count, heads, bytes_, 8) @ _signs(cues.device).T  # [cues, cue, bytes, 256]
    table = added.permute(0, 2, 3, 1).reshape(count * bytes_ * 256, heads) * (8 * bytes_) ** -0.5
    places = torch.arange(bytes_, device=cues.device, dtype=torch.int32) + of.int().unsqueeze(1) * bytes_
    return functional.embedding_bag(words.int() + 256 * places, table.contiguous(), mode="sum")


def slot_keys(
    words: UInt8[Tensor, "slots facets bytes"], token_ids: Int[Tensor, "slots facets"]
) -> Float[Tensor, "slots word"]:
    """The first stage's key of each slot: the sum of its facets, as a unit vector; zeros where it holds none.

    In half precision, since all keys are read for every cue. Summed in whole numbers, which never vary, and some slots
    at a time, so that a large memory is not copied out.
    """
    held = token_ids >= 0
    longest = int(held.sum(1).max()) if len(words) else 0
    total = [
        (_signs(words.device)[some[:, :longest].int()].flatten(2) * there[:, :longest].unsqueeze(2)).sum(1)
        for some, there in zip(torch.split(words, 256), torch.split(held, 256), strict=True)
    ]
    return functional.normalize(torch.cat(total), dim=-1).half()


def differing_bits(
    first: UInt8[Tensor, "*slots facets bytes"], second: UInt8[Tensor, "*slots facets bytes"]
) -> Int[Tensor, "*slots facets"]:
    """In how many dimensions the facets of two words have another sign."""
    ones = ((_signs(first.device) + 1) / 2).sum(1).long()
    return ones[(first ^ second).int()].sum(-1)


def count_pieces(
    token_ids: Int[Tensor, "slots facets"], vocabulary: int, counted: Bool[Tensor, " slots"] | None = None
) -> Int[Tensor, " vocabulary"]:
    """In how many of the slots that count each word piece stands; all count unless told."""
    there = token_ids >= 0 if counted is None else (token_ids >= 0) & counted.unsqueeze(1)
    slots, _ = torch.where(there)
    held = torch.unique(slots * vocabulary + token_ids[there].long()) % vocabulary
    return torch.bincount(held, minlength=vocabulary).to(torch.int32)


@cache
def _signs(device: torch.device) -> Float[Tensor, "256 8"]:
    """The eight parts, -1 or 1, that each byte stands for."""
    bits = torch.tensor(_BITS, device=device)
    return ((torch.arange(256, device=device).unsqueeze(1) & bits) > 0).float() * 2 - 1
