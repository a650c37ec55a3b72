"""The sparse members over dense weightings, in plain autograd: every slot scored, nothing in place, no tables.

Straight from Rae et al. 2016, with the dense temporal links of Graves et al. 2016. One row at a time; shares no code
with what it checks. With links it agrees as long as K and K_L cut nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional

from memory_core.sparse_dnc import SparseDNC

EPSILON = 1e-6
ACCESSED = 0.005


class DenseRow:
    """One row's memory; `run` gives its outputs [time, outputs]."""

    def __init__(self, network: SparseDNC, slots: int) -> None:
        self.network, self.slots, c = network, slots, network.config
        zeros = network.output.weight.new_zeros
        self.memory = zeros(slots, c.word)
        self.w_read = zeros(c.read_heads, slots)
        self.reads = zeros(c.read_heads, c.word)
        self.links, self.precedence = zeros(slots, slots), zeros(slots)
        self.accessed = [slot - slots for slot in range(slots)]
        self.controller = network.controller.initial_state(1)
        self.time = 0

    def run(self, sequence: Tensor) -> Tensor:
        return torch.stack([self.step(x) for x in sequence])

    def step(self, x: Tensor) -> Tensor:
        network, c = self.network, self.network.config
        hidden, self.controller = network.controller(torch.cat([x, self.reads.flatten()])[None], self.controller)
        before = self.w_read

        # Writes: to what was just read and to the least recently accessed, which is erased.
        oldest = sorted(range(self.slots), key=lambda slot: (self.accessed[slot], slot))[: c.write_heads]
        kept, added = torch.ones_like(self.memory), torch.zeros_like(self.memory)
        total = torch.zeros_like(self.precedence)
        for head, vector in enumerate(network.write_interface(hidden)[0].chunk(c.write_heads)):
            word, alpha, gamma = vector[: c.word], torch.sigmoid(vector[c.word]), torch.sigmoid(vector[c.word + 1])
            one = functional.one_hot(torch.tensor(oldest[head]), self.slots).to(word)
            w = alpha * (gamma * before.mean(0) + (1 - gamma) * one)
            kept = kept * (1 - one)[:, None]
            added = added + w[:, None] * word
            total = total + w
        self.memory = self.memory * kept + added
        w = total.detach().clamp(max=1.0)
        links = (1 - w[:, None] - w[None]).clamp(min=0) * self.links + w[:, None] * self.precedence[None]
        self.links = links * (1 - torch.eye(self.slots).to(w))
        self.precedence = (1 - w.sum()).clamp(min=0) * self.precedence + w

        # Reads: the K most similar, the lowest number first among equals.
        weightings = []
        for head, vector in enumerate(network.read_interface(hidden)[0].chunk(c.read_heads)):
            key, beta = vector[: c.word], 1 + functional.softplus(vector[c.word])
            lengths = torch.sqrt((key**2).sum() + EPSILON) * torch.sqrt((self.memory**2).sum(1) + EPSILON)
            cosine = self.memory @ key / lengths
            order = sorted(range(self.slots), key=lambda slot: (-float(cosine[slot].detach()), slot))
            outside = torch.ones(self.slots, dtype=torch.bool)
            outside[order[: c.reads]] = False
            weighting = torch.softmax((beta * cosine).masked_fill(outside, -torch.inf), 0)
            if c.temporal:
                modes = torch.softmax(vector[c.word + 1 :], 0)
                back, on = before[head] @ self.links, self.links @ before[head]
                weighting = modes[0] * back + modes[1] * weighting + modes[2] * on
            weightings.append(weighting)
        self.w_read = torch.stack(weightings)
        self.reads = self.w_read @ self.memory

        # A slot counts as accessed by what each head gave it; the sparse form compares sums over heads.
        seen = total.detach() + self.w_read.detach().sum(0)
        for slot in range(self.slots):
            if float(seen[slot]) > ACCESSED:
                self.accessed[slot] = self.time
        self.time += 1
        return network.output(torch.cat([hidden[0], self.reads.flatten()]))  # type: ignore[no-any-return]
