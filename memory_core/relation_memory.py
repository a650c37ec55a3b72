"""A memory that is told who is related to whom, and infers relations that it was not told.

Told as `GraphMemory` is: a triple a slot, names and labels as vectors; all else is reading by content. A question names
a person and a relation. Its read goes from slot to slot: where one ends, others begin, and these links by content are
to it what the temporal links are to a DNC. All that is learned of a relation is gates, from answers alone: at each hop,
which direct relations to follow and whether to stay. Who was come by is not read again.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core.graph_memory import FROM, LABEL, TO, GraphMemory, GraphMemoryConfig, GraphState


@dataclasses.dataclass(frozen=True)
class RelationMemoryConfig:
    """Sizes.

    relations: that can be asked for.
    directs: relations that are told; their codes are 0, 1, …
    hops: the most that a relation takes.
    part: width of a name's vector.
    """

    relations: int
    directs: int
    hops: int
    part: int = 1024


class RelationMemory(nn.Module):
    """Reads family trees, or any triples whose labels mean the same everywhere.

    >>> network = RelationMemory(RelationMemoryConfig(relations=25, directs=6, hops=4))
    >>> state = network.names.describe(family.coded.unsqueeze(0))
    >>> weights = network(state, person=torch.tensor([417]), relation=torch.tensor([3]))
    """

    def __init__(self, config: RelationMemoryConfig) -> None:
        super().__init__()
        c = self.config = config
        self.names = GraphMemory(GraphMemoryConfig(part=c.part)).requires_grad_(False)
        self.follow = nn.Parameter(torch.randn(c.relations, c.hops, c.directs + 1) * 0.1 - 1.0)  # the last: stay

    def forward(
        self, state: GraphState, person: Int[Tensor, " batch"], relation: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch slots"]:
        """How far each slot is read last: the answer is what it ends in.

        Args:
            person: by code.
        """
        told, memory = state.usage, state.memory
        after = self._same(memory[:, :, TO], memory[:, :, FROM]) * told.unsqueeze(1)  # from slot i to slot j
        itself = self.names.node(person).unsqueeze(1)
        starts, returns = (self._same(itself, memory[:, :, part])[:, 0] * told for part in (FROM, TO))
        labels = self.names.label(torch.arange(self.config.directs, device=person.device))
        label = self._same(memory[:, :, LABEL], labels.expand(len(person), -1, -1))
        same = self._same(memory[:, :, TO], memory[:, :, TO])
        gates = torch.sigmoid(self.follow[relation])
        passed, read = returns, torch.zeros_like(told)
        for hop in range(self.config.hops):
            gate = gates[:, hop]
            begins = starts if hop == 0 else torch.einsum("bi,bij->bj", read, after).clamp(max=1.0)
            follows = (label @ gate[:, :-1].unsqueeze(2)).squeeze(2)
            fresh = begins * follows * (1.0 - passed)
            passed = torch.maximum(passed, torch.einsum("bi,bij->bj", fresh, same).clamp(max=1.0))
            read = read * gate[:, -1:] + fresh
        return read

    def named(self, state: GraphState, read: Float[Tensor, "batch slots"]) -> Float[Tensor, "batch slots"]:
        """The share of a read that says what each slot ends in: all slots that end in one person have that person's."""
        same = self._same(state.memory[:, :, TO], state.memory[:, :, TO])
        return torch.einsum("bi,bij->bj", read, same) * state.usage / read.sum(1, keepdim=True).clamp(min=1e-9)

    def _same(self, ones: Float[Tensor, "batch a part"], others: Float[Tensor, "batch b part"]) -> Tensor:
        """Whether two vectors are one name's, 0 to 1."""
        return functional.hardsigmoid(self.names.gate_strength * (ones @ others.transpose(1, 2) - self.names.threshold))


def loss_of(named: Float[Tensor, "batch slots"], right: Bool[Tensor, "batch slots"]) -> Float[Tensor, ""]:
    """Nats: the mean, over the slots that end in a right answer, of minus the log of its share; so all count alike."""
    costs = -named.clamp(min=1e-6).log()
    return ((costs * right).sum(1) / right.sum(1)).mean()
