"""Row-sparse temporal links, without gradient, in a batch: of each slot the few slots written before and after it.

Row i of `slots` and `weights` holds the largest L[i, j] of the temporal link matrix: what was written before slot i.
Row j of `followers` names the slots written after slot j; their weights are looked up where they stand, so the two
never disagree. An unused place names its own slot, which is never linked to itself.

Source: Rae et al. 2016, appendix D, with the update of Graves 2016 for the rows that a write reaches. Rae leaves out
the decay of L[i, j] by w[j]; kept here, it keeps what leaves a slot within a weighting.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memory_core import addressing
from memory_core.state import TensorState


@dataclasses.dataclass(frozen=True)
class SparseLinks(TensorState):
    """The links of a memory. `linked` is its number of slots, or 0 where links are off."""

    slots: Int[Tensor, "*batch linked links"]
    weights: Float[Tensor, "*batch linked links"]
    followers: Int[Tensor, "*batch linked links"]
    precedence_slots: Int[Tensor, "*batch links"]
    precedence_weights: Float[Tensor, "*batch links"]

    @classmethod
    def none(cls, like: Tensor, batch: int, linked: int, links: int) -> "SparseLinks":
        """No links yet, on the device and of the type of `like`."""
        links = min(links, linked)
        unused = torch.arange(linked, device=like.device).reshape(1, -1, 1).repeat(batch, 1, links)
        weights = like.new_zeros(batch, links)
        nobody = torch.zeros(batch, links, dtype=torch.long, device=like.device)
        return cls(unused, like.new_zeros(unused.shape), unused.clone(), nobody, weights)


@torch.no_grad()
def write_(
    links: SparseLinks,
    slots: Int[Tensor, "batch written"],
    weights: Float[Tensor, "batch written"],
    running: Bool[Tensor, " batch"],
) -> SparseLinks:
    """Ties what is written to what was written before: L[i, j] <- (1 - w[i] - w[j]) L[i, j] + w[i] p[j].

    Args:
        links: changed in place.
        slots, weights: the write weighting; entries of one slot all carry its whole weight.
        running: the rows of the batch in which something is written.
    """
    kept = links.slots.shape[-1]
    before, p = links.precedence_slots, links.precedence_weights
    followed = _rows(links.followers, slots).flatten(1)  # rows in whose columns a written slot stands
    decayed = _decayed(links, followed, slots, weights)
    columns = torch.cat([_rows(links.slots, slots), before.unsqueeze(1).expand(-1, slots.shape[1], -1)], -1)
    w = weights.unsqueeze(-1)
    again = (1.0 - w - _looked_up(slots, weights, _rows(links.slots, slots))).clamp(min=0.0)
    values = torch.cat([again * _rows(links.weights, slots), w * p.unsqueeze(1)], -1)
    values = values.masked_fill(columns == slots.unsqueeze(-1), 0.0)
    columns, values = strongest(columns, values, kept, slots)
    _set_rows(links.weights, followed, decayed, running)
    _set_rows(links.slots, slots, columns, running)
    _set_rows(links.weights, slots, values, running)

    after = torch.cat([_rows(links.followers, before), slots.unsqueeze(1).expand(-1, before.shape[1], -1)], -1)
    after, _ = strongest(after, _between(links, after, before), kept, before)
    _set_rows(links.followers, before, after, running)

    first = addressing.first_of_slot(slots) == torch.arange(slots.shape[1], device=slots.device)
    written = weights * first
    p = torch.cat([(1.0 - written.sum(-1, keepdim=True)).clamp(min=0.0) * p, written], -1)
    before, p = strongest(torch.cat([before, slots], -1), p, kept)
    return dataclasses.replace(links, precedence_slots=before, precedence_weights=p)


def follow(
    links: SparseLinks, slots: Int[Tensor, "batch heads held"], weights: Float[Tensor, "batch heads held"]
) -> tuple[Int[Tensor, "batch heads found"], Tensor, Int[Tensor, "batch heads found"], Tensor]:
    """The backward flow L^T w and the forward flow L w of a sparse weighting, as slots and weights each."""
    heads, flat = slots.shape[1], slots.flatten(1)
    back_slots, back = _rows(links.slots, flat), _rows(links.weights, flat)
    on_slots = _rows(links.followers, flat)
    on = _between(links, on_slots, flat)
    w = weights.flatten(1).unsqueeze(-1)
    flows = (back_slots, back * w, on_slots, on * w)
    one, two, three, four = (flow.flatten(1).reshape(len(slots), heads, -1) for flow in flows)
    return one, two, three, four


def strongest(
    slots: Int[Tensor, "*batch entries"],
    weights: Float[Tensor, "*batch entries"],
    count: int,
    unused: Int[Tensor, "*batch"] | None = None,
) -> tuple[Int[Tensor, "*batch kept"], Float[Tensor, "*batch kept"]]:
    """The `count` entries of most weight, those of one slot added up; places left over name `unused`, of weight 0."""
    totals = addressing.add_up(slots, weights)
    best = addressing.greatest(totals, min(count, slots.shape[-1]))
    slots, weights = slots.gather(-1, best), totals.gather(-1, best)
    if unused is not None:
        slots = torch.where(weights > 0, slots, unused.unsqueeze(-1))
    return slots, weights


def _decayed(links: SparseLinks, rows: Tensor, slots: Tensor, weights: Tensor) -> Tensor:
    return _rows(links.weights, rows) * (1.0 - _looked_up(slots, weights, _rows(links.slots, rows))).clamp(min=0.0)


def _looked_up(slots: Tensor, weights: Tensor, wanted: Tensor) -> Tensor:
    """The weight of each wanted slot [batch, rows, columns]; 0 where it has none."""
    here = wanted.unsqueeze(1) == slots[:, :, None, None]  # the reduction over a leading dimension is 5 times faster
    return (here * weights[:, :, None, None]).amax(1)


def _between(links: SparseLinks, later: Tensor, earlier: Tensor) -> Tensor:
    """L[i, j] for every i of later [batch, rows, entries] and the j of its row in earlier [batch, rows]."""
    flat = later.flatten(1)
    here = _rows(links.slots, flat) == earlier.unsqueeze(-1).expand_as(later).flatten(1).unsqueeze(-1)
    return (_rows(links.weights, flat) * here).sum(-1).reshape(later.shape)


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    return table.gather(1, addressing.across(rows, table))


def _set_rows(table: Tensor, rows: Tensor, values: Tensor, running: Tensor) -> None:
    values = torch.where(running.reshape(-1, 1, 1), values, _rows(table, rows))
    table.scatter_(1, addressing.across(rows, table), values)
