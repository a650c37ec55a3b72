"""Dynamic n-grams: can a network count what followed what? Source: Graves et al. 2014, section 4.4."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core.tasks.task import Batch, Task


@dataclass(frozen=True)
class NGrams(Task):
    """Bits, each of which depends on the five before it by a table drawn anew for every sequence; the answer at each
    step is the next bit.

    A table holds one probability a context, drawn from Beta(1/2, 1/2). The first five bits are fair coin flips, which
    nothing can predict; they don't count. Size: the number of bits, always 200 in the paper.
    """

    smallest: ClassVar[int] = 6
    varied: ClassVar[bool] = False
    context: ClassVar[int] = 5
    full: int = 200

    @property
    def start(self) -> int:
        return self.full

    @property
    def inputs(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return 1

    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        batch, size = len(sizes), int(sizes.max())
        uniform = torch.rand(batch, 2**self.context, generator=generator)
        table = torch.sin(uniform * (math.pi / 2)) ** 2  # Beta(1/2, 1/2), the arcsine law, by its inverse distribution
        bits = torch.rand(batch, size, generator=generator)
        bits[:, : self.context] = bits[:, : self.context].round()
        for time in range(self.context, size):  # each bit needs those before it
            chance = table.gather(1, _contexts(bits[:, time - self.context : time], self.context))
            bits[:, time] = (bits[:, time] < chance.squeeze(1)).float()
        mask = (torch.arange(size - 1) >= self.context - 1).expand(batch, -1)
        return Batch(bits[:, :-1, None], bits[:, 1:, None], mask, sizes - 1)

    def least(self, batch: Batch) -> Float[Tensor, " batch"]:
        """What the optimal Bayesian predictor pays, in bits per sequence."""
        return batch.cost(torch.logit(self.optimal(batch.inputs.squeeze(2))).unsqueeze(2))

    def optimal(self, bits: Float[Tensor, "batch time"]) -> Float[Tensor, "batch time"]:
        """The optimal Bayesian predictor: the chance that a one follows, (N1 + 1/2) / (N0 + N1 + 1), where N0 and N1
        count how often the present context was followed by a zero and by a one so far; 1/2 before the first context.

        Source: Graves et al. 2014, eq. 10, after Murphy 2012.
        """
        chance = torch.full_like(bits, 0.5)
        contexts = functional.one_hot(_contexts(bits, self.context), 2**self.context).float()
        followed = functional.pad(contexts[:, :-1], (0, 0, 1, 0))  # seen before now, so what followed is known
        all_so_far = followed.cumsum(1)
        start = self.context - 1
        ones_so_far = (followed * bits[:, start:, None]).cumsum(1)
        n, ones = ((contexts * counts).sum(2) for counts in (all_so_far, ones_so_far))
        chance[:, start:] = (ones + 0.5) / (n + 1.0)
        return chance


def _contexts(bits: Float[Tensor, "batch time"], length: int) -> Int[Tensor, "batch contexts"]:
    """The number that each run of `length` bits spells, first bit highest."""
    powers = 2.0 ** torch.arange(length - 1, -1, -1)
    return (bits.unfold(1, length, 1) @ powers).long()
