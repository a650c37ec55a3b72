"""The learned reading: what content addressing found, and how the temporal links carry it from slot to slot.

Content addressing scores every slot by itself. The reader adds what only the slots together tell: a slot read strongly
lends of its weight along the temporal links, forward and backward, as gates of both slots allow (the question before an
answer, the answer after it); what was read first becomes part of the next step's cue; how well the whole
neighbourhood was read counts; and where a cue asks how something stands now, a later telling of it comes before an
earlier one. Read modes of Graves et al. 2016, as a function of the cue and of what a slot holds.
It must not know texts or states: it sees signals, features and the chain of links alone.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core.message_features import FEATURE_NAMES, FEATURES

NEIGHBOURS = 3  # slots each way whose weight the gates pass on
WINDOW = 6  # slots each way that make a slot's neighbourhood
WITHIN = (2, WINDOW)  # slots each way with which a slot is seen to match the cue together
SIGNALS = (
    "similarity", "exact", "rarest", "strong", "key", "speaker_tokens", "other voice", "near",
    *(f"{name} within {steps}" for steps in WITHIN for name in ("similarity", "exact")),
    "sentence", "about self", "negative",
)  # fmt: skip
_OWN = {  # of each signal that is taken together with neighbours, the slot's own
    SIGNALS.index(f"{name} within {steps}"): SIGNALS.index(name) for name in ("similarity", "exact") for steps in WITHIN
}
_FAR = 12.0  # nats below the best at which a slot counts as not read
_FIRST = 8  # slots that the first read hands to the second
_RIVALS = 32  # slots, those read most, among which a later one may stand for an earlier one
_AHEAD = 0.5  # nats that it then comes before it
_SHARP = 0.03  # of similarity, about the threshold at which a slot counts as telling what is asked
_EVIDENCE = 5  # numbers that the confidence goes by
_ENDS_ASKING, _REPLY, _FIRST_PERSON, _CHANGES = (
    FEATURE_NAMES.index(name) for name in ("ends asking", "reply", "first person", "tells change")
)
_SHORT = 16  # facets of a message that tells one thing
DISTINGUISHING = 0.1  # share of the cue above which a word tells one thing from another


class RerankerInput(NamedTuple):
    """What content addressing found, for readings of the same slots.

    Attributes:
        content: log of each slot's content weighting, but for a constant.
        signals: in the order of `SIGNALS`; "within" so many steps of the chain each way, the slots taken together.
        topic: similarity to the cue without the names of those who speak.
        now: whether the cue asks how something stands now.
        features: of the slots; see `message_features.features`.
        speaker: a number for who said it, the same for the same name.
        order: grows with the time of writing.
        keys: unit vectors.
        chain: the places of the WINDOW slots before (nearest first), then of those after; `slots` where there is none.
        allowed: the slots that a reading may address and that are evidence.
        exact: 1 where a slot holds a form of a word piece of the cue.
        shares: how much each word piece of the cue counts; they sum to 1.
    """

    content: Float[Tensor, "readings slots"]
    signals: Float[Tensor, "readings slots signals"]
    topic: Float[Tensor, "readings slots"]
    now: Bool[Tensor, " readings"]
    features: Float[Tensor, "slots features"]
    speaker: Int[Tensor, " slots"]
    order: Int[Tensor, " slots"]
    keys: Float[Tensor, "slots word"]
    chain: Int[Tensor, "slots around"]
    allowed: Bool[Tensor, "readings slots"]
    exact: Float[Tensor, "readings slots cue"] | None = None
    shares: Float[Tensor, "readings cue"] | None = None


class RerankerOutput(NamedTuple):
    """What a reading's slots weigh.

    Attributes:
        logits: log weights, but for a constant.
        forward, backward: which share of each is owed to the links forward and backward.
        outdated: pairs of places, of a slot and of a later one that outdates it, where that was looked for.
    """

    logits: Float[Tensor, "readings slots"]
    forward: Float[Tensor, "readings slots"]
    backward: Float[Tensor, "readings slots"]
    outdated: tuple[tuple[int, int], ...] = ()


class Reranker(nn.Module):
    """Turns what was found by content into a read weighting. Fresh, it lends every neighbour the same little.

    Args:
        hidden: units of each of the two small networks.

    Attributes:
        recency_override: the similarity from which a slot counts as telling what is asked; fresh, none does.
    """

    recency_override: Tensor

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.signals = nn.Parameter(torch.zeros(len(SIGNALS)))
        self.features = nn.Parameter(torch.zeros(FEATURES))
        neighbours = 2 * NEIGHBOURS
        self.gates = nn.Sequential(nn.Linear(2 * FEATURES + 5 + neighbours, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.rerank_head = nn.Sequential(
            nn.Linear(2 * len(SIGNALS) + 11 + FEATURES, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )
        _start_at(self.gates, -2.0)
        _start_at(self.rerank_head, 0.0)
        self.confidence_head = nn.Sequential(nn.Linear(_EVIDENCE, 4), nn.Tanh(), nn.Linear(4, 1))
        self.register_buffer("recency_override", torch.tensor(torch.inf))

    def forward(self, found: RerankerInput) -> RerankerOutput:
        """The read weighting of each reading.

        Source: read modes and temporal links of Graves et al. 2016, gated; a second read whose key is the first one's
        read vector, as the hops of Sukhbaatar et al. 2015.
        """
        content = found.content + 3.0 * (found.signals @ self.signals + found.features @ self.features)
        read = _above(content, found.allowed)
        link_contribution = self._link_contribution(found, read)
        logits = content + link_contribution.sum(-1)
        forward, backward = link_contribution[..., :NEIGHBOURS].sum(-1), link_contribution[..., NEIGHBOURS:].sum(-1)
        own = _FAR * read + 1e-6
        total = own + forward + backward
        logits = logits + _FAR * self._rerank(found, logits)
        return RerankerOutput(self.override_by_recency(found, logits), forward / total, backward / total)

    def override_by_recency(
        self, found: RerankerInput, logits: Float[Tensor, "readings slots"]
    ) -> Float[Tensor, "readings slots"]:
        """The log weights with a later telling before an earlier one, where the cue asks how something stands now.

        Of two slots of one speaker that both match the cue by themselves, tell the same thing of the same one, and are
        no replies, the later one is raised to just above the earlier one, which stays where it is.
        """
        if self.recency_override.isinf() or not found.now.any():
            return logits
        best = logits.masked_fill(~found.allowed, -torch.inf).topk(min(_RIVALS, logits.shape[1]), -1).indices
        may = found.allowed & found.now.unsqueeze(1) & (found.features[:, _REPLY] == 0)
        tells = torch.sigmoid((found.signals[..., 0] - self.recency_override) / _SHARP) * may
        tells, height = tells.gather(1, best), logits.gather(1, best)
        order, speaker = found.order[best], found.speaker[best]
        later = (order.unsqueeze(1) > order.unsqueeze(2)) & (speaker.unsqueeze(1) == speaker.unsqueeze(2))
        later = later & ~self._of_another(found, best)
        lacks = (height.unsqueeze(2) - height.unsqueeze(1) + _AHEAD).clamp(min=0.0)
        raised = (later * tells.unsqueeze(2) * tells.unsqueeze(1) * lacks).amax(1)  # over the earlier ones
        return logits.scatter_add(1, best, raised)

    def _of_another(
        self, found: RerankerInput, best: Int[Tensor, "readings rivals"]
    ) -> Bool[Tensor, "readings rivals rivals"]:
        """[r, i, j]: whether slot j tells of another one what slot i tells: it lacks a word of the cue that i holds.

        "My brother's phone number is …" lacks the sister that the cue names, and shares the rest. A statement of a
        change may lack any word: "I moved to Berlin" outdates "I live in Paris".
        """
        if found.exact is None or found.shares is None:
            return torch.zeros(*best.shape, best.shape[1], dtype=torch.bool, device=best.device)
        held = found.exact.gather(1, best.unsqueeze(2).expand(-1, -1, found.exact.shape[2]))
        counted = held * found.shares.unsqueeze(1)
        lacks = counted @ (1.0 - held).transpose(1, 2)  # of i's words, the share that j lacks
        both = counted @ held.transpose(1, 2)
        changes, short = tells_one_change(found.features)[best], is_short(found.features)[best]
        compared = short.unsqueeze(2) & (short & ~changes).unsqueeze(1)  # a long message lacks a word by chance
        return (lacks > DISTINGUISHING) & (both > DISTINGUISHING) & compared

    def confidence(self, found: RerankerInput, weighed: RerankerOutput) -> Float[Tensor, " readings"]:
        """The probability that what the cue asks for is among the slots.

        By how well what is read matches, how far the best stands out, and, where the cue names a speaker, by how what
        that one told matches beside what the others did: see `evidence`.
        """
        return torch.sigmoid(self.confidence_head(evidence(found, weighed)).squeeze(-1))

    def _link_contribution(self, found: RerankerInput, read: Tensor) -> Float[Tensor, "readings slots around"]:
        """What each neighbour within reach adds: those before (read forward), then those after (read backward)."""
        near = torch.cat([found.chain[:, :NEIGHBOURS], found.chain[:, WINDOW : WINDOW + NEIGHBOURS]], 1)
        readings, slots, neighbours = *read.shape, near.shape[1]
        there = _at(read, near)
        before = functional.pad(found.speaker, (0, 1), value=-1)[found.chain[:, 0]]
        same = (found.speaker == before).float().expand(readings, -1)
        cue = torch.stack([found.signals[..., 5], found.signals[..., 6], same], -1)
        seen = [
            found.features.unsqueeze(1).expand(readings, slots, neighbours, -1),
            _at(found.features.T, near).permute(1, 2, 0).expand(readings, -1, -1, -1),
            read[..., None, None].expand(-1, -1, neighbours, -1),
            there.unsqueeze(-1),
            cue.unsqueeze(2).expand(-1, -1, neighbours, -1),
            torch.eye(neighbours, device=read.device).expand(readings, slots, -1, -1),
        ]
        return functional.softplus(self.gates(torch.cat(seen, -1)).squeeze(-1)) * there * _FAR

    def _rerank(self, found: RerankerInput, logits: Tensor) -> Float[Tensor, "readings slots"]:
        """What the slot, its neighbourhood and a second read say together."""
        read = _above(logits, found.allowed)
        weights = torch.softmax(logits.masked_fill(~found.allowed, -torch.inf), -1).nan_to_num()
        first = weights.topk(min(_FIRST, weights.shape[1]), -1)
        vector = functional.normalize((first.values.unsqueeze(-1) * found.keys[first.indices]).sum(1), dim=-1)
        again = vector @ found.keys.T
        neighbours = _at(read, found.chain)
        window = torch.maximum(neighbours.amax(-1), read)
        share = _at(weights, found.chain).sum(-1) + weights
        masked = found.signals.masked_fill(~found.allowed.unsqueeze(-1), 0.0)
        places = [0, 1, WINDOW, WINDOW + 1]
        seen = [
            torch.stack([read, again, again - found.signals[..., 4], window, share], -1),
            neighbours[..., places],
            _at(masked[..., 1], found.chain[:, [0, WINDOW]]),
            found.signals,
            found.signals - masked.amax(1, keepdim=True),
            found.features.expand(len(read), -1, -1),
        ]
        read_as: Tensor = self.rerank_head(torch.cat(seen, -1)).squeeze(-1)
        return read_as


def _start_at(network: nn.Sequential, value: float) -> None:
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, value)


def tells_one_change(features: Float[Tensor, "*slots features"]) -> Bool[Tensor, "*slots"]:
    """Whether a slot tells of a change and of little else: what a long message changes can be anything in it."""
    return (features[..., _CHANGES] > 0) & is_short(features)


def is_short(features: Float[Tensor, "*slots features"]) -> Bool[Tensor, "*slots"]:
    """Whether a slot holds so little that it tells one thing."""
    return features[..., -1] <= math.log1p(_SHORT)


def without_neighbours(found: RerankerInput) -> RerankerInput:
    """What was found, as if no slot had neighbours: what is left is each slot's own match."""
    nowhere = torch.full_like(found.chain, len(found.chain))
    return found._replace(chain=nowhere, signals=own_signals(found.signals))


