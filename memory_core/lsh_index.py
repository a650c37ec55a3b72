"""An approximate search for the slots most like a key, for memories too large to go through their words at every step.

Locality-sensitive hashing, one of the two indices of Rae et al. 2016 (section 3.5): each word is kept as the signs of
random projections too, and a key's shortlist is the slots whose signs differ least, found by faiss. The hashes are
part of the state and are written with the words, so there is no index to build, to rebuild or to fall behind.
"""

import importlib
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

BITS = 128  # of a hash, which is an eighth of a word of 32 dimensions


def projections(word: int) -> Float[Tensor, "word bits"]:
    """Random directions, the same at every call."""
    return torch.randn(word, BITS, generator=torch.Generator().manual_seed(0))


def hashed(
    words: Float[Tensor, "*batch word"], directions: Float[Tensor, "word bits"]
) -> UInt8[Tensor, "*batch bytes"]:
    """The signs of the projections, eight a byte. Words at an angle of a differ in a share of a / pi of the bits."""
    signs = torch.unflatten(words @ directions > 0, -1, (-1, 8))
    return (signs * 2 ** torch.arange(8, device=words.device)).sum(-1).to(torch.uint8)


def lsh_index(
    keys: UInt8[Tensor, "batch heads bytes"], slots: UInt8[Tensor, "batch slots bytes"], count: int
) -> Int[Tensor, "batch heads count"]:
    """The slots whose hashes differ least from each key's. faiss goes through them on the CPU.

    Raises:
        ImportError: faiss is not installed.
    """
    search = _faiss().knn_hamming
    rows = zip(keys.cpu(), slots.cpu(), strict=True)
    found = [torch.from_numpy(search(key.numpy(), row.numpy(), count)[1]) for key, row in rows]
    return torch.stack(found).to(keys.device)


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise ImportError("an approximate search needs faiss: pip install 'mneme[approximate]'") from None
