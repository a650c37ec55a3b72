"""Hopfield networks: the classical ones of two-valued units, and the modern continuous ones, as layers and as a store.

Sources: Hopfield 1982 ("Neural networks and physical systems with emergent collective computational abilities");
Personnaz, Guyon & Dreyfus 1986 for the pseudo-inverse rule; Ramsauer et al. 2020 ("Hopfield Networks is All You Need").
Retrieval runs in single precision under autocast.
"""

import dataclasses
import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from memory_core import addressing
from memory_core.state import TensorState

# Classical


@dataclasses.dataclass(frozen=True)
class ClassicalHopfield(TensorState):
    """A network of units of value -1 or 1. `weights` are symmetric, of diagonal 0; `count` patterns are in them.

    >>> network = ClassicalHopfield.hebbian(patterns)
    >>> restored, sweeps = network.recall(damaged)
    """

    weights: Float[Tensor, "units units"]
    count: Int[Tensor, ""]

    @classmethod
    def hebbian(cls, patterns: Float[Tensor, "patterns units"]) -> "ClassicalHopfield":
        """W = 1/N sum x x^T; holds about 0.138 N random patterns. Source: Hopfield 1982, eq. 2."""
        units = patterns.shape[1]
        nothing = cls(patterns.new_zeros(units, units), torch.zeros((), dtype=torch.long, device=patterns.device))
        return nothing.write(patterns)

    @classmethod
    def pseudo_inverse(cls, patterns: Float[Tensor, "patterns units"]) -> "ClassicalHopfield":
        """The projection on the patterns: N - 1 independent ones can be fixed points. Source: Personnaz 1986."""
        projection = torch.linalg.pinv(patterns) @ patterns
        projection = (projection + projection.T) / 2.0
        return cls(projection - torch.diag(projection.diagonal()), torch.tensor(len(patterns), device=patterns.device))

    def write(self, patterns: Float[Tensor, "patterns units"]) -> "ClassicalHopfield":
        """The network with more patterns in it, by Hebb's rule."""
        learned = patterns.T @ patterns / patterns.shape[1]
        learned = learned - torch.diag(learned.diagonal())
        return ClassicalHopfield(self.weights + learned, self.count + len(patterns))

    def energy(self, states: Float[Tensor, "*batch units"]) -> Float[Tensor, "*batch"]:
        """E = -1/2 s^T W s; no asynchronous update raises it. Source: Hopfield 1982, eq. 7."""
        return -0.5 * ((states @ self.weights) * states).sum(-1)

    def recall(
        self,
        states: Float[Tensor, "batch units"],
        sweeps: int = 100,
        updates: Literal["asynchronous", "synchronous"] = "asynchronous",
        random: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "batch units"], int]:
        """Updates s_i <- sign(sum_j W_ij s_j) until nothing changes; a unit without drive keeps its value.

        Args:
            sweeps: at most so many updates of all units. Synchronous updates may go on in a cycle of two.
            updates: one unit after the other, in a random order that all rows share, or all at once.

        Returns:
            The states, and the sweeps taken, the last of which changed nothing unless they ran out.
        """
        for sweep in range(1, sweeps + 1):
            before = states
            if updates == "synchronous":
                states = _signed(states @ self.weights, states)
            else:
                states = states.clone()
                for unit in torch.randperm(states.shape[1], generator=random).tolist():
                    states[:, unit] = _signed(states @ self.weights[unit], states[:, unit])
            if torch.equal(states, before):
                return states, sweep
        return states, sweeps


def _signed(drive: Tensor, before: Tensor) -> Tensor:
    return torch.where(drive == 0, before, drive.sign())


# Modern


