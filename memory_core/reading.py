"""From the candidates of a cue to a read weighting: what content addressing found, the reranker, the read modes.

Functions over a memory's parameters, a state and its candidates. What they give says where every weight came from:
the slot's own match, its neighbours along the temporal links, or the links of what the last turn read.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core import addressing, outdating, temporal_neighbours
from memory_core.candidate_retrieval import Candidates
from memory_core.message_features import FEATURE_NAMES, features, has, only_requests
from memory_core.outdating import Seen
from memory_core.reranker import SIGNALS, WINDOW, WITHIN, RerankerInput, RerankerOutput, without_neighbours
from memory_core.state import EpisodicState

if TYPE_CHECKING:
    from memory_core.episodic import EpisodicMemory

_MISMATCH = {"about self": 2.5, "negative": 2.0}  # nats that a slot loses where cue and slot differ in it
_CHANGED = 3  # slots, those read most, which a later one may outdate
_CLOSE = 3.0  # nats below the best within which these lie
_NEARLY = 1.0  # nats that a change of somebody else's thing may be ahead of what it then comes behind
_AHEAD = 0.5  # nats that a later slot then comes before the one that it outdates
_FOREIGN = 0.2  # how foreign to the first encoder a text is, from which its vectors tell nothing of what outdates what
_FOREIGN_TIME, _FOREIGN_SPEAKER = 8.0, 4.0  # nats that a foreign slot loses for another time or speaker than named
_SAME_ASKING = 0.8  # cosine of a request's sentence with the cue's from which it is the cue asked before
_DECIDED = 16.0  # how sharply a probability of a follow-up decides
_BEHIND = 2.0  # nats that a request or a reply to it comes behind the best statement


class Reading(NamedTuple):
    """A sparse read weighting, the strongest row first, with each mode's part of it (they sum to `weights`).

    `confidence` is in [0, 1]: the probability that the memory holds what the cue asks for, as far as the training's
    conversations tell; untrained it is a fixed function of the best similarity. `asks` is the probability that the cue
    asks for something, 1 where nothing is trained to tell; `asks_of_world` that nothing told is needed to answer it,
    None where nothing is trained to tell or where it asks of the conversation itself. `outdated` are pairs of rows, one
    and the later one that outdates it, for a cue that asks how something stands now.
    """

    rows: Int[Tensor, " read"]
    weights: Float[Tensor, " read"]
    content: Float[Tensor, " read"]
    forward: Float[Tensor, " read"]
    backward: Float[Tensor, " read"]
    confidence: float
    asks: float = 1.0
    asks_of_world: float | None = None
    outdated: tuple[tuple[int, int], ...] = ()


def found(
    memory: "EpisodicMemory", state: EpisodicState, of: Candidates, cosines: Float[Tensor, "slots cue"]
) -> RerankerInput:
    """What content addressing found in the candidates, as the reranker takes it; one reading."""
    slots, shares, exact = of.slots, of.terms.shares, of.exact
    similarity, matched = cosines @ shares, exact @ shares
    speaker_tokens, keys = state.speaker_tokens[slots], state.keys[slots].float()
    bits = state.feature_bits[slots]
    said = (speaker_tokens.unsqueeze(2) == of.named).any(2)
    spoke = ((speaker_tokens < 0) | said).all(1) & (speaker_tokens[:, 0] >= 0)
    now = not of.dated and asks_of_now(memory, of, bool(spoke.any()))
    rest = shares * ~torch.isin(of.terms.token_ids, speaker_tokens)
    topic = (cosines + memory.lexical * exact) @ (rest / rest.sum().clamp(min=1e-6))
    near_by = temporal_neighbours.around(state, slots, WINDOW)
    quiet = no_evidence(bits, near_by, of)
    content = memory.key_strength * (similarity + memory.lexical * matched + memory.time_share * of.proximity)
    sentence = functional.normalize(state.sentence[slots].float(), dim=-1) @ of.pooled
    if (of.intents or {}).get("asks_what_was_asked", 0.0) > 0.5:  # that was not asked before it
        quiet = quiet | (only_requests(bits) & (sentence > _SAME_ASKING))
    heard = (~quiet).unsqueeze(1)  # what is no evidence makes its neighbours none
    own, negative = (_agreement(name, bits, of) for name in _MISMATCH)
    signals = [
        similarity,
        matched,
        (exact * shares).amax(1) if len(shares) else matched,
        (cosines - 0.5).clamp(min=0.0) @ shares,
        keys @ of.pooled,
        spoke.float(),
        (~spoke & spoke.any()).float(),
        of.proximity,
        *(
            temporal_neighbours.best_within(each * heard, near_by, steps, each) @ shares
            for steps in WITHIN
            for each in (cosines, exact)
        ),
        sentence,
        own,
        negative,
    ]
    return RerankerInput(
        content=(content + state.strength[slots].log()).unsqueeze(0),
        signals=torch.stack(signals, -1).unsqueeze(0),
        topic=topic.unsqueeze(0),
        now=torch.tensor([now], device=slots.device),
        features=features(bits, state.part[slots], (state.token_ids[slots] >= 0).sum(1)),
        speaker=(
            (speaker_tokens + 1) * (memory.vocabulary + 1) ** torch.arange(speaker_tokens.shape[1], device=slots.device)
        ).sum(1),
        order=state.source[slots],
        keys=keys,
        chain=near_by,
        allowed=(~quiet).unsqueeze(0),
        exact=exact.unsqueeze(0),
        shares=shares.unsqueeze(0),
    )


def asks_of_now(memory: "EpisodicMemory", of: Candidates, named: bool) -> bool:
    """Whether a cue asks how something stands now.

    Args:
        named: whether it names a speaker of the memory. Where people talk with each other a later remark that
            fits is as a rule more of the same talk and makes nothing outdated; then it must ask expressly.
    """
    if of.intents is None:
        return False
    return of.intents["asks_of_now"] > 0.5 and (not named or bool(memory.expressly & set(of.named.tolist())))


def no_evidence(bits: Int[Tensor, " slots"], near_by: Int[Tensor, "slots around"], of: Candidates) -> Tensor:
    """Slots that only ask the assistant, and replies to these: no evidence for what the cue asks.

    Unless the cue asks of the conversation itself ("What did you recommend?"). Where it asks what was asked, questions
    and requests alone are evidence.
    """
    intents = of.intents or {}
    asks = only_requests(bits)
    if intents.get("asks_what_was_asked", 0.0) > 0.5:
        asked = asks | (has(bits, "asks") & ~has(bits, "reply"))
        return ~asked if bool(asked.any()) else torch.zeros_like(asks)
    if intents.get("asks_of_conversation", 0.0) > 0.5:
        return torch.zeros_like(asks)
    before = functional.pad(asks, (0, 1))[near_by[:, 0]]
    return asks | (has(bits, "reply") & before)


def _agreement(name: str, bits: Int[Tensor, " slots"], of: Candidates) -> Float[Tensor, " slots"]:
    """In [-1, 1]: 1 where cue and slot surely both have a feature or both lack it, -1 where one has it alone."""
    if of.intents is None:
        return torch.zeros(len(bits), device=bits.device)
    cue = 2.0 * of.intents[name.replace(" ", "_")] - 1.0
    return cue * (2.0 * has(bits, name).float() - 1.0)


def weigh(
    memory: "EpisodicMemory", state: EpisodicState, of: Candidates, cosines: Float[Tensor, "slots cue"]
) -> Reading:
    """The reading of one cue: the candidates' weighting, then the read modes."""
    lent = torch.zeros(2, len(of.slots), device=of.slots.device)
    outdated: tuple[tuple[int, int], ...] = ()
    if memory.reranker is None or not len(of.slots):
        similarity = cosines @ of.terms.shares + memory.lexical * (of.exact @ of.terms.shares)
        weighting = addressing.content_weighting(
            similarity + memory.time_share * of.proximity, memory.key_strength, state.strength[of.slots]
        )
        best = similarity.max() if len(similarity) else similarity.new_zeros(())
        confidence = torch.sigmoid(memory.confidence_strength * (best - memory.confidence_threshold))
    else:
        given = found(memory, state, of, cosines)
        logits, output = rerank(memory, state, of, given)
        weighting = torch.softmax(logits, -1)
        lent = _owed_to_neighbours(memory.reranker(without_neighbours(given)), output)
        confidence = memory.reranker.confidence(given, output)[0]
        outdated = tuple((int(of.slots[earlier]), int(of.slots[later])) for earlier, later in output.outdated)
        if of.alike is not None and memory.meaning is not None:
            alike = of.alike
            cosines = alike.cosines.masked_fill(~given.allowed[0], 0.0)  # what was asked is like what is asked
            confidence = memory.meaning.confidence(confidence, weighting, cosines, alike.cue, alike.slots)
    return _through_modes(memory, state, of, weighting, lent, float(confidence))._replace(outdated=outdated)


