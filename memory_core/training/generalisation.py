"""How far a trained network's skill reaches: the same task at multiples of the trained size."""

from typing import Any

import torch

from memory_core.recurrent import Recurrent
from memory_core.tasks import MULTIPLES, Task
from memory_core.training.curriculum import measure

_SEED = 2_000_000_011  # of the measured sequences: the same for every run, and not those of validation
_AT_ONCE = 64  # sequences that are run together


def generalisation(
    network: Recurrent[Any],
    task: Task,
    slots: int,
    *,
    sequences: int = 256,
    fewest: int = 32,
    most_slots: int = 10_000,
) -> list[dict[str, Any]]:
    """Measures sequences of each of the `MULTIPLES` of the full size exactly, each with a memory enlarged as much.

    Args:
        slots: of the memory in training; 0 for a network without one.
        sequences: so many are measured of the full size, and of its multiples fewer in proportion, since they are as
            much longer, but `fewest` at least.
        most_slots: the memory is enlarged no further, so that a dense memory's links fit.

    Returns:
        For each multiple its size, its slots, its sequences and the means that `measure` gives.
    """
    return [
        _at(network, task, multiple, min(slots * multiple, max(slots, most_slots)), max(fewest, sequences // multiple))
        for multiple in MULTIPLES
    ]


def _at(network: Recurrent[Any], task: Task, multiple: int, slots: int, sequences: int) -> dict[str, Any]:
    generator, size = torch.Generator().manual_seed(_SEED + multiple), task.full * multiple
    measured: dict[str, float] = {}
    for start in range(0, sequences, _AT_ONCE):
        some = min(_AT_ONCE, sequences - start)
        batch = task.sample(generator, some, size, exactly=True)
        state = network.initial_state(some, slots=slots) if slots else None
        for name, mean in measure(network, task, batch, state).items():
            measured[name] = measured.get(name, 0.0) + mean * some / sequences
    return {"multiple": multiple, "size": size, "slots": slots, "sequences": sequences} | measured
