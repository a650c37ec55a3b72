"""The neural Turing machine: heads that find a slot by content, or by shifting from where they were.

Source: Graves, Wayne & Danihelka 2014 ("Neural Turing Machines"), in its order and notation.
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing
from memory_core.controllers import DEFAULT, Controller, ControllerConfig, ControllerState
from memory_core.recurrent import BLANK, Recurrent
from memory_core.state import TensorState


@dataclasses.dataclass(frozen=True)
class NTMConfig:
    """Sizes. A head shifts by at most `reach` slots a step, either way."""

    slots: int = 128
    word: int = 20
    read_heads: int = 1
    write_heads: int = 1
    controller: ControllerConfig = DEFAULT
    reach: int = 1


@dataclasses.dataclass(frozen=True)
class NTMState(TensorState):
    """The memory, where each head is, what was read, and the controller's own state."""

    memory: Float[Tensor, "*batch slots word"]
    read_weighting: Float[Tensor, "*batch read_heads slots"]
    write_weighting: Float[Tensor, "*batch write_heads slots"]
    reads: Float[Tensor, "*batch read_heads word"]
    controller: ControllerState


class NTM(Recurrent[NTMState]):
    """A neural Turing machine with any number of read and write heads. It writes, then reads what is then there.

    >>> ntm = NTM(8, 8, NTMConfig(slots=32, read_heads=2))
    >>> outputs, state = ntm(torch.rand(2, 5, 8))
    >>> output, state = ntm.step(torch.rand(2, 8), state)
    """

    def __init__(self, inputs: int, outputs: int, config: NTMConfig | None = None) -> None:
        super().__init__(inputs, outputs)
        c = self.config = config or NTMConfig()
        self.controller = Controller(inputs + c.read_heads * c.word, c.controller)
        self.address_parts = [c.word, 1, 1, 2 * c.reach + 1, 1]  # key, beta, g, s, gamma
        self.address = nn.Linear(c.controller.hidden, (c.read_heads + c.write_heads) * sum(self.address_parts))
        self.content = nn.Linear(c.controller.hidden, c.write_heads * 2 * c.word)  # erase, add
        self.first_reads = nn.Parameter(torch.randn(c.read_heads, c.word) * 0.01)
        self.output = nn.Linear(c.controller.hidden + c.read_heads * c.word, outputs)

    def initial_state(self, batch: int, slots: int | None = None) -> NTMState:
        """Every word the same and small, every head on slot 0, from where shifts lead; the first reads are learned."""
        c, like = self.config, self.address.weight
        slots = c.slots if slots is None else slots
        here = like.new_zeros(batch, c.read_heads + c.write_heads, slots)
        here[..., 0] = 1.0
        return NTMState(
            memory=like.new_full((batch, slots, c.word), BLANK),
            read_weighting=here[:, : c.read_heads],
            write_weighting=here[:, c.read_heads :],
            reads=self.first_reads.expand(batch, -1, -1),
            controller=self.controller.initial_state(batch),
        )

    def step(
        self, input: Float[Tensor, "batch inputs"], state: NTMState
    ) -> tuple[Float[Tensor, "batch outputs"], NTMState]:
        c = self.config
        hidden, controller = self.controller(torch.cat([input, state.reads.flatten(1)], 1), state.controller)
        address = torch.unflatten(addressing.wide(self.address(hidden)), 1, (c.read_heads + c.write_heads, -1))
        erase, add = torch.unflatten(addressing.wide(self.content(hidden)), 1, (c.write_heads, -1)).chunk(2, -1)
        with addressing.full_precision(input.device):
            write_weighting = self._weighting(address[:, c.read_heads :], state.memory, state.write_weighting)
            memory = addressing.erase_and_add(state.memory, write_weighting, torch.sigmoid(erase), add)
            read_weighting = self._weighting(address[:, : c.read_heads], memory, state.read_weighting)
            reads = addressing.read(memory, read_weighting)
        output = self.output(torch.cat([hidden, reads.flatten(1).to(hidden.dtype)], 1))
        return output, NTMState(memory, read_weighting, write_weighting, reads, controller)

    def _weighting(
        self,
        address: Float[Tensor, "batch heads parts"],
        memory: Float[Tensor, "batch slots word"],
        before: Float[Tensor, "batch heads slots"],
    ) -> Float[Tensor, "batch heads slots"]:
        """Eqs. 5 to 9: by content, interpolated with where the head was, shifted, sharpened."""
        key, beta, gate, shares, gamma = torch.split(address, self.address_parts, -1)
        similarity = addressing.cosine_similarity(key, memory)
        w = addressing.content_weighting(similarity, functional.softplus(beta).squeeze(-1))
        w = addressing.interpolate(w, before, torch.sigmoid(gate).squeeze(-1))
        w = addressing.shift(w, torch.softmax(shares, -1))
        return addressing.sharpen(w, 1.0 + functional.softplus(gamma).squeeze(-1))
