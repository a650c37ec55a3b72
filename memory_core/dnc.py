"""The differentiable neural computer: usage, allocation, temporal links and read modes over a dense memory.

Source: Graves et al. 2016 (Methods), in its order and notation. What later work found to help is an option, its
evidence beside it in `DNCConfig`.
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

_MASK_FLOOR = 0.1  # Csordas & Schmidhuber 2019


@dataclasses.dataclass(frozen=True)
class DNCConfig:
    """Sizes, and changes to the paper's network, which is what the defaults give.

    masked: keys come with a mask over the word, floor 0.1. With the next two, the mean error on bAbI falls by 43 %
        (Csordas & Schmidhuber 2019, abstract).
    deallocate: what a free gate frees is erased too, so that content addressing no longer finds it (same source).
    link_sharpness: the flow along links is sharpened, so that it stays precise over long chains (same source).
    normalised: layer norm on the interface vector, for steadier training (Franke et al. 2018).
    bypass_dropout: share of the controller's hidden vector dropped on its way past the memory to the output, which
        makes the network use its memory (same source).
    memory_dropout: share of the slots that a step's reads miss while training.
    links: without temporal links reading is by content alone, and time and memory grow with N instead of N squared.
    usage_gradient: lets gradients pass from usage into earlier write weightings; stopping them trains as well, cheaper.
    """

    slots: int = 64
    word: int = 20
    read_heads: int = 1
    write_heads: int = 1
    controller: ControllerConfig = DEFAULT
    masked: bool = False
    deallocate: bool = False
    link_sharpness: bool = False
    normalised: bool = False
    bypass_dropout: float = 0.0
    memory_dropout: float = 0.0
    links: bool = True
    usage_gradient: bool = False

    def __post_init__(self) -> None:
        if self.write_heads != 1:
            raise ValueError("a DNC has one write head; NTM and sparse memories take more")
        if self.link_sharpness and not self.links:
            raise ValueError("link_sharpness sharpens links, which are off")


@dataclasses.dataclass(frozen=True)
class DNCState(TensorState):
    """The memory and what addressing keeps of the past. `linked` is `slots`, or 0 where links are off.

    `written` sums the write weightings of all steps: a training loss may add it, times a penalty, to limit writes.
    """

    memory: Float[Tensor, "*batch slots word"]
    usage: Float[Tensor, "*batch slots"]
    precedence: Float[Tensor, "*batch linked"]
    links: Float[Tensor, "*batch linked linked"]
    read_weighting: Float[Tensor, "*batch read_heads slots"]
    write_weighting: Float[Tensor, "*batch write_heads slots"]
    reads: Float[Tensor, "*batch read_heads word"]
    written: Float[Tensor, "*batch"]
    controller: ControllerState


@dataclasses.dataclass(frozen=True)
class Interface:
    """The interface vector xi, cut and brought into range; one line a name of the paper."""

    read_keys: Float[Tensor, "batch heads word"]
    read_strengths: Float[Tensor, "batch heads"]
    write_key: Float[Tensor, "batch 1 word"]
    write_strength: Float[Tensor, "batch 1"]
    erase: Float[Tensor, "batch 1 word"]
    add: Float[Tensor, "batch 1 word"]
    free_gates: Float[Tensor, "batch heads"]
    allocation_gate: Float[Tensor, "batch 1"]
    write_gate: Float[Tensor, "batch 1"]
    read_modes: Float[Tensor, "batch heads modes"]  # backward, content, forward; content alone without links
    read_mask: Float[Tensor, "batch heads word"] | None
    write_mask: Float[Tensor, "batch 1 word"] | None
    sharpness: Float[Tensor, "batch heads 2"] | None  # of the backward and the forward flow


class DNC(Recurrent[DNCState]):
    """A differentiable neural computer.

    >>> dnc = DNC(8, 8, DNCConfig(slots=32))
    >>> outputs, state = dnc(torch.rand(2, 5, 8))
    >>> output, state = dnc.step(torch.rand(2, 8), state)
    """

    def __init__(self, inputs: int, outputs: int, config: DNCConfig | None = None) -> None:
        super().__init__(inputs, outputs)
        c = self.config = config or DNCConfig()
        heads, word, modes = c.read_heads, c.word, 3 if c.links else 1
        self.controller = Controller(inputs + heads * word, c.controller)
        self.parts = [heads * word, heads, word, 1, word, word, heads, 1, 1, heads * modes]
        self.parts += [heads * word, word] if c.masked else [0, 0]
        self.parts += [2 * heads] if c.link_sharpness else [0]
        self.interface = nn.Linear(c.controller.hidden, sum(self.parts))
        self.norm = nn.LayerNorm(sum(self.parts)) if c.normalised else nn.Identity()
        self.output = nn.Linear(c.controller.hidden + heads * word, outputs)

    def initial_state(self, batch: int, slots: int | None = None) -> DNCState:
        """Every slot free, every word the same and small, nothing read, nothing linked."""
        c, like = self.config, self.interface.weight
        slots = c.slots if slots is None else slots
        linked = slots if c.links else 0
        return DNCState(
            memory=like.new_full((batch, slots, c.word), BLANK),
            usage=like.new_zeros(batch, slots),
            precedence=like.new_zeros(batch, linked),
            links=like.new_zeros(batch, linked, linked),
            read_weighting=like.new_zeros(batch, c.read_heads, slots),
            write_weighting=like.new_zeros(batch, 1, slots),
            reads=like.new_zeros(batch, c.read_heads, c.word),
            written=like.new_zeros(batch),
            controller=self.controller.initial_state(batch),
        )

    def step(
        self, input: Float[Tensor, "batch inputs"], state: DNCState
    ) -> tuple[Float[Tensor, "batch outputs"], DNCState]:
        hidden, controller = self.controller(torch.cat([input, state.reads.flatten(1)], 1), state.controller)
        xi = self._cut(self.norm(self.interface(hidden)))
        with addressing.full_precision(input.device):
            state = self._read(xi, self._write(xi, state))
        past = functional.dropout(hidden, self.config.bypass_dropout, self.training)
        output = self.output(torch.cat([past, state.reads.flatten(1).to(past.dtype)], 1))
        return output, dataclasses.replace(state, controller=controller)

    def _write(self, xi: Interface, state: DNCState) -> DNCState:
        retention = addressing.retention(state.read_weighting, xi.free_gates)
        written_before = state.write_weighting[:, 0]
        usage = addressing.usage_after_write(
            state.usage, written_before if self.config.usage_gradient else written_before.detach(), retention
        )
        allocation = addressing.allocation_weighting(usage)
        similarity = addressing.cosine_similarity(xi.write_key, state.memory, xi.write_mask)
        content = addressing.content_weighting(similarity, xi.write_strength)[:, 0]
        w = xi.write_gate * addressing.interpolate(allocation, content, xi.allocation_gate[:, 0])
        memory = state.memory * retention.unsqueeze(-1) if self.config.deallocate else state.memory
        precedence, links = state.precedence, state.links
        if self.config.links:
            links = addressing.links_after_write(links, w, precedence)
            precedence = addressing.precedence_after_write(precedence, w)
        return dataclasses.replace(
            state,
            memory=addressing.erase_and_add(memory, w.unsqueeze(1), xi.erase, xi.add),
            usage=usage,
            precedence=precedence,
            links=links,
            write_weighting=w.unsqueeze(1),
            written=state.written + w.sum(-1),
        )

    def _read(self, xi: Interface, state: DNCState) -> DNCState:
        similarity = addressing.cosine_similarity(xi.read_keys, state.memory, xi.read_mask)
        w = addressing.content_weighting(similarity, xi.read_strengths)
        if self.config.links:
            forward = state.read_weighting @ state.links.transpose(1, 2)
            backward = state.read_weighting @ state.links
            if xi.sharpness is not None:
                backward = addressing.sharpen_links(backward, xi.sharpness[..., 0])
                forward = addressing.sharpen_links(forward, xi.sharpness[..., 1])
            w = (torch.stack([backward, w, forward], -1) * xi.read_modes.unsqueeze(2)).sum(-1)
        memory = state.memory
        if self.config.memory_dropout:
            present = torch.ones_like(memory[..., :1])
            memory = memory * functional.dropout(present, self.config.memory_dropout, self.training)
        return dataclasses.replace(state, read_weighting=w, reads=addressing.read(memory, w))

    def _cut(self, vector: Float[Tensor, "batch interface"]) -> Interface:
        parts = torch.split(addressing.wide(vector), self.parts, 1)
        keys, strengths, write_key, write_strength, erase, add, free, allocation, write, modes, *masks, sharpness = (
            parts
        )
        heads = self.config.read_heads
        read_mask, write_mask = (_MASK_FLOOR + (1.0 - _MASK_FLOOR) * torch.sigmoid(mask) for mask in masks)
        return Interface(
            read_keys=torch.unflatten(keys, 1, (heads, -1)),
            read_strengths=_oneplus(strengths),
            write_key=write_key.unsqueeze(1),
            write_strength=_oneplus(write_strength),
            erase=torch.sigmoid(erase).unsqueeze(1),
            add=add.unsqueeze(1),
            free_gates=torch.sigmoid(free),
            allocation_gate=torch.sigmoid(allocation),
            write_gate=torch.sigmoid(write),
            read_modes=torch.softmax(torch.unflatten(modes, 1, (heads, -1)), -1),
            read_mask=torch.unflatten(read_mask, 1, (heads, -1)) if self.config.masked else None,
            write_mask=write_mask.unsqueeze(1) if self.config.masked else None,
            sharpness=_oneplus(torch.unflatten(sharpness, 1, (heads, 2))) if self.config.link_sharpness else None,
        )


def _oneplus(x: Tensor) -> Tensor:
    """1 + log(1 + e^x): the strengths, >= 1."""
    return 1.0 + functional.softplus(x)
