"""Sizes of networks and of their training that go together, as each task is known to be learnt."""

from dataclasses import dataclass, replace

from memory_core.training.learner import Training


@dataclass(frozen=True)
class Preset:
    """A network's sizes and how it is trained."""

    slots: int
    word: int
    hidden: int  # of the controller
    batch_size: int
    training: Training


SMALL = Preset(48, word=20, hidden=100, batch_size=16, training=Training())
_BY_TASK = {  # what docs/science.md was measured with
    "repeat-copy": replace(SMALL, batch_size=32, training=Training(steps=3_000)),
    "associative-recall": replace(SMALL, batch_size=32, training=Training(steps=4_000, settle=1_500)),
    "n-grams": replace(SMALL, training=Training(steps=1_000, settle=400)),
    "priority-sort": replace(SMALL, batch_size=32, training=Training(steps=4_000, settle=1_500)),
}


def preset(task: str) -> Preset:
    """What a task is trained with unless an option says otherwise."""
    return _BY_TASK.get(task, SMALL)
