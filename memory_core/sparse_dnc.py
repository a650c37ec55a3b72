"""Sparse access memory, and with temporal links the sparse DNC: a step touches a few slots, however many there are.

Source: Rae et al. 2016 ("Scaling Memory-Augmented Neural Networks with Sparse Reads and Writes"), in its order and
notation. Reads take the K slots most like the key; writes go to the slots just read and to the least recently accessed
one. Memory and tables are written in place along a sequence, on a copy that is made once a call.
"""

import dataclasses

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing, in_place, lsh_index, sparse_links
from memory_core.controllers import DEFAULT, Controller, ControllerConfig, ControllerState
from memory_core.recurrent import Recurrent, unroll
from memory_core.sparse_links import SparseLinks
from memory_core.state import TensorState

_ACCESSED = 0.005  # delta: a slot of more weight counts as accessed
_NOTHING = 1e-6  # a weight so small is as good as none


@dataclasses.dataclass(frozen=True)
class SparseDNCConfig:
    """Sizes. `reads` is K, the slots that a head reads; `links` is K_L, what a slot keeps of its links.

    temporal: temporal links and read modes: a sparse DNC with them, sparse access memory without.
    approximate_above: where more slots than this are in use, they are searched approximately, through a shortlist of
        `candidates`, which needs faiss; always exactly where None.
    """

    slots: int = 1024
    word: int = 32
    read_heads: int = 1
    write_heads: int = 1
    controller: ControllerConfig = DEFAULT
    reads: int = 4
    temporal: bool = True
    links: int = 8
    approximate_above: int | None = None
    candidates: int = 128

    def __post_init__(self) -> None:
        if self.candidates < self.reads:
            raise ValueError(f"a head that reads {self.reads} slots needs as many candidates")


@dataclasses.dataclass(frozen=True)
class SparseDNCState(TensorState):
    """The memory, and sparse weightings as slots and weights. Several entries of one slot may stand in a weighting.

    `inverse_lengths` are those of the words, so that a search goes over the memory once; `hashes` are for the
    approximate search, `hashed` 0 without it. `accessed` orders the slots by when they were last accessed: step * slots
    + the slot's number, below 0 before that. All slots from `fresh` on are as they were at first: empty and never
    accessed. No search goes further than it must into them.
    """

    memory: Float[Tensor, "*batch slots word"]
    inverse_lengths: Float[Tensor, "*batch slots"]
    hashes: UInt8[Tensor, "*batch hashed bytes"]
    accessed: Int[Tensor, "*batch slots"]
    fresh: Int[Tensor, "*batch"]
    steps: Int[Tensor, "*batch"]
    links: SparseLinks
    read_slots: Int[Tensor, "*batch read_heads reads"]
    read_weights: Float[Tensor, "*batch read_heads reads"]
    write_slots: Int[Tensor, "*batch writes"]
    write_weights: Float[Tensor, "*batch write_heads writes"]
    reads: Float[Tensor, "*batch read_heads word"]
    controller: ControllerState

    @property
    def read_weighting(self) -> Float[Tensor, "*batch read_heads slots"]:
        """The dense form, for pictures."""
        return addressing.spread(self.read_slots, self.read_weights, self.memory.shape[-2])

    @property
    def write_weighting(self) -> Float[Tensor, "*batch write_heads slots"]:
        """The dense form, for pictures."""
        slots = self.write_slots.unsqueeze(-2).expand_as(self.write_weights)
        return addressing.spread(slots, self.write_weights, self.memory.shape[-2])


