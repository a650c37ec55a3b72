"""A memory network that is told a graph edge by edge, plans over it, and then says a path step by step.

The phases are the differentiable neural computer's (Graves et al. 2016, graph experiments): description, question,
planning, answer. As there, each step of the description writes one slot, the least used, and everything else is reading
by content. What differs is said here, for it is why so small a network suffices:

- A word has three parts (from, label, to); a key with a mask (Csordas & Schmidhuber 2019) asks for any of them.
- While planning, a read is a gate a slot instead of a softmax over slots: a frontier has many edges, each wholly in it.
  The gate is a hard sigmoid, so that what is not in the frontier adds nothing, however many slots there are.
  What is read, the sum of the edges' beginnings, is the next step's key; so one step widens the search by one edge,
  from the goal backward. An edge is found once, and what begins in the last two frontiers is not read again.
- In the answer, the slots that begin where the path stands are weighed by how soon the planning found them.

Names are of three digits, as in the paper. A name's vector is the product of its digits' vectors (binding: Plate 1995),
so that names which share digits are as far apart as others. The digits' vectors are learned, and so are the gate, how
sharply names are spelled and how much sooner counts. It must be told no graph in training that it is measured on.
"""

import dataclasses
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing
from memory_core.state import TensorState
from memory_core.tasks.graphs import CODES
from memory_core.weights import WeightsError

WEIGHTS = Path(__file__).with_name("weights") / "graphs.safetensors"
_NETWORK = "graph-memory-1"
_DIGITS = 3
FROM, LABEL, TO = 0, 1, 2
_EMPTY = -1e4  # log weight of a slot that does not fit, or holds no word


@dataclasses.dataclass(frozen=True)
class GraphMemoryConfig:
    """Sizes.

    part: width of each of a word's three parts. A frontier of m edges is one vector of this width, whose other edges
        are noise of about sqrt(m / part) to each.
    """

    part: int = 4096


@dataclasses.dataclass(frozen=True)
class GraphState(TensorState):
    """What was told: words, which slots hold one, and how soon planning found each slot (log weight, 0 before)."""

    memory: Float[Tensor, "batch slots parts part"]
    usage: Float[Tensor, "batch slots"]
    planned: Float[Tensor, "batch slots"]


