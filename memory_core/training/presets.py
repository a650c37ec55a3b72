"""Sizes of networks and of their training that go together, by how many slots a task needs."""

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


# Only "small" has been tried out; the others follow from it.
PRESETS = {
    "small": Preset(48, word=20, hidden=100, batch_size=16, training=Training()),  # 10 to 50 slots
    "medium": Preset(256, word=32, hidden=200, batch_size=16, training=Training(steps=10_000, rate=5e-4)),  # 100 to 500
    "large": Preset(1_024, word=64, hidden=256, batch_size=8, training=Training(steps=20_000, rate=3e-4)),  # 1,000 on
}
_SMALL = PRESETS["small"]
_BY_TASK = {  # what docs/science.md was measured with
    "repeat-copy": replace(_SMALL, batch_size=32, training=Training(steps=3_000)),
    "associative-recall": replace(_SMALL, batch_size=32, training=Training(steps=4_000, settle=1_500)),
    "n-grams": replace(_SMALL, training=Training(steps=1_000, settle=400)),
    "priority-sort": replace(_SMALL, batch_size=32, training=Training(steps=4_000, settle=1_500)),
}


def preset(name: str, task: str) -> Preset:
    """The preset of this name; of the small one, as the task is known to be learnt.

    Raises:
        KeyError: there is none.
    """
    return _BY_TASK.get(task, _SMALL) if name == "small" else PRESETS[name]