class SparseDNC(Recurrent[SparseDNCState]):
    """A sparse DNC, or sparse access memory where `temporal` is off.

    A sequence costs time and memory for the slots that it touches, beyond one copy of the memory and, backward, one
    gradient of its size; a `step` by itself copies the memory. The search for K slots is exact
    and goes over the slots touched so far.

    >>> sparse = SparseDNC(8, 8, SparseDNCConfig(slots=65536))
    >>> outputs, state = sparse(torch.rand(2, 100, 8))
    """

    def __init__(self, inputs: int, outputs: int, config: SparseDNCConfig | None = None) -> None:
        super().__init__(inputs, outputs)
        c = self.config = config or SparseDNCConfig()
        self.controller = Controller(inputs + c.read_heads * c.word, c.controller)
        modes = 3 if c.temporal else 1
        self.read_parts = [c.word, 1, modes]  # key, strength, read modes
        self.write_parts = [c.word, 1, 1]  # word, write gate, interpolation gate
        self.read_interface = nn.Linear(c.controller.hidden, c.read_heads * sum(self.read_parts))
        self.write_interface = nn.Linear(c.controller.hidden, c.write_heads * sum(self.write_parts))
        self.directions: Tensor
        self.register_buffer("directions", lsh_index.projections(c.word) if c.approximate_above is not None else None)
        self.output = nn.Linear(c.controller.hidden + c.read_heads * c.word, outputs)

    def initial_state(self, batch: int, slots: int | None = None) -> SparseDNCState:
        """An empty memory. Words are exactly 0, so that all empty slots are equally like any key.

        Raises:
            ValueError: fewer slots than a head reads, or than there are write heads.
        """
        c, like = self.config, self.output.weight
        slots = c.slots if slots is None else slots
        if slots < max(c.reads, c.write_heads):
            raise ValueError(f"{slots} slots; a head reads {c.reads} and {c.write_heads} are written at once")
        hashing = c.approximate_above is not None
        whole = torch.zeros(batch, dtype=torch.long, device=like.device)
        writes = c.read_heads * c.reads + c.write_heads
        return SparseDNCState(
            memory=like.new_zeros(batch, slots, c.word),
            inverse_lengths=addressing.inverse_length(like.new_zeros(batch, slots, 1)),
            hashes=like.new_zeros(batch, slots if hashing else 0, lsh_index.BITS // 8, dtype=torch.uint8),
            accessed=torch.arange(-slots, 0, device=like.device).repeat(batch, 1),
            fresh=whole,
            steps=whole,
            links=SparseLinks.none(like, batch, slots if c.temporal else 0, c.links),
            read_slots=whole.reshape(-1, 1, 1).repeat(1, c.read_heads, c.reads),
            read_weights=like.new_zeros(batch, c.read_heads, c.reads),
            write_slots=whole.reshape(-1, 1).repeat(1, writes),
            write_weights=like.new_zeros(batch, c.write_heads, writes),
            reads=like.new_zeros(batch, c.read_heads, c.word),
            controller=self.controller.initial_state(batch),
        )

    def step(
        self, input: Float[Tensor, "batch inputs"], state: SparseDNCState
    ) -> tuple[Float[Tensor, "batch outputs"], SparseDNCState]:
        output, state = self._advance(input, _copied(state), None)
        return output, dataclasses.replace(state, memory=in_place.seal(state.memory))

    def forward(
        self,
        sequence: Float[Tensor, "batch time inputs"],
        state: SparseDNCState | None = None,
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch time outputs"], SparseDNCState]:
        """As every member's; the memory is copied once."""
        state = self.initial_state(len(sequence)) if state is None else _copied(state)
        outputs, state = unroll(self._advance, self.outputs, sequence, state, lengths)
        return outputs, dataclasses.replace(state, memory=in_place.seal(state.memory))

    def _advance(self, input: Tensor, before: SparseDNCState, running: Tensor | None) -> tuple[Tensor, SparseDNCState]:
        """A step that changes memory and tables in place, in the rows that still run alone."""
        hidden, controller = self.controller(torch.cat([input, before.reads.flatten(1)], 1), before.controller)
        mask = torch.ones_like(before.fresh, dtype=torch.bool) if running is None else running
        with addressing.full_precision(input.device):
            state = self._write(addressing.wide(self.write_interface(hidden)), before, mask)
            state = self._read(addressing.wide(self.read_interface(hidden)), state)
            state = _accessed(state, mask)
        output = self.output(torch.cat([hidden, state.reads.flatten(1).to(hidden.dtype)], 1))
        state = dataclasses.replace(state, controller=controller)
        return output, state if running is None else state.where(running, before)

    def _write(self, interface: Tensor, state: SparseDNCState, running: Tensor) -> SparseDNCState:
        """w = alpha (gamma w_read + (1 - gamma) 1_least), M <- (1 - 1_least) M + w a^T. Source: Rae 2016, eqs. 5-6."""
        heads = self.config.write_heads
        add, alpha, gamma = torch.split(torch.unflatten(interface, 1, (heads, -1)), self.write_parts, -1)
        alpha = torch.sigmoid(alpha) * running.reshape(-1, 1, 1)
        gamma = torch.sigmoid(gamma)
        slots = torch.cat([state.read_slots.flatten(1), self._least_recently_accessed(state)], 1)
        just_read = state.read_weights.flatten(1).unsqueeze(1) / self.config.read_heads
        least = torch.eye(heads, dtype=add.dtype, device=add.device)
        shares = torch.cat([alpha * gamma * just_read, alpha * (1.0 - gamma) * least], -1)
        place = addressing.first_of_slot(slots)
        w = addressing.add_up(slots.unsqueeze(1).expand_as(shares), shares)
        reused = (slots.unsqueeze(-1) == slots[:, None, -heads:]).any(-1) & running.unsqueeze(-1)
        memory, words = in_place.fetch(state.memory, slots)
        words = words.masked_fill(reused.unsqueeze(-1), 0.0) + w.transpose(1, 2) @ add
        links = state.links
        if self.config.temporal:
            total = w.detach().sum(1).clamp(max=1.0).gather(1, place)
            links = sparse_links.write_(links, slots, total, running)
        memory = in_place.store(memory, slots, words, place)
        lengths = addressing.inverse_length(words.detach()).gather(1, place)
        state.inverse_lengths.scatter_(1, slots, lengths)
        if self.config.approximate_above is not None:
            hashes = lsh_index.hashed(words.detach().gather(1, addressing.across(place, words)), self.directions)
            state.hashes.scatter_(1, addressing.across(slots, hashes), hashes)
        return dataclasses.replace(state, memory=memory, links=links, write_slots=slots, write_weights=w)

    def _read(self, interface: Tensor, state: SparseDNCState) -> SparseDNCState:
        """The K slots most like the key, and with links those around what was read last. Source: Rae 2016, eq. 4.

        The K strongest of both carry the weight of the others too: along a chain of links it would drain away.
        """
        heads, count = self.config.read_heads, self.config.reads
        key, beta, modes = torch.split(torch.unflatten(interface, 1, (heads, -1)), self.read_parts, -1)
        slots = self._most_similar(key, state)
        memory, words = in_place.fetch(state.memory, slots.flatten(1))
        words = torch.unflatten(words, 1, (heads, count))
        similarity = addressing.cosine_similarity(key.unsqueeze(2), words).squeeze(2)
        w = addressing.content_weighting(similarity, 1.0 + functional.softplus(beta).squeeze(-1))
        if self.config.temporal:
            back_slots, back, on_slots, on = sparse_links.follow(state.links, state.read_slots, state.read_weights)
            modes = torch.softmax(modes, -1)
            mixed = torch.cat([modes[..., :1] * back, modes[..., 1:2] * w, modes[..., 2:] * on], -1)
            slots, w = sparse_links.strongest(torch.cat([back_slots, slots, on_slots], -1), mixed, count)
            w = w * (mixed.sum(-1, keepdim=True) / w.sum(-1, keepdim=True).clamp(min=_NOTHING))
            memory, words = in_place.fetch(memory, slots.flatten(1))
            words = torch.unflatten(words, 1, (heads, count))
        reads = addressing.read(words, w.unsqueeze(2)).squeeze(2)
        return dataclasses.replace(state, memory=memory, read_slots=slots, read_weights=w, reads=reads)

    @torch.no_grad()
    def _most_similar(self, key: Tensor, state: SparseDNCState) -> Int[Tensor, "batch heads reads"]:
        c, slots = self.config, state.memory.shape[1]
        near = min(slots, int(state.fresh.max()) + c.write_heads + c.reads)
        if c.approximate_above is None or near <= c.approximate_above:
            similarity = key @ state.memory[:, :near].transpose(1, 2)  # the key's own length changes no order
            return addressing.greatest(similarity.mul_(state.inverse_lengths[:, None, :near]), c.reads)
        hashes = lsh_index.hashed(key, self.directions)
        listed = lsh_index.lsh_index(hashes, state.hashes[:, :near], min(c.candidates, near)).sort(-1).values
        words = state.memory.gather(1, addressing.across(listed.flatten(1), state.memory))
        lengths = state.inverse_lengths.gather(1, listed.flatten(1)).reshape(listed.shape)
        similarity = (torch.unflatten(words, 1, listed.shape[1:]) @ key.unsqueeze(-1)).squeeze(-1) * lengths
        return listed.gather(-1, addressing.greatest(similarity, c.reads))

    def _least_recently_accessed(self, state: SparseDNCState) -> Int[Tensor, "batch heads"]:
        slots = state.accessed.shape[1]
        near = min(slots, int(state.fresh.max()) + self.config.write_heads)
        return state.accessed[:, :near].topk(self.config.write_heads, largest=False).indices


def _accessed(state: SparseDNCState, running: Tensor) -> SparseDNCState:
    """Notes at which step the slots of more weight than delta were read and written. Source: Rae 2016, U(2)."""
    read_slots, written = state.read_slots.flatten(1), state.write_slots.shape[1]
    slots = torch.cat([state.write_slots, read_slots], 1)
    weights = torch.cat([state.write_weights.sum(1), state.read_weights.flatten(1)], 1).detach()
    total = addressing.add_up(slots, weights).gather(1, addressing.first_of_slot(slots))
    seen = (total > _ACCESSED) & running.unsqueeze(1)
    now = state.steps.unsqueeze(1) * state.accessed.shape[1] + slots
    state.accessed.scatter_(1, slots, torch.where(seen, now, state.accessed.gather(1, slots)))
    seen[:, :written] |= running.unsqueeze(1)
    fresh = torch.maximum(state.fresh, ((slots + 1) * seen).amax(1))
    return dataclasses.replace(state, fresh=fresh, steps=state.steps + 1)


def _copied(state: SparseDNCState) -> SparseDNCState:
    """The same state on a memory and tables of its own, which steps may change."""
    return dataclasses.replace(
        state,
        memory=state.memory.clone(),
        inverse_lengths=state.inverse_lengths.clone(),
        hashes=state.hashes.clone(),
        accessed=state.accessed.clone(),
        links=state.links.clone(),
    )