def rerank(
    memory: "EpisodicMemory", state: EpisodicState, of: Candidates, given: RerankerInput
) -> tuple[Float[Tensor, " slots"], RerankerOutput]:
    """The log weights of one reading, and the reranker's own output, with what is outdated."""
    assert memory.reranker is not None
    output: RerankerOutput = memory.reranker(given)
    logits = output.logits[0]
    if of.alike is not None and memory.meaning is not None:
        near, spoke = (given.signals[0, :, SIGNALS.index(name)] for name in ("near", "speaker_tokens"))
        beside = _FOREIGN_TIME * (near - near.max()) + _FOREIGN_SPEAKER * (spoke - spoke.max())
        alike = of.alike
        logits = memory.meaning.mixed(logits, alike.cosines, alike.cue, alike.slots, given.allowed[0], beside)
    unnamed = 1.0 - given.features[:, FEATURE_NAMES.index("named")]
    known = 1.0 if of.alike is None else 1.0 - of.alike.foreign
    for name, cost in _MISMATCH.items():
        logits = logits - cost * known * unnamed * (-given.signals[0, :, SIGNALS.index(name)]).clamp(min=0.0)
    if bool(given.now[0]) and memory.outdating is not None:
        logits, outdated = _with_changes(memory, state, of, given, logits)
        output = output._replace(outdated=outdated)
    return _requests_behind(logits, given), output


