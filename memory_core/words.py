"""A slot's word as it is stored: facets in int8, and what is made of words anew wherever they are loaded."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

SCALE = 254.0  # int8 steps a unit: facets are unit vectors whose parts hardly pass 1/2


def encode_word(facets: Float[Tensor, "facets word"]) -> Int[Tensor, "facets word"]:
    """Facets as they are stored."""
    return (facets.float() * SCALE).round().clamp(-127, 127).to(torch.int8)


def slot_keys(
    words: Int[Tensor, "slots facets word"], pieces: Int[Tensor, "slots facets"]
) -> Float[Tensor, "slots word"]:
    """The first stage's key of each slot: the mean of its facets, summed in integers so that it never varies."""
    total = words.sum(1, dtype=torch.int32)
    return total.float() / (SCALE * (pieces >= 0).sum(1, keepdim=True).clamp(min=1))


def decode_word(word: Int[Tensor, "facets word"]) -> Float[Tensor, "facets word"]:
    """A stored word as the unit vectors that it stands for, to the precision of int8."""
    return word.float() / SCALE


def count_pieces(pieces: Int[Tensor, "slots facets"], vocabulary: int) -> Int[Tensor, " vocabulary"]:
    """In how many slots each word piece stands; what a loaded memory's `piece_counts` is made of."""
    slots, _ = torch.where(pieces >= 0)
    held = torch.unique(slots * vocabulary + pieces[pieces >= 0].long()) % vocabulary
    return torch.bincount(held, minlength=vocabulary).to(torch.int32)
