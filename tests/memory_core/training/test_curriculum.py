"""Sizes grow with success, and a task that is solved ends the training."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from memory_core.controllers import ControllerConfig
from memory_core.models import build
from memory_core.recurrent import Recurrent
from memory_core.state import TensorState
from memory_core.tasks import AssociativeRecall, Copy, NGrams, PrioritySort, RepeatCopy, Task
from memory_core.training.curriculum import Curriculum
from memory_core.training.learner import Learner, Training, Update
from memory_core.training.loop import METRICS, train
from memory_core.training.metrics import Metrics


class Oracle(Recurrent[TensorState]):
    """Copies perfectly up to `masters` vectors, and guesses beyond."""

    def __init__(self, masters: int) -> None:
        super().__init__(9, 8)
        self.masters, self.weight = masters, nn.Parameter(torch.ones(1))

    def forward(self, sequence: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        logits = torch.zeros(*sequence.shape[:2], 8)
        for row, inputs in enumerate(sequence):
            length = int(inputs[:, 8].argmax())
            if length <= self.masters:
                logits[row, length + 1 : 2 * length + 1] = inputs[:length, :8] * 40.0 - 20.0
        return logits * self.weight, state


@pytest.mark.parametrize(("masters", "size"), [(0, 5), (5, 7), (8, 10), (20, 20)])
def test_the_size_grows_as_far_as_the_network_has_mastered(masters: int, size: int) -> None:
    curriculum = Curriculum(Oracle(masters), Copy(), 4)
    measured = curriculum.validate()
    assert curriculum.size == measured["size"] == size
    assert curriculum.learnt == (masters == 20)
    if masters == 20:
        assert (measured["size"], measured["perfect"], measured["bit_error"]) == (20, 1.0, 0.0)


def test_one_that_masters_nothing_stays_where_it_is() -> None:
    curriculum = Curriculum(Oracle(0), Copy(), 4)
    for _ in range(3):
        assert curriculum.validate()["excess"] == pytest.approx(1.0)
    assert curriculum.size == 5


@pytest.mark.parametrize(
    ("task", "start"),
    [
        (Copy(), 5),
        (Copy(full=3), 3),
        (AssociativeRecall(), 6),
        (RepeatCopy(), 5),
        (NGrams(), 200),
        (PrioritySort(), 20),
    ],
)
def test_a_curriculum_begins_where_the_task_says(task: Task, start: int) -> None:
    assert Curriculum(Oracle(0), task, 4).size == start


def test_a_network_whose_answers_are_not_numbers_has_not_mastered_anything() -> None:
    oracle = Oracle(20)
    nn.init.constant_(oracle.weight, torch.nan)
    curriculum = Curriculum(oracle, Copy(), 4)
    assert curriculum.validate()["excess"] == torch.inf
    assert (curriculum.size, curriculum.learnt) == (5, False)


def test_a_solved_task_ends_the_training_early(tmp_path: Path) -> None:
    oracle, training = Oracle(20), Training(steps=1_000, every=5, rate=1e-6)
    learner = Learner(oracle, training, seed=1)
    train(learner, Curriculum(oracle, Copy(), 4), training, tmp_path)
    assert learner.step == 5


def test_what_was_learnt_settles_while_the_step_size_falls_to_nothing(tmp_path: Path) -> None:
    oracle, training = Oracle(20), Training(steps=1_000, every=5, rate=1e-6, settle=10)
    learner, shares = Learner(oracle, training, seed=1), list[float]()
    update = learner.update

    def noted(loss: Callable[[torch.Generator], Tensor], share: float = 1.0) -> Update:
        shares.append(share)
        return update(loss, share)

    learner.update = noted  # type: ignore[method-assign]
    train(learner, Curriculum(oracle, Copy(), 4), training, tmp_path)
    assert (learner.step, learner.learnt_at) == (15, 5)
    assert shares == pytest.approx([1.0] * 6 + [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


@pytest.mark.slow
def test_a_tiny_dnc_learns_to_copy_in_under_a_minute_of_one_thread(tmp_path: Path) -> None:
    task, training = Copy(bits=3, full=4), Training(steps=2_000, rate=2e-2, optimiser="adam")
    torch.manual_seed(1)
    network = build("dnc", task.inputs, task.outputs, slots=8, word=12, controller=ControllerConfig(hidden=64))
    learner = Learner(network, training, seed=1)
    curriculum = Curriculum(network, task, batch_size=32)
    began = time.process_time()
    train(learner, curriculum, training, tmp_path)
    assert time.process_time() - began < 60.0
    assert curriculum.learnt
    last = Metrics(tmp_path / METRICS).read()[-1]
    assert last["size"] == 4
    assert last["excess"] < 0.01