def update(
    states: Float[Tensor, "*batch queries units"],
    stored: Float[Tensor, "*batch patterns units"],
    beta: float | Float[Tensor, ""],
    held: Bool[Tensor, "*batch patterns"] | None = None,
) -> tuple[Float[Tensor, "*batch queries units"], Float[Tensor, "*batch queries patterns"]]:
    """xi <- X softmax(beta X^T xi), and the weighting. Source: Ramsauer et al. 2020, eq. 3.

    Args:
        held: which patterns there are; where there are none the weights and the new states are 0.
    """
    similarity = states @ stored.transpose(-1, -2)
    prior = None if held is None else held.unsqueeze(-2).expand_as(similarity).to(similarity.dtype)
    strength = torch.as_tensor(beta, dtype=similarity.dtype, device=similarity.device)
    weights = addressing.content_weighting(similarity, strength.expand(similarity.shape[:-1]), prior)
    return weights @ stored, weights


def energy(
    states: Float[Tensor, "*batch queries units"], stored: Float[Tensor, "*batch patterns units"], beta: float
) -> Float[Tensor, "*batch queries"]:
    """E = -lse(beta, X^T xi) + 1/2 xi^T xi + 1/beta log N + 1/2 M^2, >= 0; no update raises it.

    Source: Ramsauer et al. 2020, eq. 2; N the patterns, M the length of the longest.
    """
    lse = torch.logsumexp(beta * states @ stored.transpose(-1, -2), -1) / beta
    longest = stored.square().sum(-1).amax(-1, keepdim=True)
    return -lse + 0.5 * states.square().sum(-1) + math.log(stored.shape[-2]) / beta + 0.5 * longest


def retrieve(
    states: Float[Tensor, "*batch queries units"],
    stored: Float[Tensor, "*batch patterns units"],
    beta: float | Float[Tensor, ""],
    held: Bool[Tensor, "*batch patterns"] | None = None,
    steps: int = 1,
    tolerance: float = 0.0,
) -> tuple[Float[Tensor, "*batch queries units"], Float[Tensor, "*batch queries patterns"]]:
    """Updates until no state moves further than `tolerance`, or for `steps`; one is enough where patterns lie apart.

    Returns:
        The states and the weighting of the last update. Each state stops by itself, whatever others do.
    """
    with addressing.full_precision(states.device):
        states, stored = addressing.wide(states), addressing.wide(stored)
        after, weights = update(states, stored, beta, held)
        for _ in range(steps - 1):
            moving = (after - states).norm(dim=-1, keepdim=True) > tolerance
            if not moving.any():
                break
            states = after
            further, elsewhere = update(states, stored, beta, held)
            after, weights = torch.where(moving, further, after), torch.where(moving, elsewhere, weights)
        return after, weights


def separation(patterns: Float[Tensor, "patterns units"]) -> Float[Tensor, " patterns"]:
    """Delta_i = x_i . x_i - max_{j != i} x_i . x_j: the further apart, the less a retrieval errs.

    Source: Ramsauer et al. 2020, definition 2; the error of one update falls as exp(-beta Delta), theorem 4.
    """
    products = patterns @ patterns.T
    others = products.masked_fill(torch.eye(len(patterns), dtype=torch.bool, device=patterns.device), -torch.inf)
    return products.diagonal() - others.amax(-1)


@dataclasses.dataclass(frozen=True)
class HopfieldConfig:
    """Of a layer: `heads` of `hidden` units each; beta is 1 / sqrt(hidden) where None; the rest as for `retrieve`."""

    hidden: int = 32
    heads: int = 1
    beta: float | None = None
    steps: int = 1
    tolerance: float = 1e-4


