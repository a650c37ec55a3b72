"""Associative recall: can a network follow from one item to the next? Source: Graves et al. 2014, section 4.3."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from memory_core.tasks.task import Batch, Task, random_bits


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """Items of a few vectors, each between delimiters; then one of them between query delimiters, whose successor is
    the answer.

    The two delimiters have channels of their own; the one that ends an item begins the next. Size: the number of items,
    2 to 6 in the paper. Items are drawn independently: that two of a sequence are equal, so that the answer is not
    certain, happens once in 2^18 pairs. A curriculum that begins with two, of which the second is always the answer,
    teaches the controller to hold that one; it begins with all six. Items seldom have a vector in common, so to look at
    one alone costs little: the task counts as solved at half of what others may cost.
    """

    smallest: ClassVar[int] = 2
    solved_below: ClassVar[float] = 0.005
    bits: int = 6
    vectors: int = 3
    full: int = 6

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
        batch, most, block = len(sizes), int(sizes.max()), self.vectors + 1
        items = random_bits(generator, batch, most, self.vectors, self.bits)
        asked = (torch.rand(batch, generator=generator) * (sizes - 1)).long()
        each = torch.arange(batch)

        shown = torch.zeros(batch, most, block, self.inputs)
        shown[:, :, 0, self.bits] = 1.0
        shown[:, :, 1:, : self.bits] = items
        shown *= (torch.arange(most) < sizes.unsqueeze(1)).view(batch, most, 1, 1)

        query = torch.zeros(batch, block + 1, self.inputs)
        query[:, [0, -1], self.bits + 1] = 1.0
        query[:, 1:-1, : self.bits] = items[each, asked]

        lengths = block * sizes + block + 1 + self.vectors
        time = int(lengths.max())
        inputs, targets = torch.zeros(batch, time, self.inputs), torch.zeros(batch, time, self.outputs)
        inputs[:, : block * most] = shown.flatten(1, 2)
        start = (block * sizes).unsqueeze(1)
        inputs[each.unsqueeze(1), start + torch.arange(block + 1)] = query
        answer = start + block + 1 + torch.arange(self.vectors)
        targets[each.unsqueeze(1), answer] = items[each, asked + 1]
        mask = torch.zeros(batch, time, dtype=torch.bool).scatter(1, answer, True)
        return Batch(inputs, targets, mask, lengths)
