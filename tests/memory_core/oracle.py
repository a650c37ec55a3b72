"""A dense reference of the memory, in loops and float64, straight from the equations.

Written to be checked by eye against Graves et al. 2016 (Methods), not to be fast: full usage vector, full temporal link
matrix, every slot scored. A slot here is a row there: row r lies in slot r modulo capacity, and rows share its room. It
shares no code with what it checks.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory

Array = NDArray[np.float64]

FAINTEST = 0.02  # precedence below this is dropped, as the memory does


def late_interaction(cue: Array, words: Array) -> Array:
    """The best cosine of each cue facet in each slot, at least 0: [slots, cue]."""
    best = np.zeros((len(words), len(cue)))
    for slot in range(len(words)):
        for f in range(len(cue)):
            for facet in words[slot]:
                best[slot, f] = max(best[slot, f], float(np.dot(cue[f], facet)))
    return best


def temporal_proximity(said_at: int, span: tuple[int, int]) -> float:
    """1 within the span, 1/2 just outside, halved for every length of it."""
    start, end = span
    away = max(start - said_at, said_at - end, 0)
    return float((0.5 if away else 1.0) * 2.0 ** -(away / (end - start)))


def content_weighting(similarity: Array, key_strength: float, prior: Array) -> Array:
    """w[i] = prior[i] exp(beta k[i]) / sum_j prior[j] exp(beta k[j])."""
    top = max((key_strength * s for s, p in zip(similarity, prior, strict=True) if p > 0), default=0.0)
    scores = [p * math.exp(key_strength * s - top) if p > 0 else 0.0 for s, p in zip(similarity, prior, strict=True)]
    total = sum(scores)
    return np.array([score / total if total > 0 else 0.0 for score in scores])


def sharpen(weighting: Array, gamma: float) -> Array:
    """w^gamma / sum w^gamma."""
    powered = [max(w, 0.0) ** gamma for w in weighting]
    total = sum(powered)
    return np.array([p / total if total > 0 else 0.0 for p in powered])


def usage_after_write(usage: Array, weighting: Array, retention: Array) -> Array:
    """u = (u + w - u w) psi."""
    return np.array([(u + w - u * w) * psi for u, w, psi in zip(usage, weighting, retention, strict=True)])


def retention(read_weightings: Array, free_gates: Array) -> Array:
    """psi[i] = prod_r (1 - f_r w_r[i])."""
    psi = np.ones(read_weightings.shape[1])
    for gate, weighting in zip(free_gates, read_weightings, strict=True):
        for slot, weight in enumerate(weighting):
            psi[slot] *= 1.0 - gate * weight
    return psi


def free_list(usage: Array) -> list[int]:
    """phi: slots from least to most used, the lowest number first among equals."""
    return sorted(range(len(usage)), key=lambda slot: (usage[slot], slot))


def allocation_weighting(usage: Array) -> Array:
    """a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i]."""
    allocation, product = np.zeros(len(usage)), 1.0
    for slot in free_list(usage):
        allocation[slot] = (1.0 - usage[slot]) * product
        product *= usage[slot]
    return allocation


def precedence_after_write(precedence: Array, weighting: Array) -> Array:
    """p = (1 - sum w) p + w."""
    total = sum(weighting)
    return np.array([(1.0 - total) * p + w for p, w in zip(precedence, weighting, strict=True)])


def links_after_write(links: Array, weighting: Array, precedence: Array) -> Array:
    """L[i, j] = (1 - w[i] - w[j]) L[i, j] + w[i] p[j]; L[i, i] = 0."""
    updated = np.zeros_like(links)
    for i in range(len(links)):
        for j in range(len(links)):
            if i != j:
                w_i, w_j = weighting[i], weighting[j]
                updated[i, j] = (1.0 - w_i - w_j) * links[i, j] + w_i * precedence[j]
    return updated


@dataclass(frozen=True)
class DenseReading:
    """Each mode's part of a read weighting, over all slots."""

    content: Array
    forward: Array
    backward: Array
    confidence: float


