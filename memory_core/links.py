"""Row-sparse temporal links, written in place on an `EpisodicState` that the caller owns.

Kept symmetric at all times: slot i stands in forward row j exactly where j stands in backward row i, with the same
weight. That is what lets a slot be cleared by touching its neighbours alone. Source: Rae et al. 2016, appendix D,
with the links of Graves 2016; joining the links around a cleared slot is ours, so that the chain of what was said
stays walkable.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from memory_core import addressing
from memory_core.state import EpisodicState

_FAINTEST = 0.02  # precedence below this no longer ties slots


def write_links_(state: EpisodicState, slot: int, gate: float) -> Tensor:
    """Ties a freshly allocated slot to those before it: L[slot, j] = gate * p[j], then p <- (1 - gate) p + gate.

    Args:
        state: changed in place; `slot` holds no links yet.
        gate: sum of the write weighting, in [0, 1].

    Returns:
        The other slots whose rows changed.
    """
    before, weights = addressing.gather_weighting(state.precedence_slots, state.precedence_weights)
    touched = [_tie_(state, int(j), slot, gate * float(p)) for j, p in zip(before, weights, strict=True)]
    slots = torch.cat([before, before.new_tensor([slot])])
    after = torch.cat([(1.0 - gate) * weights, weights.new_tensor([gate])])
    _set_precedence_(state, slots, after)
    return torch.cat([before, *touched])


def clear_links_(state: EpisodicState, slot: int) -> Tensor:
    """Takes a slot out of the links, the precedence and the last read, and joins its neighbours across the gap.

    A path j -> slot -> i of weights b and a becomes a link j -> i of weight a b, if stronger than what ties them.

    Returns:
        The other slots whose rows changed.
    """
    before = [(int(j), float(w)) for j, w in _entries(state.backward_slots[slot], state.backward_weights[slot])]
    after = [(int(i), float(w)) for i, w in _entries(state.forward_slots[slot], state.forward_weights[slot])]
    for j, _ in before:
        _untie_(state, j, slot)
    for i, _ in after:
        _untie_(state, slot, i)
    touched = [_tie_(state, j, i, a * b) for j, b in before for i, a in after if i != j]
    _hand_back_precedence_(state, slot, before)
    kept = (state.read_slots >= 0) & (state.read_slots != slot)
    slots, weights = state.read_slots[kept], state.read_weights[kept]
    state.read_slots.fill_(-1)[: len(slots)] = slots
    state.read_weights.zero_()[: len(slots)] = weights
    neighbours = state.source.new_tensor([other for other, _ in before + after])
    return torch.cat([neighbours, *touched])


def _entries(slots: Tensor, weights: Tensor) -> Iterator[tuple[int, float]]:
    known = slots >= 0
    return zip(slots[known].tolist(), weights[known].tolist(), strict=True)


def _tie_(state: EpisodicState, earlier: int, later: int, weight: float) -> Tensor:
    """Sets L[later, earlier] to at least `weight`; a full row gives up its weakest link, or refuses a weaker one."""
    none = state.source.new_empty(0)
    rows = ((state.forward_slots, state.forward_weights, earlier, later),
            (state.backward_slots, state.backward_weights, later, earlier))  # fmt: skip
    there = state.forward_slots[earlier] == later
    if there.any():
        if float(state.forward_weights[earlier][there]) < weight:
            for slots, weights, row, other in rows:
                weights[row][slots[row] == other] = weight
        return none
    if any(float(weights[row].min()) >= weight for _, weights, row, _ in rows):
        return none
    dropped = []
    for slots, weights, row, other in rows:
        place = int(weights[row].argmin())
        weakest = int(slots[row, place])
        if weakest >= 0:
            _untie_(state, *((row, weakest) if slots is state.forward_slots else (weakest, row)))
            dropped.append(weakest)
        slots[row, place], weights[row, place] = other, weight
    return torch.tensor(dropped, dtype=none.dtype, device=none.device)


def _untie_(state: EpisodicState, earlier: int, later: int) -> None:
    for slots, weights, row, other in (
        (state.forward_slots, state.forward_weights, earlier, later),
        (state.backward_slots, state.backward_weights, later, earlier),
    ):
        gone = slots[row] == other
        slots[row][gone], weights[row][gone] = -1, 0.0


def _set_precedence_(state: EpisodicState, slots: Tensor, weights: Tensor) -> None:
    kept = weights.sort(descending=True, stable=True).indices[: len(state.precedence_slots)]
    kept = kept[weights[kept] >= _FAINTEST]
    state.precedence_slots.fill_(-1)[: len(kept)] = slots[kept]
    state.precedence_weights.zero_()[: len(kept)] = weights[kept]


def _hand_back_precedence_(state: EpisodicState, slot: int, before: list[tuple[int, float]]) -> None:
    here = state.precedence_slots == slot
    share = float(state.precedence_weights[here].sum())
    if share == 0.0:
        return
    total = sum(weight for _, weight in before) or 1.0
    slots = torch.cat([state.precedence_slots[~here], state.precedence_slots.new_tensor([j for j, _ in before])])
    handed = state.precedence_weights.new_tensor([share * weight / total for _, weight in before])
    slots, weights = addressing.gather_weighting(slots, torch.cat([state.precedence_weights[~here], handed]))
    left = 1.0 - state.forward_weights[slots].sum(1)  # what a slot leads to, now and later, stays within a weighting
    _set_precedence_(state, slots, torch.minimum(weights, left))
