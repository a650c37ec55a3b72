"""Small networks and lessons that the tests of training share."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from memory_core.tasks import Copy
from memory_core.training import run
from memory_core.training.curriculum import Curriculum
from memory_core.training.generalisation import generalisation
from memory_core.training.learner import Learner, Training
from memory_core.training.metrics import Figures
from memory_core.training.run import network_of, planned

TINY = Copy(bits=3, full=3)


def measured_by_few(patch: pytest.MonkeyPatch) -> None:
    """Runs are measured by two sequences a size: 256 are for what a trained network makes of them."""
    patch.setattr(run, "generalisation", partial(generalisation, sequences=2, fewest=2))


class Line:
    """A lesson without a task: fit y = 2x. From call `bad_from` on, `bad_steps` losses are multiplied by `bad`."""

    def __init__(self, bad: float = torch.nan, bad_from: int = 10**9, bad_steps: int = 1) -> None:
        self.network = nn.Linear(1, 1)
        self.learnt = False
        self._bad, self._bad_calls, self._calls = bad, range(bad_from, bad_from + bad_steps), 0

    def loss(self, generator: torch.Generator) -> Tensor:
        x = torch.rand(8, 1, generator=generator)
        error = ((self.network(x) - 2.0 * x) ** 2).mean()
        self._calls += 1
        return torch.mul(error, self._bad if self._calls in self._bad_calls else 1.0)

    def validate(self) -> Figures:
        return {}

    def notes(self) -> dict[str, Any]:
        return {"calls": self._calls}

    def take_up(self, notes: dict[str, Any]) -> None:
        self._calls = notes["calls"]


def tiny_lesson(model: str, training: Training, seed: int = 1) -> tuple[Learner, Curriculum]:
    """A small network with the tiny copy task; calls with the same arguments give equal ones."""
    network = network_of(planned("copy", model, seed=seed, slots=None if model == "lstm" else 8), TINY)
    return Learner(network, training, seed), Curriculum(network, TINY, batch_size=4, held=8)
