"""How far a trained network's skill reaches: the same task at multiples of the trained size."""

from typing import Any

import torch

from memory_core.recurrent import Recurrent
from memory_core.tasks import MULTIPLES, Task
from memory_core.training.curriculum import measure

_SEED = 2_000_000_011  # of the measured sequences: the same for every run, and not those of validation


def generalisation(
    network: Recurrent[Any],
    task: Task,
    slots: int,
    *,
    sequences: int = 256,
    at_once: int = 64,
    most_slots: int = 10_000,
) -> list[dict[str, Any]]:
    """Measures sequences of each of the `MULTIPLES` of the full size exactly, each with a memory enlarged as much.

    Args:
        slots: of the memory in training; 0 for a network without one.
        at_once: sequences that are run together.
        most_slots: the memory is enlarged no further, so that a dense memory's links fit.

    Returns:
        For each multiple its size, its slots and the means that `measure` gives.
    """
    return [_at(network, task, multiple, min(slots * multiple, max(slots, most_slots)), sequences, at_once)
            for multiple in MULTIPLES]  # fmt: skip


def _at(network: Recurrent[Any], task: Task, multiple: int, slots: int, sequences: int, at_once: int) -> dict[str, Any]:
    generator, size = torch.Generator().manual_seed(_SEED + multiple), task.full * multiple
    measured = []
    for _ in range(0, sequences, at_once):
        batch = task.sample(generator, at_once, size, exactly=True)
        state = network.initial_state(at_once, slots=slots) if slots else None
        measured.append(measure(network, task, batch, state))
    means = {name: sum(part[name] for part in measured) / len(measured) for name in measured[0]}
    return {"multiple": multiple, "size": size, "slots": slots} | means
