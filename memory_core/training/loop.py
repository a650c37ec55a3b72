"""The training loop: update, now and then validate, save, until the lesson is learnt and has settled, or the steps are
used up.

What is learnt is a `Lesson`; the loop knows nothing of tasks, and the assistant's own training runs through it too.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from memory_core.training.checkpoint import Notes
from memory_core.training.learner import Learner, Training
from memory_core.training.metrics import Figures, Metrics

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


@runtime_checkable
class Lesson(Protocol):
    """What the loop needs to know of what is learnt."""

    @property
    def learnt(self) -> bool:
        """Whether the last validation found it learnt."""

    def loss(self, generator: torch.Generator) -> Tensor:
        """The loss of a batch drawn from the generator: a scalar to go down."""

    def validate(self) -> Figures:
        """Measures the network on what it was not trained on, and may change what `loss` draws. A figure that is not
        finite counts as a bad step. Draws nothing from the learner's generator."""

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
    watch: Callable[[int, Figures], None] = lambda step, measured: None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains until the lesson is learnt or `training.steps` are done; leaves a checkpoint and metrics in `folder`.

    Over the last `training.settle` updates, which begin at once when the lesson is learnt, the step size falls to
    nothing: at full size it keeps a network on the move, away from the best that it could do.

    On the CPU, with the same number of threads, a run that is resumed gives bit for bit what it would have given
    without the break, whatever the step it was stopped at. (One that has ended goes on with more steps, at full step
    size again.)

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
    measured: Figures = {}
    losses: list[float] = []
    began = time.perf_counter() - learner.seconds
    while (left := _last(learner, training) - learner.step) > 0:
        share = min(1.0, left / max(1, training.settle), (learner.step + 1) / max(1, training.warm_up))
        update = learner.update(lesson.loss, share)
        learner.seconds = time.perf_counter() - began
        bad = update.bad
        if not bad:
            losses.append(update.loss)
        due = learner.step % training.every == 0
        if due and not bad:
            measured = lesson.validate()
            loss = sum(losses) / len(losses)
            rate = learner.rate * share
            figures = {"loss": loss, "gradient": update.gradient, "rate": rate, "seconds": learner.seconds}
            metrics.write(learner.step, **figures, **measured)
            losses.clear()
            if lesson.learnt and learner.learnt_at is None:
                learner.learnt_at = learner.step
            if not all(math.isfinite(figure) for figure in measured.values()):
                bad = "validation"
                learner.go_back()
        if bad:
            metrics.write(learner.step, event="restored", bad=bad, rate=learner.rate)
            tell(f"step {learner.step}: {bad} not finite; back to the last good step, step size now {learner.rate:g}")
        elif due or learner.step == _last(learner, training):
            learner.save(folder / CHECKPOINT, lesson.notes())
        watch(learner.step, measured)


def _last(learner: Learner, training: Training) -> int:
    """The step at which training ends, as far as one can tell now."""
    if learner.learnt_at is None:
        return training.steps
    return min(training.steps, learner.learnt_at + training.settle)