class Hopfield(nn.Module):
    """Association: states look up stored patterns, both of the network's own input.

    Source: Ramsauer et al. 2020, eq. 10: Z = softmax(beta R W_Q (Y W_K)^T) Y W_K W_V, R and Y normalised before.
    """

    def __init__(self, states: int, stored: int, outputs: int, config: HopfieldConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or HopfieldConfig()
        width = c.heads * c.hidden
        self.beta = c.hidden**-0.5 if c.beta is None else c.beta
        self.norm_states, self.norm_stored = nn.LayerNorm(states), nn.LayerNorm(stored)
        self.query, self.key = nn.Linear(states, width, bias=False), nn.Linear(stored, width, bias=False)
        self.value = nn.Linear(width, outputs)

    def forward(
        self,
        states: Float[Tensor, "batch queries states"],
        stored: Float[Tensor, "batch patterns stored"],
        held: Bool[Tensor, "batch patterns"] | None = None,
    ) -> Float[Tensor, "batch queries outputs"]:
        heads = self.config.heads
        queries = torch.unflatten(self.query(self.norm_states(states)), -1, (heads, -1)).transpose(1, 2)
        keys = torch.unflatten(self.key(self.norm_stored(stored)), -1, (heads, -1)).transpose(1, 2)
        held = None if held is None else held.unsqueeze(1).expand(-1, heads, -1)
        found, _ = retrieve(queries, keys, self.beta, held, self.config.steps, self.config.tolerance)
        outputs: Tensor = self.value(found.transpose(1, 2).flatten(2))
        return outputs


class HopfieldPooling(nn.Module):
    """Pooling: learned states look up the input, `quantity` of them. Source: Ramsauer et al. 2020, section 3."""

    def __init__(self, inputs: int, outputs: int, quantity: int = 1, config: HopfieldConfig | None = None) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.randn(quantity, inputs))
        self.association = Hopfield(inputs, inputs, outputs, config)

    def forward(
        self, stored: Float[Tensor, "batch patterns inputs"], held: Bool[Tensor, "batch patterns"] | None = None
    ) -> Float[Tensor, "batch quantity outputs"]:
        found: Tensor = self.association(self.states.expand(len(stored), -1, -1), stored, held)
        return found


class HopfieldLookup(nn.Module):
    """Lookup: the input looks up learned patterns, `quantity` of them. Source: Ramsauer et al. 2020, section 3."""

    def __init__(self, inputs: int, outputs: int, quantity: int, config: HopfieldConfig | None = None) -> None:
        super().__init__()
        self.stored = nn.Parameter(torch.randn(quantity, inputs))
        self.association = Hopfield(inputs, inputs, outputs, config)

    def forward(self, states: Float[Tensor, "batch queries inputs"]) -> Float[Tensor, "batch queries outputs"]:
        found: Tensor = self.association(states, self.stored.expand(len(states), -1, -1))
        return found


# A store


@dataclasses.dataclass(frozen=True)
class StoreState(TensorState):
    """Patterns, and how many were ever written: the newest `slots` of them are there."""

    patterns: Float[Tensor, "*batch slots units"]
    written: Int[Tensor, "*batch"]


@dataclasses.dataclass(frozen=True)
class AssociativeStore:
    """A modern network as a memory that is written: one pattern a slot, the oldest giving way when it is full.

    >>> store = AssociativeStore(beta=8.0)
    >>> state = store.write(store.initial_state(1, slots=100, units=64), patterns)
    >>> restored, weights = store.read(state, damaged)
    """

    beta: float
    steps: int = 10
    tolerance: float = 1e-4

    def initial_state(
        self, batch: int, slots: int, units: int, device: torch.device | str = "cpu"
    ) -> StoreState:  # fmt: skip
        """Nothing is held."""
        written = torch.zeros(batch, dtype=torch.long, device=device)
        return StoreState(torch.zeros(batch, slots, units, device=device), written)

    def write(self, state: StoreState, patterns: Float[Tensor, "batch new units"]) -> StoreState:
        """The state with these patterns too, each of them exact. Of more than there are slots the newest stay."""
        slots = state.patterns.shape[1]
        newest = patterns[:, -slots:]
        number = state.written.unsqueeze(1) + patterns.shape[1] - newest.shape[1]
        place = (number + torch.arange(newest.shape[1], device=newest.device)) % slots
        held = state.patterns.scatter(1, place.unsqueeze(-1).expand_as(newest), newest)
        return StoreState(held, state.written + patterns.shape[1])

    def read(
        self, state: StoreState, cues: Float[Tensor, "batch queries units"]
    ) -> tuple[Float[Tensor, "batch queries units"], Float[Tensor, "batch queries slots"]]:
        """What the cues recall, and the weighting over slots; 0 both where nothing is held."""
        slots = torch.arange(state.patterns.shape[1], device=cues.device)
        held = slots < state.written.unsqueeze(1)
        return retrieve(cues, state.patterns, self.beta, held, self.steps, self.tolerance)
