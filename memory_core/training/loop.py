"""The training loop: update, now and then validate, save, until the lesson is learnt or the steps are used up.

What is learnt is a `Lesson`; the loop knows nothing of tasks, and the assistant's own training runs through it too.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from memory_core.training.checkpoint import Notes
from memory_core.training.learner import Learner, Training
from memory_core.training.metrics import Metrics

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


@runtime_checkable
class Lesson(Protocol):
    """What the loop needs to know of what is learnt."""

    @property
    def learnt(self) -> bool:
        """Whether the last validation found that training can end."""

    def loss(self, generator: torch.Generator) -> Tensor:
        """The loss of a batch drawn from the generator: a scalar to go down."""

    def validate(self) -> dict[str, Any]:
        """Measures the network on what it was not trained on; may change what `loss` draws. Draws nothing from the
        learner's generator."""

    def notes(self) -> Notes:
        """What a resumed lesson needs to know."""

    def take_up(self, notes: Notes) -> None:
        """Goes back to where `notes` were taken."""


def train(
    learner: Learner,
    lesson: Lesson,
    training: Training,
    folder: Path,
    *,
    resume: bool = False,
    watch: Callable[[int, dict[str, Any]], None] = lambda step, measured: None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains until the lesson is learnt or `training.steps` are done; leaves a checkpoint and metrics in `folder`.

    On the CPU, with the same number of threads, a run that is resumed gives bit for bit what it would have given
    without the break, whatever the step it was stopped at.

    Args:
        folder: is there.
        resume: go on from the checkpoint in `folder`.
        watch: called after every step with what the last validation measured.
        tell: called with a line on what went wrong and was mended.

    Raises:
        CheckpointError: there is nothing to resume, or it is of another network.
        TrainingError: no finite loss can be reached.
    """
    metrics = Metrics(folder / METRICS)
    if resume:
        lesson.take_up(learner.load(folder / CHECKPOINT))
    metrics.rewind(learner.step if resume else -1)
    measured: dict[str, Any] = {}
    losses: list[float] = []
    began = time.perf_counter() - learner.seconds
    while learner.step < training.steps and not lesson.learnt:
        update = learner.update(lesson.loss)
        learner.seconds = time.perf_counter() - began
        if update.restored:
            bad = "loss" if not torch.isfinite(torch.tensor(update.loss)) else "gradient"
            metrics.write(learner.step, event="restored", bad=bad, rate=learner.rate)
            tell(f"step {learner.step}: {bad} not finite; back to the last good step, step size now {learner.rate:g}")
        else:
            losses.append(update.loss)
        if learner.step % training.every == 0:
            measured = lesson.validate()
            loss = sum(losses) / len(losses) if losses else None
            figures = {"loss": loss, "gradient": update.gradient, "rate": learner.rate, "seconds": learner.seconds}
            metrics.write(learner.step, **figures, **measured)
            losses.clear()
        if learner.step % training.every == 0 or learner.step == training.steps:
            learner.save(folder / CHECKPOINT, lesson.notes())
        watch(learner.step, measured)
