"""What a task is: a source of sequences with their answers, and the measure of what a network says.

A task knows nothing of networks or training. Every random number comes from the generator that it is handed, so that a
seed gives the same sequences wherever they are drawn.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

MULTIPLES = (1, 2, 4, 5, 10)  # of the trained size, at which generalisation is measured


class TaskError(ValueError):
    """A task that cannot be drawn: no such task, a size out of range, or data that is not there."""


@dataclass(frozen=True)
class Batch:
    """Sequences of bits, the answers to them, and where answers count.

    Sequences shorter than the longest are padded with zeros at the end; `lengths` are their steps without padding.
    """

    inputs: Float[Tensor, "batch time inputs"]
    targets: Float[Tensor, "batch time outputs"]
    mask: Bool[Tensor, "batch time"]
    lengths: Int[Tensor, " batch"]

    @property
    def counted(self) -> Float[Tensor, " batch"]:
        """How many bits of each sequence count."""
        return self.mask.sum(1).float() * self.targets.shape[2]

    def cost(self, logits: Float[Tensor, "batch time outputs"]) -> Float[Tensor, " batch"]:
        """Bits per sequence: what the answers cost to code by these predictions; differentiable.

        Source: Graves et al. 2014, section 4, "bits-per-sequence".
        """
        nats = functional.binary_cross_entropy_with_logits(logits.float(), self.targets, reduction="none")
        return torch.where(self.mask, nats.sum(2), 0.0).sum(1) / math.log(2.0)

    def errors(self, logits: Float[Tensor, "batch time outputs"]) -> Float[Tensor, " batch"]:
        """The share of each sequence's counted bits that are wrong when rounded, in [0, 1]."""
        wrong = (logits > 0.0) != (self.targets > 0.5)
        return (wrong.sum(2) * self.mask).sum(1) / self.counted

    def to(self, device: torch.device | str) -> "Batch":
        """This batch on `device`."""
        return Batch(*(tensor.to(device) for tensor in (self.inputs, self.targets, self.mask, self.lengths)))


class Task(ABC):
    """Sequences of a size: the longest length, number of items or of vectors, as the task defines it.

    Subclasses are frozen dataclasses whose defaults are the paper's parameters. `smallest` is the least size there is,
    `full` the size that the task asks for. Where `varied`, a batch of a size holds
    sequences of all sizes up to it, else of that size alone.
    """

    smallest: ClassVar[int] = 1
    varied: ClassVar[bool] = True
    solved_below: ClassVar[float] = 0.01  # bits a counted bit above `least`, at full size
    full: int

    @property
    def start(self) -> int:
        """The size at which a curriculum begins."""
        return self.smallest

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Width of the inputs."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Width of the answers, in bits."""

    @abstractmethod
    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        """Draws one sequence of each size."""

    def sample(self, generator: torch.Generator, batch_size: int, size: int, *, exactly: bool = False) -> Batch:
        """Draws a batch, on the CPU; the same generator state gives the same batch.

        Args:
            size: the largest; sizes are drawn evenly from the smallest up to it, or all are it where `exactly`.

        Raises:
            TaskError: `size` is below the smallest, or no sequences are asked for.
        """
        if size < self.smallest or batch_size < 1:
            raise TaskError(
                f"{type(self).__name__}: {batch_size} sequences of size {size}; least: 1 of {self.smallest}"
            )
        lowest = self.smallest if self.varied and not exactly else size
        return self.compose(generator, torch.randint(lowest, size + 1, (batch_size,), generator=generator))

    def least(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Bits per sequence that the best possible predictor pays: none where the answer follows from the inputs."""
        return torch.zeros(len(batch.lengths))


def random_bits(generator: torch.Generator, *shape: int) -> Float[Tensor, "..."]:
    """Fair coin flips, 0.0 or 1.0."""
    return torch.randint(0, 2, shape, generator=generator).float()


def pick(
    vectors: Float[Tensor, "batch items bits"], index: Int[Tensor, "batch time"]
) -> Float[Tensor, "batch time bits"]:
    """Vector `index[b, t]` of sequence b at time t; indices out of range take the nearest one."""
    index = index.clamp(0, vectors.shape[1] - 1)
    return vectors.gather(1, index.unsqueeze(2).expand(-1, -1, vectors.shape[2]))
