"""A task as a lesson: its sizes grow with success, and it is learnt when it is solved at full size."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from memory_core.recurrent import Recurrent
from memory_core.state import TensorState
from memory_core.tasks import Batch, Task
from memory_core.training.checkpoint import Notes
from memory_core.training.metrics import Figures

_HELD_SEED = 1_000_000_007  # of held sequences: the same for every run, so that runs compare


class Curriculum:
    """Teaches a network a task, small sizes first.

    A validation measures held sequences of the present size. Where they cost less than `pass_below` above the best
    possible predictor, in bits a counted bit, the size grows by half, at once again if the network masters that too.
    At full size the task's own bound decides whether it is solved.
    """

    def __init__(
        self, network: Recurrent[Any], task: Task, batch_size: int, *, pass_below: float = 0.1, held: int = 64
    ) -> None:
        self.size = min(task.start, task.full)
        self.learnt = False
        self._network, self._task, self._batch_size = network, task, batch_size
        self._pass_below, self._held = pass_below, held

    def loss(self, generator: torch.Generator) -> Tensor:
        """Bits a counted bit."""
        batch = self._task.sample(generator, self._batch_size, self.size).to(device_of(self._network))
        return batch.cost(answers(self._network, batch)).sum() / batch.counted.sum()

    def validate(self) -> Figures:
        """The size measured last; `bits` per sequence, `least` what the best predictor pays, `excess` in bits a counted
        bit, and the share of wrong bits."""
        while True:
            generator = torch.Generator().manual_seed(_HELD_SEED + self.size)
            measured = {"size": self.size} | measure(self._network, self._task, self._drawn(generator))
            full = self.size >= self._task.full
            self.learnt = full and measured["excess"] < self._task.solved_below
            if full or not measured["excess"] < self._pass_below:
                return measured
            self.size = min(self._task.full, max(self.size + 1, self.size * 3 // 2))

    def notes(self) -> Notes:
        return {"size": self.size, "learnt": self.learnt}

    def take_up(self, notes: Notes) -> None:
        self.size, self.learnt = notes["size"], notes["learnt"]

    def _drawn(self, generator: torch.Generator) -> Batch:
        return self._task.sample(generator, self._held, self.size)


@contextmanager
def eager() -> Iterator[None]:
    """In here, or decorated by it, nothing is compiled: shapes that come once are not worth it."""
    with torch.compiler.set_stance("force_eager"):
        yield


def answers(
    network: Recurrent[Any], batch: Batch, state: TensorState | None = None
) -> Float[Tensor, "batch time outputs"]:
    """The network's logits, over the padding too: what it says there does not count."""
    logits, _ = network.forward(batch.inputs, state)
    return logits


@torch.no_grad()
@eager()
def measure(network: Recurrent[Any], task: Task, batch: Batch, state: TensorState | None = None) -> dict[str, float]:
    """Means over the sequences of a batch, which is on the CPU. A cost that is not finite counts as infinite."""
    network.eval()
    logits = answers(network, batch.to(device_of(network)), state).float().cpu()
    errors, bits, least = batch.errors(logits), float(batch.cost(logits).mean()), float(task.least(batch).mean())
    excess = (bits - least) / float(batch.counted.mean())
    return {
        "bits": bits,
        "least": least,
        "excess": excess if math.isfinite(excess) else math.inf,
        "bit_error": float(errors.mean()),
        "perfect": float((errors == 0.0).float().mean()),
    }


def device_of(network: nn.Module) -> torch.device:
    """Where the network's parameters are."""
    return next(network.parameters()).device