def _with_changes(
    memory: "EpisodicMemory", state: EpisodicState, of: Candidates, given: RerankerInput, logits: Tensor
) -> tuple[Float[Tensor, " slots"], tuple[tuple[int, int], ...]]:
    """The log weights with what outdates a slot just above it, where the cue asks how something stands now.

    What outdates it is one later slot, the likeliest; that one may itself be outdated by another.

    Returns:
        The log weights, and the places of each slot that is outdated and of what outdates it.
    """
    assert memory.outdating is not None
    outdated = list[tuple[int, int]]()
    for number in range(_CHANGED):
        told = logits.masked_fill(~given.allowed[0], -torch.inf)
        order = told.topk(min(_CHANGED, len(told))).indices
        earlier = int(order[min(number, len(order) - 1)])
        if not torch.isfinite(told[earlier]) or told.max() - told[earlier] > _CLOSE:
            break
        may = outdating.may_outdate(given, earlier)
        if not bool(may.any()):
            continue
        seen = outdating.seen(memory, state, of, given, earlier)
        named = seen.names_it & memory.outdating.threshold.isfinite()
        excess = memory.outdating.excess(seen.pairs).masked_fill(named, torch.inf)
        if of.intents is not None:  # whose it is decides
            others = _of_another(state.feature_bits[of.slots], of.intents, seen, earlier)
            excess = excess.masked_fill(others, -torch.inf)
            ahead = others & seen.same_form & may & (logits > told[earlier]) & (logits < told[earlier] + _NEARLY)
            logits = torch.where(ahead, told[earlier] - _AHEAD, logits)
        if of.alike is not None and memory.meaning is not None:
            foreign = memory.meaning.pairs(state.meaning[of.slots], of.alike.cosines, told, earlier)
            excess = torch.where(of.alike.foreign > _FOREIGN, memory.meaning.outdating.excess(foreign), excess)
        excess = excess.masked_fill(~may, -torch.inf)
        later = int(excess.argmax())
        if excess[later] > 0.0:
            logits = logits.clone()
            logits[later] = torch.maximum(logits[later], told[earlier] + _AHEAD)
            outdated.append((earlier, later))
    return logits, tuple(outdated)


def _of_another(bits: Int[Tensor, " slots"], intents: Mapping[str, float], seen: Seen, earlier: int) -> Tensor:
    """Slots that tell of somebody else's than the earlier one, for a cue of one's own or of another's."""
    if intents["about_self"] < 0.5:
        return seen.same_form
    own = has(bits, "about self")
    return own[earlier] & ~own & ~seen.names_it


def _owed_to_neighbours(alone: RerankerOutput, output: RerankerOutput) -> Float[Tensor, "2 slots"]:
    """The shares of each weight that are owed to the slots before (read forward) and after it (read backward).

    What a slot would weigh if it had no neighbours is its own; the rest is theirs, divided as the links contribute.
    """
    rest = -torch.expm1((alone.logits - output.logits)[0].clamp(max=0.0))
    both = (output.forward + output.backward)[0]
    forward = torch.where(both > 1e-6, output.forward[0] / both.clamp(min=1e-6), 0.5)
    return torch.stack([rest * forward, rest * (1.0 - forward)])


def _requests_behind(logits: Float[Tensor, " slots"], given: RerankerInput) -> Float[Tensor, " slots"]:
    """The log weights with what is no evidence behind the best statement; the cue asked before has none at all."""
    quiet = ~given.allowed[0]
    if not quiet.any():
        return logits
    told = logits[~quiet]
    behind = told.max() - _BEHIND if len(told) else logits.max()
    sentence = given.signals[0, :, SIGNALS.index("sentence")]
    again = quiet & (sentence > _SAME_ASKING) & bool(len(told))
    lowered = torch.where(quiet, torch.minimum(logits, behind), logits)
    return lowered.masked_fill(again, -torch.inf)


