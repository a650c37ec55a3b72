"""The order of writing, as the temporal links tell it: from row to row, backward and forward.

Among the rows that a row's links lead to, the one written nearest in time is the next of the chain. Pure functions over
a state; they must cost the rows asked for, not the rows there are.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core.state import EpisodicState

_MOST_PARTS = 2**20  # parts of one utterance stay below
_WAYS = ("backward_slots", "forward_slots")


def neighbours(state: EpisodicState, rows: Int[Tensor, " rows"]) -> Int[Tensor, " neighbours"]:
    """The rows within two steps of any of these, backward or forward."""
    found = []
    for way in _WAYS:
        at = rows
        for _ in range(2):
            at = _nearest(state, at, way)
            at = at[at >= 0]
            found.append(at)
    return torch.cat(found)


def around(state: EpisodicState, rows: Int[Tensor, " rows"], steps: int) -> Int[Tensor, "rows both_ways"]:
    """The places among `rows` of so many before each, the nearest first, then of those after.

    Where the chain leaves the rows it is `len(rows)`.
    """
    place = rows.new_full((state.rows + 1,), len(rows))
    place[rows] = torch.arange(len(rows), device=rows.device)
    found = []
    for way in _WAYS:
        step = place[_nearest(state, rows, way)]  # -1, for no link, is the last place
        there = torch.cat([step, step.new_tensor([len(rows)])])
        at = step
        for _ in range(steps):
            found.append(at)
            at = there[at]
    return torch.stack(found, 1)


def best_within(
    each: Float[Tensor, "rows cue"], near_by: Int[Tensor, "rows both_ways"], steps: int, own: Float[Tensor, "rows cue"]
) -> Float[Tensor, "rows cue"]:
    """Of every column, each row's own value or the best of so many rows before and after it.

    Args:
        each: what a row counts for those beside it; at least -1.
        near_by: as `around` gives it, for as many steps or more.
    """
    there = torch.unflatten(near_by, 1, (2, -1))[:, :, :steps].flatten(1)
    best: Tensor = torch.maximum(own, functional.pad(each, (0, 0, 0, 1), value=-1.0)[there].amax(1))
    return best


def _nearest(state: EpisodicState, rows: Int[Tensor, " rows"], way: str) -> Int[Tensor, " rows"]:
    """The row written just before each, among those that its `backward_slots` list, or just after; -1 for none."""
    linked = getattr(state, way)[rows]
    order = state.source[linked] * _MOST_PARTS + state.part[linked]
    if way == "backward_slots":
        nearest = order.masked_fill(linked < 0, -1).argmax(1)
    else:
        nearest = order.masked_fill(linked < 0, torch.iinfo(order.dtype).max).argmin(1)
    there: Tensor = linked.gather(1, nearest.unsqueeze(1)).squeeze(1)
    return there
