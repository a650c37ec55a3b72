"""The tasks that memory-augmented networks are known for, as deterministic sources of sequences."""

from collections.abc import Callable
from pathlib import Path

from memory_core.tasks.completion import Completion, load_characters
from memory_core.tasks.copying import Copy, RepeatCopy
from memory_core.tasks.n_grams import NGrams
from memory_core.tasks.recall import AssociativeRecall
from memory_core.tasks.sorting import PrioritySort
from memory_core.tasks.task import MULTIPLES, Batch, Task, TaskError

TASKS: dict[str, Callable[[Path | None], Task]] = {
    "copy": lambda _: Copy(),
    "repeat-copy": lambda _: RepeatCopy(),
    "associative-recall": lambda _: AssociativeRecall(),
    "n-grams": lambda _: NGrams(),
    "priority-sort": lambda _: PrioritySort(),
    "completion-half": lambda data: Completion(load_characters(data), "half"),
    "completion-noise": lambda data: Completion(load_characters(data), "noise"),
}


def make(name: str, data: Path | None = None) -> Task:
    """The task of this name with the paper's parameters; `data` is the folder of images that completion takes.

    Raises:
        TaskError: no such task, or its data is missing.
    """
    if name not in TASKS:
        raise TaskError(f"no task {name}; there are {', '.join(TASKS)}")
    return TASKS[name](data)


__all__ = [
    "MULTIPLES", "AssociativeRecall", "Batch", "Completion", "Copy", "NGrams", "PrioritySort", "RepeatCopy", "Task",
    "TaskError", "load_characters", "make",
]  # fmt: skip
