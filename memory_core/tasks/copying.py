"""Copy and repeat copy: can a network hold what it saw, and count? Source: Graves et al. 2014, sections 4.1 and 4.2."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from memory_core.tasks.task import Batch, Task, pick, random_bits


@dataclass(frozen=True)
class Copy(Task):
    """Random vectors and a delimiter on a channel of its own; then, with no further input, the vectors again.

    Size: the number of vectors, 1 to 20 in the paper. A curriculum that begins with one or two
    teaches the controller to hold them by itself, and the memory is found late or never; it begins with five.
    """

    bits: int = 8
    full: int = 20

    @property
    def start(self) -> int:
        return 5

    @property
    def inputs(self) -> int:
        return self.bits + 1

    @property
    def outputs(self) -> int:
        return self.bits

    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        longest, size = int(sizes.max()), sizes.unsqueeze(1)
        vectors = random_bits(generator, len(sizes), longest, self.bits)
        time = torch.arange(2 * longest + 1)
        place = time - size - 1  # in the answer; the delimiter is at -1
        answering = (place >= 0) & (place < size)
        inputs = torch.zeros(len(sizes), len(time), self.inputs)
        inputs[..., : self.bits] = pick(vectors, time.expand(len(sizes), -1)) * (time < size).unsqueeze(2)
        inputs[..., self.bits] = (place == -1).float()
        targets = pick(vectors, place) * answering.unsqueeze(2)
        return Batch(inputs, targets, answering, 2 * sizes + 1)


@dataclass(frozen=True)
class RepeatCopy(Task):
    """Random vectors and how often to say them; then that many copies, and an end marker on a channel of its own.

    The number of copies comes on its own channel in the step after the vectors, normalised to mean 0 and variance 1
    over 1 to `repeats`, from which it is drawn evenly at every size. Size: the number of vectors, 1 to 10 in the paper;
    a curriculum begins with five, as that of copy does.
    """

    bits: int = 8
    full: int = 10
    repeats: int = 10

    @property
    def start(self) -> int:
        return 5

    @property
    def inputs(self) -> int:
        return self.bits + 1

    @property
    def outputs(self) -> int:
        return self.bits + 1

    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        longest, size = int(sizes.max()), sizes.unsqueeze(1)
        copies = torch.randint(1, self.repeats + 1, (len(sizes), 1), generator=generator)
        vectors = random_bits(generator, len(sizes), longest, self.bits)
        end = size * copies  # place of the end marker in the answer
        time = torch.arange(int((size + 1 + end).max()) + 1)
        place = time - size - 1
        answering = (place >= 0) & (place <= end)
        inputs = torch.zeros(len(sizes), len(time), self.inputs)
        inputs[..., : self.bits] = pick(vectors, time.expand(len(sizes), -1)) * (time < size).unsqueeze(2)
        inputs[..., self.bits] = (place == -1) * self._normalised(copies)
        targets = torch.zeros(len(sizes), len(time), self.outputs)
        targets[..., : self.bits] = pick(vectors, place % size) * (answering & (place < end)).unsqueeze(2)
        targets[..., self.bits] = (place == end).float()
        return Batch(inputs, targets, answering, (size + end + 2).squeeze(1))

    def _normalised(self, copies: Tensor) -> Tensor:
        deviation = ((self.repeats**2 - 1) / 12) ** 0.5 or 1.0
        return (copies - (self.repeats + 1) / 2) / deviation
