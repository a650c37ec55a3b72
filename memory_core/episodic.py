"""The memory that the assistant uses: write an utterance, read with a cue.

A sparse DNC (Graves et al. 2016; Rae et al. 2016) whose words are sets of facets. A write takes allocated slots, one
for every `facets` word pieces, erases and fills them, and ties them to what was written before. A read addresses by
content among the candidates of a cheap first stage, follows the temporal links forward and backward, and mixes the
three weightings by read modes that depend on the cue and, once trained, on what the slots hold (see `reader`). When no
slot is free, a write shares one: its room is divided, and what was there keeps its rarest facets. For an encoder that
has no trained weights it works with the initial parameters below. It must never learn of users or databases: the caller
keeps the states, and names what it writes by numbers of its own ("sources").
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing, allocation, candidate_retrieval, temporal_neighbours, weights
from memory_core.allocation import EpisodicConfig
from memory_core.binary_codes import encode_word
from memory_core.candidate_retrieval import Candidates
from memory_core.encoder import Encoder, Utterance
from memory_core.links import write_links_
from memory_core.message_features import (
    ASKING,
    COUNTING,
    EXPRESSLY,
    LISTING,
    PAST,
    PRESENT,
    MessageFeatures,
    Tenses,
    feature_bits,
    features,
)
from memory_core.read_mode_prototypes import FOLLOW_UPS, LOOK_BACKS
from memory_core.reranker import WINDOW, WITHIN, Reranker, RerankerInput
from memory_core.state import EpisodicState
from memory_core.write_gate import WriteGate

_PLAIN = MessageFeatures()
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Reading(NamedTuple):
    """A sparse read weighting, the strongest row first, with each mode's part of it (they sum to `weights`).

    `confidence` is in [0, 1]: the probability that the memory holds what the cue asks for, as far as the training's
    conversations tell; untrained it is a fixed function of the best similarity.
    """

    rows: Int[Tensor, " read"]
    weights: Float[Tensor, " read"]
    content: Float[Tensor, " read"]
    forward: Float[Tensor, " read"]
    backward: Float[Tensor, " read"]
    confidence: float


class Written(NamedTuple):
    """What a write changed: the rows that took the utterance, in order; those that gave up facets to make room for it;
    and all that differ now."""

    rows: Int[Tensor, " parts"]
    narrowed: Int[Tensor, " narrowed"]
    changed: Int[Tensor, " changed"]


class EpisodicMemory(nn.Module):
    """The parameters and the rules; the state of each memory is passed in and handed back.

    `write`, `note_read` and `forget` leave the state passed in as it was. Each has a twin with a trailing underscore,
    which works in place for a caller that owns the state; it costs the slots it touches, not the slots there are.

    Args:
        encoder: makes the prototypes of the read modes; cues and utterances must come from the same one.
        trained: whether the weights that ship are taken, where they are this encoder's.

    Example:
        >>> encoder = Encoder(); memory = EpisodicMemory(encoder)
        >>> said, cue = encoder.encode(["My dog is called Biscuit", "What is my dog's name?"])
        >>> state, written = memory.write(memory.empty(capacity=4096), said, source=1)
        >>> reading = memory.read([state], [cue])[0]
    """

    mode_strength: nn.Parameter
    mode_threshold: nn.Parameter
    key_strength: nn.Parameter
    lexical: nn.Parameter
    time_share: nn.Parameter
    link_share: nn.Parameter
    follow_share: nn.Parameter
    confidence_strength: nn.Parameter
    confidence_threshold: nn.Parameter
    stopword_mask: Tensor
    lemma_ids: Tensor

    def __init__(self, encoder: Encoder, config: EpisodicConfig | None = None, trained: bool = True) -> None:
        super().__init__()
        self.config = config or EpisodicConfig()
        self.vocabulary = encoder.vocabulary
        self._encoder = encoder.fingerprint()
        follow, back = encoder.encode(FOLLOW_UPS), encoder.encode(LOOK_BACKS)
        self.follow_up_prototypes = nn.Parameter(torch.stack([_pooled(cue.facets) for cue in follow]))
        self.look_back_prototypes = nn.Parameter(torch.stack([_pooled(cue.facets) for cue in back]))
        self.register_parameter("mode_strength", _scalar(40.0))
        self.register_parameter("mode_threshold", _scalar(0.75))
        self.register_parameter("key_strength", _scalar(12.0))
        self.register_parameter("lexical", _scalar(0.2))
        self.register_parameter("time_share", _scalar(0.3))
        self.register_parameter("link_share", _scalar(0.125))
        self.register_parameter("follow_share", _scalar(0.9))
        self.register_parameter("confidence_strength", _scalar(12.0))
        self.register_parameter("confidence_threshold", _scalar(0.5))
        self.register_buffer("stopword_mask", torch.zeros(self.vocabulary, dtype=torch.bool))
        none = torch.tensor([-1], dtype=torch.int32)  # last, so that it is also what stands for no piece
        self.register_buffer("lemma_ids", torch.cat([torch.arange(self.vocabulary, dtype=torch.int32), none]))
        self._pieces_of: Callable[[str], list[int]] = lambda name: encoder.windows([name])[0][0]
        tenses = (ASKING, COUNTING, PRESENT, LISTING, PAST, EXPRESSLY)
        self._tenses = Tenses(*(frozenset(self._pieces_of(" ".join(words))) for words in tenses))
        self.write_gate: WriteGate | None = None
        self.reranker: Reranker | None = None
        learned = weights.of(encoder.transformer_fingerprint(), self.config.word) if trained else None
        if learned:
            self.write_gate, self.reranker = WriteGate(), Reranker()
            self.load_state_dict({name: learned[name] for name in self.state_dict()})
        self.requires_grad_(False).to(encoder.device)

    @property
    def device(self) -> torch.device:
        """Where the parameters are; states and cues must be there too."""
        return self.follow_up_prototypes.device

    def fingerprint(self) -> str:
        """Names all that decides what a log becomes: encoder, parameters, sizes, schema. Equal folds, equal names."""
        digest = hashlib.sha256(f"{self._encoder} {EpisodicState.schema} {self.config}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def empty(self, capacity: int, rows: int = 0) -> EpisodicState:
        """`allocation.empty`, for this memory's vocabulary and device."""
        return allocation.empty(self.config, self.vocabulary, capacity, rows, self.device)

    # Writing

    def precedence_gate(self, text: str, reply: bool) -> float:
        """How much of the precedence a text takes, in (0, 1]: a statement all of it, a question or a reply a little.

        They leave the rest with what was said before them, so that the links tie statement to statement across the
        replies between them.
        """
        if reply:
            return self.config.reply_gate
        sentences = _SENTENCE_END.split(text.strip())
        if not sentences[-1].endswith("?"):
            return 1.0
        asks_only = all(sentence.endswith("?") for sentence in sentences)
        return self.config.question_gate if asks_only else self.config.asking_gate

    def message_features(
        self, text: str, speaker: str | None = None, reply: bool = False, at: int = 0
    ) -> MessageFeatures:
        """How a text was said, as `write` takes it.

        Args:
            speaker: the name of who said it; its first word is the voice that a cue may name.
            reply: whether an assistant without a name said it.
            at: when, in seconds since 1970.
        """
        name = (speaker or "").split()[:1]
        speaker_tokens = tuple(self._pieces_of(name[0])[: self.config.speaker_tokens]) if name else ()
        return MessageFeatures(feature_bits(text, speaker, reply), speaker_tokens, at)

    def drop_stopwords(self, utterance: Utterance) -> Utterance:
        """The utterance without the pieces that all texts have (the, of, a comma); whole where it has no others."""
        kept = ~self.stopword_mask[utterance.token_ids.long()]
        return Utterance(utterance.facets[kept], utterance.token_ids[kept]) if bool(kept.any()) else utterance

    def parts(self, token_ids: int, capacity: int) -> int:
        """Slots that so many essential pieces take: at least one, at most a quarter of the memory."""
        return max(1, min(math.ceil(token_ids / self.config.facets), capacity // 4))

    def write(
        self,
        state: EpisodicState,
        utterance: Utterance,
        source: int,
        gate: float = 1.0,
        message_features: MessageFeatures = _PLAIN,
    ) -> tuple[EpisodicState, Written]:
        """`write_`, on a copy."""
        return self.write_(state.clone(), utterance, source, gate, message_features)

    def write_(
        self,
        state: EpisodicState,
        utterance: Utterance,
        source: int,
        gate: float = 1.0,
        message_features: MessageFeatures = _PLAIN,
    ) -> tuple[EpisodicState, Written]:
        """Writes an utterance into free slots; when there is none it shares some; when all are shared by as many as may
        share them, it takes the least used rows.

        The rows of this utterance and of the one before it are never the ones taken. A row's facets stand in the order
        of how rare their pieces are, and where k rows share a slot, the first `facets` / k of each stay. Rare are those
        of high numbers: a vocabulary lists common pieces first, and the order must not hang on what else the memory
        held, or a replay without it would differ.

        Args:
            state: changed in place; after growing, the state returned is another object.
            source: the caller's number for what is written, > 0 and above those written before.
            gate: precedence gate in (0, 1].
            manner: how and when it was said.

        Returns:
            The state to go on with, and what changed. An utterance longer than `parts` allows is cut.
        """
        utterance = self.drop_stopwords(utterance)
        parts = self.parts(len(utterance.token_ids), int(state.capacity))
        state.clock.fill_(source)
        precedence = 1.0 - (1.0 - gate) ** (1.0 / parts)  # all parts together leave (1 - gate) of it
        size = self.config.facets
        facets, token_ids = (torch.split(each[: parts * size], size) for each in utterance)
        strengths = self._strengths(message_features, [len(each) for each in token_ids], gate)
        rows, narrowed, changed = [], [], []
        protected = (source, int(state.source.max()))
        for part, (held, named, strength) in enumerate(zip(facets, token_ids, strengths, strict=True)):
            state, row, cleared = allocation.allocate_(state, self.config, protected)
            narrowed += allocation.fill_(state, self.config, row, encode_word(held), named)
            state.source[row] = state.touched[row] = source
            state.part[row], state.said_at[row], state.feature_bits[row] = (
                part,
                message_features.at,
                message_features.feature_bits,
            )
            state.speaker_tokens[row, : len(message_features.speaker_tokens)] = state.speaker_tokens.new_tensor(
                message_features.speaker_tokens
            )
            state.strength[row] = state.usage[row] = strength
            changed += [cleared, write_links_(state, row, precedence)]
            rows.append(row)
        taken, less = (torch.tensor(one, dtype=torch.int64, device=self.device) for one in (rows, narrowed))
        return state, Written(taken, less, torch.unique(torch.cat([taken, less, *changed])))

    def _strengths(self, message_features: MessageFeatures, held: Sequence[int], gate: float) -> list[float]:
        """How strongly an utterance's rows are written: by the precedence gate, times the learned write gate if any.

        By both, for in an assistant's memory who asks twice wants the answer, not the first asking.

        Args:
            held: how many facets each row takes.
        """
        if self.write_gate is None:
            return [gate] * len(held)
        parts, counts = torch.arange(len(held), device=self.device), torch.tensor(held, device=self.device)
        learned = self.write_gate(features(torch.full_like(parts, message_features.feature_bits), parts, counts))
        return [gate * strength for strength in learned.tolist()]

    def write_tombstone_(
        self, state: EpisodicState, parts: int, source: int, gate: float
    ) -> tuple[EpisodicState, Written]:
        """Writes what is no longer known: takes the slots and the place in time that a forgotten utterance took."""
        facets = parts * self.config.facets
        blank = torch.zeros(facets, self.config.word, device=self.device)
        none = torch.full((facets,), -1, dtype=torch.int32, device=self.device)
        return self.write_(state, Utterance(blank, none), source, gate)

    def usage_now(self, state: EpisodicState) -> Float[Tensor, " rows"]:
        """`allocation.usage_now`."""
        return allocation.usage_now(state)

    # Reading

    @torch.no_grad()
    def read(
        self,
        states: Sequence[EpisodicState],
        cues: Sequence[Utterance],
        among: Sequence[Bool[Tensor, " slots"] | None] | None = None,
        spans: Sequence[tuple[int, int] | None] | None = None,
    ) -> list[Reading]:
        """Reads memories, changing nothing; each reading depends on its own state and cue alone.

        Args:
            states, cues: one of each a reading. Of a long cue the rarest `cue` word pieces count.
            among: where given, the slots that content may address.
            spans: where given, the time that the cue speaks of, from when to when, in seconds since 1970: what was
                said then counts as more like it, by `time_share`.
        """
        none = [None] * len(states)
        candidate_sets = [
            self.retrieve_candidates(*each) for each in zip(states, cues, among or none, spans or none, strict=True)
        ]
        return [
            self._reading(state, candidates, cosines)
            for state, candidates, cosines in zip(
                states, candidate_sets, candidate_retrieval.cosines(states, candidate_sets), strict=True
            )
        ]

    def retrieve_candidates(
        self, state: EpisodicState, cue: Utterance, among: Tensor | None, span: tuple[int, int] | None
    ) -> Candidates:
        """The candidates of one reading; see `read`."""
        lemma_ids, used = self.lemma_ids.long(), state.source > 0
        terms = candidate_retrieval.terms(state, self.drop_stopwords(cue), lemma_ids, self.config.cue)
        allowed = used if among is None else used & among
        proximity = state.usage.new_zeros(()) if span is None else addressing.temporal_proximity(state.said_at, span)
        proximity = proximity.expand_as(state.usage)
        slots = candidate_retrieval.rows(
            state, terms, allowed, self.time_share * proximity, self.lexical, lemma_ids, self.config
        )
        held = state.token_ids.index_select(0, slots)
        exact = addressing.exact_matches(lemma_ids[terms.token_ids], lemma_ids[held], self.vocabulary)
        return Candidates(slots, terms, exact, proximity[slots], _pooled(cue.facets), cue.token_ids, span is not None)

    def found(self, state: EpisodicState, candidates: Candidates, cosines: Float[Tensor, "slots cue"]) -> RerankerInput:
        """What content addressing found in the candidates, as the learned reading takes it; one reading."""
        slots, shares, exact = candidates.slots, candidates.terms.shares, candidates.exact
        similarity, matched = cosines @ shares, exact @ shares
        content = self.key_strength * (similarity + self.lexical * matched + self.time_share * candidates.proximity)
        speaker_tokens, keys = state.speaker_tokens[slots], state.keys[slots].float()
        said = (speaker_tokens.unsqueeze(2) == candidates.named).any(2)
        spoke = ((speaker_tokens < 0) | said).all(1) & (speaker_tokens[:, 0] >= 0)
        now = not candidates.dated and self._tenses.is_current_state_query(
            frozenset(candidates.named.tolist()), bool(spoke.any())
        )
        rest = shares * ~torch.isin(candidates.terms.token_ids, speaker_tokens)
        topic = (cosines + self.lexical * exact) @ (rest / rest.sum().clamp(min=1e-6))
        near_by = temporal_neighbours.around(state, slots, WINDOW)
        signals = [
            similarity,
            matched,
            (exact * shares).amax(1) if len(shares) else matched,
            (cosines - 0.5).clamp(min=0.0) @ shares,
            keys @ candidates.pooled,
            spoke.float(),
            (~spoke & spoke.any()).float(),
            candidates.proximity,
            *(
                temporal_neighbours.best_within(each, near_by, steps) @ shares
                for steps in WITHIN
                for each in (cosines, exact)
            ),
        ]
        return RerankerInput(
            (content + state.strength[slots].log()).unsqueeze(0),
            torch.stack(signals, -1).unsqueeze(0),
            topic.unsqueeze(0),
            torch.tensor([now], device=self.device),
            features(state.feature_bits[slots], state.part[slots], (state.token_ids[slots] >= 0).sum(1)),
            (
                (speaker_tokens + 1)
                * (self.vocabulary + 1) ** torch.arange(speaker_tokens.shape[1], device=self.device)
            ).sum(1),
            state.source[slots],
            keys,
            near_by,
            torch.ones(1, len(slots), dtype=torch.bool, device=self.device),
        )

    def _reading(self, state: EpisodicState, candidates: Candidates, cosines: Tensor) -> Reading:
        link_contribution = torch.zeros(2, len(candidates.slots), device=self.device)
        if self.reranker is None or not len(candidates.slots):
            shares = candidates.terms.shares
            similarity = cosines @ shares + self.lexical * (candidates.exact @ shares)
            weighting = addressing.content_weighting(
                similarity + self.time_share * candidates.proximity, self.key_strength, state.strength[candidates.slots]
            )
            best = similarity.max() if len(similarity) else similarity.new_zeros(())
            confidence = torch.sigmoid(self.confidence_strength * (best - self.confidence_threshold))
        else:
            found = self.found(state, candidates, cosines)
            weighed = self.reranker(found)
            weighting = torch.softmax(weighed.logits[0], -1)
            link_contribution = torch.stack([weighed.forward[0], weighed.backward[0]])
            confidence = self.reranker.confidence(found, weighed)[0]
        kept = torch.sort(weighting, descending=True, stable=True).indices[: self.config.read]
        slots, content, link_contribution = candidates.slots[kept], weighting[kept], link_contribution[:, kept]
        content = content / content.sum().clamp(min=1e-12)
        following, forward_mode, content_mode, backward_mode = self.read_modes(candidates.pooled)
        last = addressing.sharpen(state.read_weights, 2.0)
        origin, flow = torch.cat([slots, state.read_slots]), torch.cat([(1 - following) * content, following * last])
        forward = addressing.follow_links(origin, flow, state.forward_slots, state.forward_weights)
        backward = addressing.follow_links(origin, flow, state.backward_slots, state.backward_weights)
        every, place = torch.unique(torch.cat([slots, forward[0], backward[0]]), return_inverse=True)
        shares = torch.zeros(3, len(every), device=self.device)
        bounds = (len(slots), len(slots) + len(forward[0]))
        shares[:, place[: bounds[0]]] = (
            content_mode * content * torch.cat([1.0 - link_contribution.sum(0, keepdim=True), link_contribution])
        )
        shares[1, place[bounds[0] : bounds[1]]] += forward_mode * forward[1]
        shares[2, place[bounds[1] :]] += backward_mode * backward[1]
        total = shares.sum(0)
        order = torch.sort(total, descending=True, stable=True).indices[: self.config.read]
        confidence = torch.maximum(confidence, following * (total.sum() > 0))
        parts = shares[:, order]
        return Reading(every[order], total[order], parts[0], parts[1], parts[2], float(confidence))

    def read_modes(self, cue: Float[Tensor, " word"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """How a cue reads: (share of the last turn's reading in where links start, forward, content, backward mode).

        The modes sum to 1. A cue close to a prototype ("And after that?") starts from what the last turn read and
        goes along the links; any other starts from its own content and lets a little of it spread to the neighbours.

        Source: read modes pi of Graves 2016; here a function of the cue's mean facet.
        """
        on, back = (self.follow_up_prototypes @ cue).max(), (self.look_back_prototypes @ cue).max()
        following = torch.sigmoid(self.mode_strength * (torch.maximum(on, back) - self.mode_threshold))
        ahead = torch.sigmoid(self.mode_strength * (on - back))
        far, proximity = following * self.follow_share, (1 - following) * self.link_share
        forward, backward = far * ahead + proximity, far * (1 - ahead) + proximity
        return following, forward, 1 - forward - backward, backward

    def note_read(self, state: EpisodicState, rows: Tensor, weights: Tensor) -> EpisodicState:
        """`note_read_`, on a copy."""
        copy = state.clone()
        self.note_read_(copy, rows, weights)
        return copy

    def note_read_(self, state: EpisodicState, rows: Int[Tensor, " read"], weights: Float[Tensor, " read"]) -> None:
        """Makes a reading part of the state: the next follow-up starts from it, and what was read is used more.

        Args:
            rows, weights: the strongest of a reading; at most `read` of them are kept. Their usage changes.
        """
        rows, weights = rows[: self.config.read], weights[: self.config.read].float()
        self.set_last_read_(state, rows, weights)
        allocation.use_(state, self.config, rows, weights, state.clock)

    def set_last_read_(self, state: EpisodicState, rows: Int[Tensor, " read"], weights: Float[Tensor, " read"]) -> None:
        """Sets where the next follow-up starts from, and nothing else."""
        state.read_slots.fill_(-1)[: len(rows)] = rows
        state.read_weights.zero_()[: len(rows)] = weights

    def restore_usage_(self, state: EpisodicState, row: int, read: Sequence[tuple[int, float]]) -> None:
        """Sets a row's usage to what its write and these readings alone make of it.

        Args:
            read: (clock, weight) of each reading that found the row, in order.
        """
        state.usage[row], state.touched[row], state.reads[row] = state.strength[row], state.source[row], 0
        place = state.clock.new_tensor([row])
        for clock, weight in read:
            allocation.use_(state, self.config, place, state.usage.new_tensor([weight]), state.clock * 0 + clock)

    # Forgetting

    def forget(self, state: EpisodicState, source: int) -> tuple[EpisodicState, Int[Tensor, " changed"]]:
        """`forget_`, on a copy."""
        copy = state.clone()
        return copy, self.forget_(copy, source)

    def forget_(self, state: EpisodicState, source: int) -> Int[Tensor, " changed"]:
        """Frees every row of a source and joins the links around it. Returns the rows that changed."""
        rows = (state.source == source).nonzero().squeeze(1)
        changed = [allocation.clear_(state, int(row)) for row in rows]
        every: Tensor = torch.unique(torch.cat([rows, *changed]))
        return every


def _pooled(facets: Float[Tensor, "pieces word"]) -> Float[Tensor, " word"]:
    return functional.normalize(facets.sum(0), dim=0)


def _scalar(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))
