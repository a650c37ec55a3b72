"""An approximate search for the slots most like a key, for memories too large to be gone through at every step.

Locality-sensitive hashing (one of the two indices of Rae et al. 2016, section 3.5), by faiss: a slot's word is kept as
the signs of random projections, a key finds the slots whose signs differ least, and these are compared exactly.
A shortlist lives as long as a sequence runs: hashed once, and what is written afterwards is always on it.
"""

import importlib
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BITS = 256  # of a slot's hash; 32 bytes, which a search goes through instead of the word


class Shortlist:
    """The hashed slots of a batch of memories, and the slots written since.

    Args:
        fresh: the first slot of each memory that was never used; those before are hashed.
        length: how many hashed slots a key finds.
        spare: so many unused slots are on the list from the start, where there are.

    Raises:
        ImportError: faiss is not installed.
    """

    def __init__(
        self, memory: Float[Tensor, "batch slots word"], fresh: Int[Tensor, " batch"], length: int, spare: int
    ) -> None:
        faiss = _faiss()
        self.length, self.indices = length, list[Any]()
        self.written = (fresh.unsqueeze(1) + torch.arange(spare, device=fresh.device)).clamp(max=memory.shape[1] - 1)
        for words, used in zip(memory.detach().float().cpu(), fresh.tolist(), strict=True):
            index = faiss.IndexLSH(words.shape[1], _BITS, True, False)
            index.add(words[:used].numpy())
            self.indices.append(index)

    def note(self, slots: Int[Tensor, "batch entries"]) -> None:
        """Puts slots on the list for good: they were written, or may be."""
        self.written = torch.cat([self.written, slots], 1)

    def candidates(self, keys: Float[Tensor, "batch heads word"]) -> Int[Tensor, "batch heads candidates"]:
        """Each head's shortlist in ascending order, each slot once; -1 stands for none."""
        found = [
            torch.from_numpy(index.search(key.numpy(), self.length)[1])
            for index, key in zip(self.indices, keys.detach().float().cpu(), strict=True)
        ]
        hashed = torch.stack(found).to(self.written.device)
        slots = torch.cat([hashed, self.written.unsqueeze(1).expand(-1, keys.shape[1], -1)], -1).sort(-1).values
        again = torch.zeros_like(slots, dtype=torch.bool)
        again[..., 1:] = slots[..., 1:] == slots[..., :-1]
        return slots.masked_fill(again, -1)


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise ImportError("an approximate search needs faiss: pip install 'mneme[approximate]'") from None