def read_modes(
    memory: "EpisodicMemory", cue: Float[Tensor, " word"], intents: Mapping[str, float] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How a cue reads: (share of the last turn's reading in where links start, forward, content, backward mode).

    The modes sum to 1. A follow-up ("And after that?") starts from what the last turn read and goes along the
    links; any other cue starts from its own content and lets a little of it spread to the neighbours.

    Args:
        cue: its mean facet, of length 1.
        intents: what it wants; where nothing is trained to tell, its likeness to prototypes decides.

    Source: read modes pi of Graves 2016; here a function of the cue alone.
    """
    if intents is None:
        on, back = (memory.follow_up_prototypes @ cue).max(), (memory.look_back_prototypes @ cue).max()
        following = torch.sigmoid(memory.mode_strength * (torch.maximum(on, back) - memory.mode_threshold))
        ahead = torch.sigmoid(memory.mode_strength * (on - back))
    else:
        on, back = (cue.new_tensor(intents[f"follow_up_{way}"]) for way in ("forward", "backward"))
        following = torch.sigmoid(_DECIDED * (torch.maximum(on, back) - 0.5))
        ahead = torch.sigmoid(_DECIDED * (on - back))
    far, near = following * memory.follow_share, (1 - following) * memory.link_share
    forward, backward = far * ahead + near, far * (1 - ahead) + near
    return following, forward, 1 - forward - backward, backward


def _through_modes(
    memory: "EpisodicMemory", state: EpisodicState, of: Candidates, weighting: Tensor, lent: Tensor, confidence: float
) -> Reading:
    kept = torch.sort(weighting, descending=True, stable=True).indices[: memory.config.read]
    slots, content, lent = of.slots[kept], weighting[kept], lent[:, kept]
    content = content / content.sum().clamp(min=1e-12)
    following, forward_mode, content_mode, backward_mode = read_modes(memory, of.pooled, of.intents)
    last = addressing.sharpen(state.read_weights, 2.0)
    origin, flow = torch.cat([slots, state.read_slots]), torch.cat([(1 - following) * content, following * last])
    forward = addressing.follow_links(origin, flow, state.forward_slots, state.forward_weights)
    backward = addressing.follow_links(origin, flow, state.backward_slots, state.backward_weights)
    every, place = torch.unique(torch.cat([slots, forward[0], backward[0]]), return_inverse=True)
    shares = torch.zeros(3, len(every), device=slots.device)
    bounds = (len(slots), len(slots) + len(forward[0]))
    shares[:, place[: bounds[0]]] = content_mode * content * torch.cat([1.0 - lent.sum(0, keepdim=True), lent])
    shares[1, place[bounds[0] : bounds[1]]] += forward_mode * forward[1]
    shares[2, place[bounds[1] :]] += backward_mode * backward[1]
    total = shares.sum(0)
    order = torch.sort(total, descending=True, stable=True).indices[: memory.config.read]
    order = order[total[order] > 0]
    sure = max(confidence, float(following * (total.sum() > 0)))
    parts = shares[:, order]
    intents = of.intents or {"asks": 1.0, "asks_of_conversation": 1.0}
    world = intents["asks_of_world"] if intents["asks_of_conversation"] < 0.5 else None
    return Reading(every[order], total[order], parts[0], parts[1], parts[2], sure, intents["asks"], world)


def mixed(readings: Sequence[Reading], most: int) -> Reading:
    """One reading out of those of several cues: each counts by the square of its confidence, the first one twice.

    Args:
        most: rows that it keeps.
    """
    if len(readings) == 1:
        return readings[0]
    counts = [(2.0 if number == 0 else 1.0) * one.confidence**2 for number, one in enumerate(readings)]
    whole = max(sum(counts), 1e-12)
    rows, place = torch.unique(torch.cat([one.rows for one in readings]), return_inverse=True)
    parts = readings[0].weights.new_zeros(3, len(rows))
    scaled = [
        count / whole * torch.stack([one.content, one.forward, one.backward])
        for count, one in zip(counts, readings, strict=True)
    ]
    parts.index_add_(1, place, torch.cat(scaled, 1))
    total = parts.sum(0)
    order = torch.sort(total, descending=True, stable=True).indices[:most]
    kept = parts[:, order]
    confidence, asks = max(one.confidence for one in readings), max(one.asks for one in readings)
    world, outdated = readings[0].asks_of_world, readings[0].outdated
    return Reading(rows[order], total[order], kept[0], kept[1], kept[2], confidence, asks, world, outdated)
