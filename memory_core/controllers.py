"""Controllers: the network that drives a memory, of five interchangeable kinds, and alone as the baseline `Plain`.

Each maps an input and its own state to a hidden vector; what it carries from step to step is a `ControllerState`.
"""

import dataclasses
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core.recurrent import Recurrent
from memory_core.state import TensorState

Kind = Literal["feedforward", "rnn", "gru", "lstm", "transformer"]


@dataclasses.dataclass(frozen=True)
class ControllerConfig:
    """What drives the memory. `heads` and `window`, the steps it looks back on, are the Transformer's alone."""

    kind: Kind = "lstm"
    hidden: int = 100
    layers: int = 1
    heads: int = 4
    window: int = 32


DEFAULT = ControllerConfig()


@dataclasses.dataclass(frozen=True)
class ControllerState(TensorState):
    """What each layer carries: nothing (feed-forward), its hidden vector (RNN, GRU), hidden and cell (LSTM), or the
    keys and values of the last `window` steps, oldest first (Transformer). `steps` were taken so far.
    """

    carried: Float[Tensor, "*batch layers parts hidden"]
    steps: Int[Tensor, "*batch"]


class Controller(nn.Module):
    """A stack of layers of one kind, each with `hidden` outputs."""

    def __init__(self, inputs: int, config: ControllerConfig) -> None:
        super().__init__()
        self.config = config
        widths = [inputs] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(_layer(width, config) for width in widths)

    def initial_state(self, batch: int) -> ControllerState:
        """Nothing carried yet."""
        c, like = self.config, next(self.parameters())
        parts = {"feedforward": 0, "rnn": 1, "gru": 1, "lstm": 2, "transformer": 2 * c.window}[c.kind]
        steps = torch.zeros(batch, dtype=torch.long, device=like.device)
        return ControllerState(like.new_zeros(batch, c.layers, parts, c.hidden), steps)

    def forward(
        self, input: Float[Tensor, "batch inputs"], state: ControllerState
    ) -> tuple[Float[Tensor, "batch hidden"], ControllerState]:
        """One step of all layers."""
        carried = []
        for layer, before in zip(self.layers, state.carried.unbind(1), strict=True):
            input, after = layer(input, before, state.steps)
            carried.append(after.to(before.dtype))
        return input, ControllerState(torch.stack(carried, 1), state.steps + 1)


class _FeedForward(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, hidden)

    def forward(self, input: Tensor, carried: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(self.linear(input)), carried


class _Cell(nn.Module):
    """A recurrent cell of PyTorch: RNN, GRU or LSTM (Hochreiter & Schmidhuber 1997)."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, input: Tensor, carried: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.cell, nn.LSTMCell):
            hidden, cell = self.cell(input, carried.to(input.dtype).unbind(1))
            return hidden, torch.stack([hidden, cell], 1)
        hidden = self.cell(input, carried[:, 0].to(input.dtype))
        return hidden, hidden.unsqueeze(1)


class _Attention(nn.Module):
    """A causal Transformer block (Vaswani et al. 2017, with the norm before) over the last `window` steps and this one.

    Where a step stands is told by a learned bias of each head for its age, so a sequence may be of any length.
    """

    def __init__(self, inputs: int, config: ControllerConfig) -> None:
        super().__init__()
        hidden = config.hidden
        if hidden % config.heads:
            raise ValueError(f"{config.heads} heads do not divide {hidden} hidden units")
        self.heads, self.window = config.heads, config.window
        self.enter = nn.Linear(inputs, hidden) if inputs != hidden else nn.Identity()
        self.norm, self.norm_after = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.feed_forward = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))
        self.age_bias = nn.Parameter(torch.zeros(config.heads, config.window + 1))

    def forward(self, input: Tensor, carried: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        entered = self.enter(input)
        query, key, value = self.query_key_value(self.norm(entered)).chunk(3, -1)
        past_keys, past_values = carried.to(key.dtype).chunk(2, 1)
        keys = torch.cat([past_keys, key.unsqueeze(1)], 1)
        values = torch.cat([past_values, value.unsqueeze(1)], 1)
        ages = torch.arange(self.window, -1, -1, device=input.device)
        unseen = (ages > steps.unsqueeze(1))[:, None, None]
        bias = self.age_bias[:, ages].to(key.dtype).unsqueeze(1).masked_fill(unseen, -torch.inf)
        query, by_key, by_value = (self._by_head(each) for each in (query.unsqueeze(1), keys, values))
        found = functional.scaled_dot_product_attention(query, by_key, by_value, bias).transpose(1, 2).flatten(1)
        hidden = entered + self.mix(found)
        return hidden + self.feed_forward(self.norm_after(hidden)), torch.cat([keys[:, 1:], values[:, 1:]], 1)

    def _by_head(self, each: Tensor) -> Tensor:
        return torch.unflatten(each, -1, (self.heads, -1)).transpose(1, 2)


def _layer(inputs: int, config: ControllerConfig) -> nn.Module:
    match config.kind:
        case "feedforward":
            return _FeedForward(inputs, config.hidden)
        case "rnn":
            return _Cell(nn.RNNCell(inputs, config.hidden))
        case "gru":
            return _Cell(nn.GRUCell(inputs, config.hidden))
        case "lstm":
            return _Cell(nn.LSTMCell(inputs, config.hidden))
        case "transformer":
            return _Attention(inputs, config)


@dataclasses.dataclass(frozen=True)
class PlainConfig:
    """A controller alone. The sizes of a memory are there so that it can stand in for a member; it has none."""

    controller: ControllerConfig = DEFAULT
    slots: int = 0
    word: int = 0
    read_heads: int = 0
    write_heads: int = 0


@dataclasses.dataclass(frozen=True)
class PlainState(TensorState):
    """What the controller carries; the memory is there, and empty."""

    controller: ControllerState
    memory: Float[Tensor, "*batch slots word"]
    read_weighting: Float[Tensor, "*batch read_heads slots"]
    write_weighting: Float[Tensor, "*batch write_heads slots"]


class Plain(Recurrent[PlainState]):
    """A controller and an output layer without a memory: the LSTM baseline, or that of another kind."""

    def __init__(self, inputs: int, outputs: int, config: PlainConfig | None = None) -> None:
        super().__init__(inputs, outputs)
        self.config = config or PlainConfig()
        self.controller = Controller(inputs, self.config.controller)
        self.output = nn.Linear(self.config.controller.hidden, outputs)

    def initial_state(self, batch: int, slots: int | None = None) -> PlainState:
        """Nothing carried yet. There are no slots, however many are asked for."""
        none = self.output.weight.new_zeros(batch, 0, 0)
        return PlainState(self.controller.initial_state(batch), none, none, none)

    def step(
        self, input: Float[Tensor, "batch inputs"], state: PlainState
    ) -> tuple[Float[Tensor, "batch outputs"], PlainState]:
        hidden, controller = self.controller(input, state.controller)
        return self.output(hidden), dataclasses.replace(state, controller=controller)