def own_signals(signals: Float[Tensor, "readings slots signals"]) -> Float[Tensor, "readings slots signals"]:
    """The signals as they are where no slot's neighbours match anything of the cue that it doesn't."""
    signals = signals.clone()
    signals[..., list(_OWN)] = signals[..., list(_OWN.values())]
    return signals


def evidence(found: RerankerInput, weighed: RerankerOutput) -> Float[Tensor, "readings evidence"]:
    """What tells whether the memory holds what is asked: five numbers a reading, in [-1, 1.2].

    The mean similarity of what is read; the greatest weight; and where the cue names a speaker: that it does, the share
    that is read of what that one said, and how much better, names apart, the best of what that one told fits than the
    best of what others told. To tell is to speak in the first person without ending in a question, so that who answers
    "how nice that you …" does not count as who did it.
    """
    weights = torch.softmax(weighed.logits.masked_fill(~found.allowed, -torch.inf), -1).nan_to_num()
    spoke, others = found.signals[..., 5] * found.allowed, found.signals[..., 6] * found.allowed
    named = spoke.amax(1)
    told = found.features[:, _FIRST_PERSON] * (1.0 - found.features[:, _ENDS_ASKING])
    fits = found.topic.clamp(min=0.0) * told
    return torch.stack(
        [(weights * found.signals[..., 0]).sum(1), weights.amax(1), named, (weights * spoke).sum(1),
         named * ((fits * spoke).amax(1) - (fits * others).amax(1))], -1,
    )  # fmt: skip


def _above(logits: Tensor, allowed: Tensor) -> Float[Tensor, "readings slots"]:
    """How far a slot was read, in [0, 1]: 1 the best one, 0 all that lies `_FAR` below it."""
    best = logits.masked_fill(~allowed, -torch.inf).amax(1, keepdim=True)
    return ((logits - best).clamp(min=-_FAR) / _FAR + 1.0).masked_fill(~allowed, 0.0)


def _at(values: Float[Tensor, "rows slots"], places: Int[Tensor, "slots around"]) -> Float[Tensor, "rows slots around"]:
    """Each row's values at the places of every slot; 0 where there is none."""
    return functional.pad(values, (0, 1))[:, places]
