"""Priority sort: can a network put in order what it saw? Source: Graves et al. 2014, section 4.5."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from memory_core.tasks.task import Batch, Task, random_bits


@dataclass(frozen=True)
class PrioritySort(Task):
    """Random vectors, each with a priority from U(-1, 1) on a channel of its own, and a delimiter; then the vectors of
    the highest priorities, the highest first.

    Size: the number of vectors, always 20 in the paper, of which the first 16 are asked for; the same share at others.
    As in the paper there is no curriculum: the controller learns to sort two or three by itself, and stays there.
    """

    varied: ClassVar[bool] = False
    bits: int = 8
    full: int = 20
    kept: int = 16

    @property
    def start(self) -> int:
        return self.full

    @property
    def inputs(self) -> int:
        return self.bits + 2

    @property
    def outputs(self) -> int:
        return self.bits

    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        batch, size = len(sizes), int(sizes.max())
        asked = max(1, size * self.kept // self.full)
        vectors = random_bits(generator, batch, size, self.bits)
        priorities = torch.rand(batch, size, generator=generator) * 2.0 - 1.0
        order = priorities.argsort(1, descending=True)[:, :asked]
        time = size + 1 + asked
        inputs, targets = torch.zeros(batch, time, self.inputs), torch.zeros(batch, time, self.outputs)
        inputs[:, :size, : self.bits] = vectors
        inputs[:, :size, self.bits] = priorities
        inputs[:, size, self.bits + 1] = 1.0
        targets[:, size + 1 :] = vectors.gather(1, order.unsqueeze(2).expand(-1, -1, self.bits))
        mask = (torch.arange(time) > size).expand(batch, -1)
        return Batch(inputs, targets, mask, torch.full_like(sizes, time))