class GraphMemory(nn.Module):
    """Reads graphs.

    >>> network = GraphMemory()
    >>> state = network.describe(torch.tensor([[[12, 7, 345], [345, 8, 12]]]))
    >>> state = network.plan(state, goal=torch.tensor([345]), steps=4)
    >>> log_weights = network.next_edge(state, at=torch.tensor([12]))
    """

    def __init__(self, config: GraphMemoryConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or GraphMemoryConfig()
        self.node, self.label = _Name(c.part), _Name(c.part)
        self.spelling_strength = nn.Parameter(torch.tensor(10.0))
        self.gate_strength = nn.Parameter(torch.tensor(20.0))
        self.threshold = nn.Parameter(torch.tensor(0.5))
        self.noise = nn.Parameter(torch.tensor(0.0))  # standard deviations of the frontier's noise above the threshold
        self.haste = nn.Parameter(torch.tensor(2.0))  # nats that a slot loses for each step that it was found later

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "GraphMemory":
        """The network with weights that `save` wrote.

        Raises:
            WeightsError: no such file, or one of another network or schema; nothing is half-read.
        """
        try:
            with safe_open(str(path), "pt") as file:
                told = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if told.get("network") != _NETWORK:
                raise WeightsError(f"{path}: weights of {told.get('network')}, not of {_NETWORK}")
            network = cls(GraphMemoryConfig(part=int(told["part"])))
            network.load_state_dict(tensors)
        except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"{path}: cannot be used ({error}); install Mneme anew") from None
        return network.eval()

    def save(self, path: Path) -> None:
        """Writes the weights."""
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, str(path), {"network": _NETWORK, "part": str(self.config.part)})

    def initial_state(self, batch: int, slots: int) -> GraphState:
        """Every slot empty."""
        like = self.threshold
        return GraphState(
            memory=like.new_zeros(batch, slots, 3, self.config.part),
            usage=like.new_zeros(batch, slots),
            planned=like.new_zeros(batch, slots),
        )

    def write(self, edges: Int[Tensor, "batch 3"], state: GraphState) -> GraphState:
        """One step of the description: an edge, in codes, into the least used slot of each graph."""
        weighting = addressing.allocation_weighting(state.usage)
        word = self._words(edges.unsqueeze(1))
        return dataclasses.replace(
            state,
            memory=state.memory + weighting[..., None, None] * word,
            usage=(state.usage + weighting).clamp(max=1.0),
        )

    def describe(
        self, edges: Int[Tensor, "batch edges 3"], told: Bool[Tensor, "batch edges"] | None = None
    ) -> GraphState:
        """The whole description at once: what `write`, step by step, gives in a memory of as many slots as edges.

        Args:
            told: False where a row only fills up to the longest graph of the batch.
        """
        usage = torch.ones(edges.shape[:2], device=edges.device) if told is None else told.float()
        return GraphState(
            memory=self._words(edges) * usage[..., None, None], usage=usage, planned=torch.zeros_like(usage)
        )

    def plan(self, state: GraphState, goal: Int[Tensor, " batch"], steps: int) -> GraphState:
        """Searches from the goal backward, one edge further at each of `steps` reads."""
        frontier = self.node(goal)
        past = torch.zeros_like(frontier)
        open_, found_at = state.usage, torch.zeros_like(state.planned)
        for step in range(steps):
            gate = self._gate(state.memory[:, :, TO], frontier) * open_
            found_at = found_at + step * gate
            open_ = open_ - gate
            fresh = gate * (1.0 - self._gate(state.memory[:, :, FROM], frontier + past))
            past, frontier = frontier, torch.einsum("bs,bsp->bp", fresh, state.memory[:, :, FROM])
        return dataclasses.replace(state, planned=-self.haste * (found_at + steps * open_))

    def _gate(self, part: Float[Tensor, "batch slots part"], key: Float[Tensor, "batch part"]) -> Tensor:
        """How far each slot is in the set of names that the key sums up, in [0, 1]."""
        match = torch.einsum("bsp,bp->bs", part, key)
        spread = key.norm(dim=-1, keepdim=True) / self.config.part**0.5
        return functional.hardsigmoid(self.gate_strength * (match - self.threshold - self.noise * spread))

    def next_edge(
        self, state: GraphState, at: Int[Tensor, " batch"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch slots"]:
        """One step of the answer: the log read weighting over slots.

        Args:
            at: where the path stands, in codes.
            label: the label of the edge to take, where the question gives it.
        """
        fits = self._gate(state.memory[:, :, FROM], self.node(at)) * state.usage
        if label is not None:
            fits = fits * self._gate(state.memory[:, :, LABEL], self.label(label))
        prior = state.planned if label is None else torch.zeros_like(state.planned)
        return torch.log_softmax(torch.where(fits > 0, fits.clamp(min=1e-6).log() + prior, _EMPTY), -1)

    def spell(self, words: Float[Tensor, "*batch part"]) -> Float[Tensor, "*batch codes"]:
        """The log probabilities of the names that a part of a word, or a read, may stand for."""
        every = self.node(torch.arange(CODES, device=words.device))
        return torch.log_softmax(self.spelling_strength * (words @ every.T), -1)

    def _words(self, edges: Int[Tensor, "batch edges 3"]) -> Float[Tensor, "batch edges 3 part"]:
        nodes, ends = torch.unique(edges[..., [FROM, TO]], return_inverse=True)  # most nodes have several edges
        labels, label = torch.unique(edges[..., LABEL], return_inverse=True)
        node = self.node(nodes)[ends]
        return torch.stack([node[..., 0, :], self.label(labels)[label], node[..., 1, :]], 2)


class _Name(nn.Module):
    """Names of three digits as vectors of length 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.digits = nn.Parameter(torch.randint(0, 2, (_DIGITS, 10, width)).float() * 2.0 - 1.0)

    def forward(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        first, second, third = (self.digits[place][codes // 10 ** (2 - place) % 10] for place in range(_DIGITS))
        return functional.normalize(first * second * third, dim=-1)


@torch.no_grad()
def answer_walk(network: GraphMemory, state: GraphState, start: int, labels: list[int]) -> list[int]:
    """The codes of the nodes that a walk along labels comes by, as the network spells them; all in codes."""
    at = start
    found: list[int] = []
    for label in labels:
        slot = network.next_edge(state, torch.tensor([at]), torch.tensor([label])).argmax(1)
        at = int(network.spell(state.memory[0, slot, TO]).argmax())
        found.append(at)
    return found


@torch.no_grad()
def answer_path(
    network: GraphMemory, state: GraphState, start: int, goal: int, most: int
) -> tuple[list[int], list[float]]:
    """The slots, at most `most`, that the network takes from one code to another, and the probability of each step.

    It stands where it spells that it stands, and ends when it spells the goal.
    """
    state = network.plan(state, torch.tensor([goal]), most)
    at = start
    edges: list[int] = []
    probabilities: list[float] = []
    while len(edges) < most and at != goal:
        weighting = network.next_edge(state, torch.tensor([at])).exp()
        slot = int(weighting.argmax())
        spelled = network.spell(state.memory[0, slot, TO])
        at = int(spelled.argmax())
        edges.append(slot)
        probabilities.append(float(weighting[0, slot] * spelled[at].exp()))
    return edges, probabilities
