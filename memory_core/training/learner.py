"""A network that learns: with its optimiser, its random numbers, and a guard that no NaN or Inf gets past."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from memory_core.training import checkpoint
from memory_core.training.checkpoint import Notes

Optimiser = Literal["adam", "rmsprop"]

_NOTED = ("step", "rate", "learnt_at", "seconds", "_in_a_row")  # what a checkpoint says of a learner
_MOST_RESTORES = 10  # in a row; by then the step size is a thousandth


class TrainingError(RuntimeError):
    """Training that cannot go on."""


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    RMSprop by default, with the momentum of 0.9 of Graves et al.: on copy (one seed each) the DNC and the NTM needed no
    more sequences than with the best step size of Adam (1e-2), at which the sparse DNC fell back again and again. A
    gradient's norm of 10, uncut, did the same to the NTM.
    """

    steps: int = 5_000  # updates at most
    optimiser: Optimiser = "rmsprop"
    rate: float = 1e-3  # step size
    clip: float = 1.0  # the gradient's norm is cut to this
    settle: int = 0  # updates, the last ones, over which the step size falls to nothing
    every: int = 25  # updates between validations and checkpoints
    warm_up: int = 0  # updates, the first ones, over which the step size rises from nothing


@dataclass(frozen=True)
class Update:
    """What one update did. `bad` is "loss" or "gradient", whichever was not finite; then the last good step is back."""

    loss: float
    gradient: float
    bad: str | None


class Learner:
    """All that changes while a network learns, for any training: what a checkpoint holds and the guard restores."""

    def __init__(
        self, network: nn.Module, training: Training, seed: int, slow: Callable[[str], bool] = lambda name: False
    ) -> None:
        """
        Args:
            slow: whether a parameter is one whose steps are cut to the share `pace`, by its name.
        """
        self.network = network
        self.pace = 1.0
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        self.rate = training.rate  # step size; halved with every restoration
        self.learnt_at: int | None = None  # the step at which the lesson was first learnt
        self.seconds = 0.0  # spent learning, over all resumptions
        self._clip = training.clip
        self._optimiser = _optimiser(network, training, slow)
        self._in_a_row = 0
        self._keep()

    def update(self, loss: Callable[[torch.Generator], Tensor], share: float = 1.0) -> Update:
        """One step, of a share of the step size, down the gradient of a loss, which draws what it needs from the
        generator.

        Where loss or gradient is NaN or infinite, the parameters and the optimiser go back to the last good step, the
        one before the update that led here, and the step size is halved.

        Raises:
            TrainingError: ten such steps in a row.
        """
        self.network.train()
        self._optimiser.zero_grad(set_to_none=True)
        value = loss(self.generator)
        gradient = math.nan
        if torch.isfinite(value):
            value.backward()  # type: ignore[no-untyped-call]
            gradient = float(nn.utils.clip_grad_norm_(self.network.parameters(), self._clip))
        self.step += 1
        if math.isfinite(gradient):
            self._keep()
            for group, pace in zip(self._optimiser.param_groups, (1.0, self.pace), strict=False):
                group["lr"] = self.rate * share * pace
            self._optimiser.step()
            self._in_a_row = 0
            return Update(value.item(), gradient, None)
        self.go_back()
        return Update(value.item(), gradient, "gradient" if torch.isfinite(value) else "loss")

    def go_back(self) -> None:
        """Restores the last good step, the one before the last update, and halves the step size.

        Raises:
            TrainingError: for the tenth time in a row.
        """
        self._in_a_row += 1
        if self._in_a_row == _MOST_RESTORES:
            raise TrainingError(
                f"step {self.step}: for the {_MOST_RESTORES}th time in a row a loss or gradient not finite"
            )
        parameters, optimiser = copy.deepcopy(self._kept)
        self.network.load_state_dict(parameters)
        self._optimiser.load_state_dict(optimiser)
        self.rate /= 2.0

    def save(self, path: Path, notes: Notes) -> None:
        """Writes a checkpoint. What is saved counts as a good step: validate it first."""
        own: Notes = {name: getattr(self, name) for name in _NOTED}
        checkpoint.save(path, self.network, self._optimiser, self.generator, {"learner": own, "notes": notes})
        self._keep()

    def load(self, path: Path) -> Notes:
        """Goes back to a checkpoint and hands back its notes.

        Raises:
            CheckpointError: see `checkpoint.load`.
        """
        found = checkpoint.load(path, self.network, self._optimiser, self.generator)
        for name in _NOTED:
            setattr(self, name, found["learner"][name])
        self._keep()
        notes: Notes = found["notes"]
        return notes

    def _keep(self) -> None:
        self._kept = copy.deepcopy((self.network.state_dict(), self._optimiser.state_dict()))


def _optimiser(network: nn.Module, training: Training, slow: Callable[[str], bool]) -> torch.optim.Optimizer:
    named = list(network.named_parameters())
    parts = [[parameter for name, parameter in named if slow(name) is wanted] for wanted in (False, True)]
    groups = [{"params": part} for part in parts if part]
    if training.optimiser == "adam":
        return torch.optim.Adam(groups, training.rate)
    return torch.optim.RMSprop(groups, training.rate, alpha=0.95, momentum=0.9)