class DenseMemory:
    """The episodic memory over all its slots; takes its parameters from the memory that it checks."""

    def __init__(self, memory: EpisodicMemory, capacity: int) -> None:
        c = self.config = memory.config
        self.capacity, capacity = capacity, capacity * c.sharing
        self.parameters = {n: p.detach().cpu().double().numpy() for n, p in memory.named_parameters()}
        self.words = np.zeros((capacity, c.facets, c.word))
        self.token_ids: list[list[int]] = [[] for _ in range(capacity)]
        self.source = [0] * capacity
        self.part = [0] * capacity
        self.touched = [0] * capacity
        self.said_at = [0] * capacity
        self.usage = np.zeros(capacity)
        self.strength = np.zeros(capacity)
        self.links = np.zeros((capacity, capacity))
        self.precedence = np.zeros(capacity)
        self.last_read = np.zeros(capacity)
        self.clock = 0

    def usage_now(self) -> Array:
        """Usage, halved for every memory-full of messages since a slot was touched."""
        ages = [(self.clock - touched) / self.capacity for touched in self.touched]
        return np.array([usage * 2.0**-age for usage, age in zip(self.usage, ages, strict=True)])

    def piece_count(self, piece: int) -> int:
        """In how many slots a piece stands."""
        return sum(piece in held for held in self.token_ids)

    def write(self, utterance: Utterance, source: int, gate: float, said_at: int) -> list[int]:
        """One part after the other: allocate, fill, link; returns the slots taken."""
        facets, token_ids = utterance.facets.cpu().numpy(), utterance.token_ids.tolist()
        each_holds = self.config.facets
        parts = max(1, min(math.ceil(len(token_ids) / each_holds), self.capacity // 4))
        part_gate = 1.0 - (1.0 - gate) ** (1.0 / parts)
        self.clock = source
        spared = {source, max(self.source)}
        slots = []
        for part in range(parts):
            slot = self._allocate(spared)
            places = range(part * each_holds, min((part + 1) * each_holds, len(token_ids)))
            rarest_first = sorted(places, key=lambda place: (-token_ids[place], place))
            for held, place in enumerate(rarest_first):
                signs = np.where(facets[place] > 0, 1.0, -1.0)
                self.words[slot, held] = signs / math.sqrt(len(signs))
            self.token_ids[slot] = [token_ids[place] for place in rarest_first]
            self.source[slot], self.part[slot] = source, part
            self._divide(slot % self.capacity)
            self.touched[slot] = source
            self.said_at[slot] = said_at
            self.strength[slot] = self.usage[slot] = gate
            weighting = np.zeros(len(self.source))
            weighting[slot] = part_gate
            self.links = links_after_write(self.links, weighting, self.precedence)
            self.precedence = _without_the_faint(precedence_after_write(self.precedence, weighting))
            slots.append(slot)
        return slots

    def _divide(self, slot: int) -> None:
        """All rows of a slot get the same part of its room, and keep the first facets, those of their rarest pieces."""
        sharing = [row for row in range(slot, len(self.source), self.capacity) if self.source[row] > 0]
        room = self.config.facets // len(sharing)
        for row in sharing:
            self.token_ids[row] = self.token_ids[row][:room]
            self.words[row, room:] = 0.0

    def _allocate(self, spared: set[int]) -> int:
        for slot in range(len(self.source)):
            if self.source[slot] == 0:
                return slot
        for slot in free_list(self.usage_now()):
            if self.source[slot] not in spared:
                self.clear(slot)
                return slot
        raise AssertionError("every slot is protected")

    def clear(self, slot: int) -> None:
        """Frees a slot; what came before it is tied to what came after it, by the product of the two links."""
        n, links = len(self.source), self.links
        joined = links.copy()
        for j in range(n):
            for i in range(n):
                if i != j:
                    joined[i, j] = max(links[i, j], links[i, slot] * links[slot, j])
        joined[slot, :] = joined[:, slot] = 0.0
        share, before = self.precedence[slot], links[slot].sum()
        if share > 0:
            handed = self.precedence.copy()
            handed[slot] = 0.0
            for j in range(n):
                if before > 0:
                    handed[j] += share * links[slot, j] / before
                handed[j] = min(handed[j], 1.0 - joined[:, j].sum())
            self.precedence = _without_the_faint(handed)
        self.links = joined
        self.words[slot] = 0.0
        self.token_ids[slot] = []
        self.source[slot] = self.part[slot] = self.touched[slot] = self.said_at[slot] = 0
        self.usage[slot] = self.strength[slot] = self.last_read[slot] = 0.0

    def forget(self, source: int) -> None:
        for slot in range(len(self.source)):
            if self.source[slot] == source:
                self.clear(slot)

    def note_read(self, weights: Array) -> None:
        """Every slot with a weight was read."""
        self.last_read = weights.copy()
        usage = usage_after_write(self.usage_now(), 0.5 * weights, np.ones_like(weights))
        for slot in range(len(self.source)):
            if weights[slot] > 0:
                self.usage[slot], self.touched[slot] = usage[slot], self.clock

    def similarity(self, cue: Utterance) -> Array:
        """Late interaction plus exact matches, each cue facet counting by how rare its piece is."""
        used = sum(source > 0 for source in self.source)
        token_ids = cue.token_ids.tolist()
        rarity = [max(0.0, math.log((used + 1.0) / (self.piece_count(piece) + 0.5))) for piece in token_ids]
        shares = [r / max(sum(rarity), 1e-6) for r in rarity]
        cosines = late_interaction(cue.facets.cpu().double().numpy(), self.words)
        lexical = float(self.parameters["lexical"])
        similarity = np.zeros(len(self.source))
        for slot in range(len(self.source)):
            for f, piece in enumerate(token_ids):
                similarity[slot] += shares[f] * (cosines[slot, f] + lexical * (piece in self.token_ids[slot]))
        return similarity

    def read(self, cue: Utterance, span: tuple[int, int] | None) -> DenseReading:
        p = {name: float(value) for name, value in self.parameters.items() if value.ndim == 0}
        similarity = self.similarity(cue)
        near = np.array([p["time_share"] * temporal_proximity(at, span) if span else 0.0 for at in self.said_at])
        content = content_weighting(similarity + near, p["key_strength"], self.strength)
        mean = cue.facets.cpu().double().numpy().sum(0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-12)
        on, back = (
            max(float(np.dot(row, mean)) for row in self.parameters[n])
            for n in ("follow_up_prototypes", "look_back_prototypes")
        )
        following = _sigmoid(p["mode_strength"] * (max(on, back) - p["mode_threshold"]))
        ahead = _sigmoid(p["mode_strength"] * (on - back))
        forward_mode = following * p["follow_share"] * ahead + (1 - following) * p["link_share"]
        backward_mode = following * p["follow_share"] * (1 - ahead) + (1 - following) * p["link_share"]
        origin = (1 - following) * content + following * sharpen(self.last_read, 2.0)
        parts = (
            (1 - forward_mode - backward_mode) * content,
            forward_mode * (self.links @ origin),
            backward_mode * (self.links.T @ origin),
        )
        used = [s for s, source in zip(similarity, self.source, strict=True) if source > 0]
        confidence = _sigmoid(p["confidence_strength"] * (max(used, default=0.0) - p["confidence_threshold"]))
        found = sum(part.sum() for part in parts) > 0
        return DenseReading(*parts, max(confidence, following if found else 0.0))


def _without_the_faint(precedence: Array) -> Array:
    return np.array([p if p >= FAINTEST else 0.0 for p in precedence])


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0
