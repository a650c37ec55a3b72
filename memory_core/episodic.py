"""The memory that the assistant uses: write an utterance, read with a cue.

A sparse DNC (Graves et al. 2016; Rae et al. 2016) whose words are sets of facets. A write takes allocated slots, one
for every `facets` word pieces, erases and fills them, and ties them to what was written before. A read addresses by
content among the candidates of a cheap first stage, follows the temporal links forward and backward, and mixes the
three weightings by read modes that depend on the cue and, once trained, on what the slots hold (see `reader`). When no
slot is free, a write shares one: its room is divided, and what was there keeps its rarest facets. For an encoder that
has no trained weights it works with the initial parameters below. It must never learn of users or databases: the caller
keeps the states, and names what it writes by numbers of its own ("sources").
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor, nn

from memory_core import addressing, allocation, candidate_retrieval, meaning, reading, weights
from memory_core.allocation import EpisodicConfig
from memory_core.binary_codes import encode_sentence, encode_word
from memory_core.candidate_retrieval import Alike, Candidates
from memory_core.encoder import Encoder, Utterance
from memory_core.language import VERSION
from memory_core.language.header import header, header_words
from memory_core.language.intents import INTENTS, Intents, intent_input
from memory_core.links import write_links_
from memory_core.meaning import Languages, Meaning
from memory_core.message_features import (
    EXPRESSLY,
    QUESTION_MARKS,
    MessageFeatures,
    feature_bits,
    features,
    learned_bits,
)
from memory_core.multilingual_encoder import MEANING, MultilingualEncoder
from memory_core.outdating import Outdating
from memory_core.read_mode_prototypes import FOLLOW_UPS, LOOK_BACKS
from memory_core.reading import Reading, pooled
from memory_core.reranker import Reranker
from memory_core.state import EpisodicState
from memory_core.succession import Succession
from memory_core.unknown_text import BUCKETS
from memory_core.write_gate import WriteGate

_PLAIN = MessageFeatures()
_DECIDED = 16.0  # how sharply a probability of a follow-up decides
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？؟])\s*(?=\S)")


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
        multilingual: the second encoder, for texts in any language; of use where trained weights know it.

    Attributes:
        languages: makes the meanings that utterances and cues are to have; None where there is no second encoder.

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
    header_pieces: Tensor

    def __init__(
        self,
        encoder: Encoder,
        config: EpisodicConfig | None = None,
        trained: bool = True,
        multilingual: MultilingualEncoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config or EpisodicConfig()
        self.vocabulary = encoder.vocabulary
        self._encoder = encoder.fingerprint()
        follow, back = encoder.encode(FOLLOW_UPS), encoder.encode(LOOK_BACKS)
        self.follow_up_prototypes = nn.Parameter(torch.stack([pooled(cue.facets) for cue in follow]))
        self.look_back_prototypes = nn.Parameter(torch.stack([pooled(cue.facets) for cue in back]))
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
        self._expressly = frozenset(self._pieces_of(" ".join(EXPRESSLY)))
        header_pieces = torch.zeros(self.vocabulary, dtype=torch.bool)
        header_pieces[[piece for cut in encoder.windows(header_words()) for window in cut for piece in window]] = True
        self.register_buffer("header_pieces", header_pieces, persistent=False)
        self.write_gate: WriteGate | None = None
        self.reranker: Reranker | None = None
        self.intents: Intents | None = None
        self.succession: Succession | None = None
        self.outdating: Outdating | None = None
        learned = weights.of(encoder.transformer_fingerprint(), self.config.word) if trained else None
        if learned:
            self.write_gate, self.reranker = WriteGate(), Reranker()
            self.intents = Intents()
            self.outdating = Outdating() if "outdating.threshold" in learned else None  # fitted last
            self.load_state_dict({name: learned[name] for name in self.state_dict()})
        self.meaning: Meaning | None = None
        self.languages: Languages | None = None
        if learned and multilingual is not None:
            self.meaning = meaning.load(encoder, multilingual.width)
        if multilingual is not None and self.meaning is not None:
            self.config = dataclasses.replace(self.config, meaning=multilingual.width)
            self.languages = Languages(multilingual, self.meaning)
        succeeds = weights.of(encoder.transformer_fingerprint(), self.config.word, weights.SUCCESSION)
        if trained and succeeds:
            self.succession = Succession(self.config.word)
            self.succession.load_state_dict(succeeds)
        self.requires_grad_(False).to(encoder.device)

    @property
    def device(self) -> torch.device:
        """Where the parameters are; states and cues must be there too."""
        return self.follow_up_prototypes.device

    def fingerprint(self) -> str:
        """Names all that decides what a log becomes: encoder, parameters, sizes, schema, rules of language.

        Equal folds, equal names.
        """
        digest = hashlib.sha256(f"{self._encoder} {EpisodicState.schema} {self.config} {VERSION}".encode())
        if self.languages is not None:
            digest.update(self.languages.encoder.fingerprint().encode())
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
        if not sentences[-1].endswith(QUESTION_MARKS):
            return 1.0
        asks_only = all(sentence.endswith(QUESTION_MARKS) for sentence in sentences)
        return self.config.question_gate if asks_only else self.config.asking_gate

    def message_features(
        self,
        text: str,
        speaker: str | None = None,
        reply: bool = False,
        at: datetime | None = None,
        event: tuple[int, int] = (0, 0),
    ) -> MessageFeatures:
        """How a text was said, as `write` takes it with the utterance of `header(speaker, at) + text`.

        Args:
            speaker: the name of who said it; its first word is the voice that a cue may name.
            reply: whether an assistant without a name said it.
            at: when it was said; without it the utterance has no header.
            event: see `MessageFeatures`.
        """
        name = (speaker or "").split()[:1]
        voice = tuple(self._pieces_of(name[0])[: self.config.speaker_tokens]) if name else ()
        before = 0 if at is None else len(self._pieces_of(header(speaker, at)))
        return MessageFeatures(
            feature_bits(text, speaker, reply), voice, 0 if at is None else int(at.timestamp()), before, event
        )

    def drop_stopwords(self, utterance: Utterance) -> Utterance:
        """The utterance without the pieces that all texts have (the, of, a comma); whole where it has no others.

        Of a piece that is repeated the first `repeats` stay: a message of one letter again and again takes one slot.
        """
        kept = self._kept(utterance)
        return Utterance(utterance.facets[kept], utterance.token_ids[kept])

    def _kept(self, utterance: Utterance) -> Bool[Tensor, " pieces"]:
        ids = utterance.token_ids.long()
        kept = ~self.stopword_mask[ids.clamp(min=0)] | (ids < 0)
        if not bool(kept.any()):
            kept = torch.ones_like(kept)
        if len(ids) > self.config.repeats:
            order = torch.argsort(ids, stable=True)
            firsts = torch.searchsorted(ids[order], ids[order])
            place = torch.empty_like(order)
            place[order] = torch.arange(len(ids), device=ids.device) - firsts
            kept &= (place < self.config.repeats) | (ids < 0)
        return kept

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
        intents = self.told_intents(utterance, message_features.header)
        bits = message_features.feature_bits | learned_bits(intents)
        kept = self._kept(utterance)
        parts = self.parts(int(kept.sum()), int(state.capacity))
        state.clock.fill_(source)
        precedence = 1.0 - (1.0 - gate) ** (1.0 / parts)  # all parts together leave (1 - gate) of it
        size = self.config.facets
        facets, token_ids = (torch.split(each[kept][: parts * size], size) for each in utterance[:2])
        sentences = self._sentences(utterance, kept, message_features.header, parts)
        meanings, foreign_share = self._meanings(utterance, message_features.header, parts)
        strengths = self._strengths(message_features.feature_bits, [len(each) for each in token_ids], gate)
        rows, narrowed, changed = [], [], []
        protected = (source, int(state.source.max()))
        for part, (held, named, strength) in enumerate(zip(facets, token_ids, strengths, strict=True)):
            state, row, cleared = allocation.allocate_(state, self.config, protected)
            state.feature_bits[row] = bits
            narrowed += allocation.fill_(state, self.config, row, encode_word(held), named)
            state.sentence[row], state.meaning[row] = sentences[part], meanings[part]
            state.source[row] = state.touched[row] = source
            state.part[row], state.said_at[row] = part, message_features.at
            state.event_from[row], state.event_to[row] = message_features.event
            voice = message_features.speaker_tokens
            state.speaker_tokens[row, : len(voice)] = state.speaker_tokens.new_tensor(voice)
            state.strength[row] = state.usage[row] = strength
            state.foreign_share[row] = foreign_share
            state.standing[row] = 0.0 if intents is None or part else intents["standing"]
            changed += [cleared, write_links_(state, row, precedence)]
            rows.append(row)
        taken, less = (torch.tensor(one, dtype=torch.int64, device=self.device) for one in (rows, narrowed))
        return state, Written(taken, less, torch.unique(torch.cat([taken, less, *changed])))

    def _sentences(
        self, utterance: Utterance, kept: Bool[Tensor, " pieces"], header: int, parts: int
    ) -> Int8[Tensor, "parts word"]:
        """The sentence key of each part: the direction of the mean facet of all that was said there, stopwords too."""
        part = ((kept.cumsum(0) - 1).clamp(min=0) // self.config.facets).clamp(max=parts - 1)
        said = utterance.facets.new_ones(len(part))
        if header < len(part):
            said[:header] = 0.0
        total = utterance.facets.new_zeros(parts, self.config.word).index_add_(
            0, part, utterance.facets * said.unsqueeze(1)
        )
        return encode_sentence(total)

    def _meanings(self, utterance: Utterance, header: int, parts: int) -> tuple[Int8[Tensor, "parts meaning"], float]:
        """What each part means in any language, and how foreign the utterance is to the first encoder."""
        if self.meaning is None:
            return torch.zeros(parts, self.config.meaning, dtype=torch.int8, device=self.device), 0.0
        return self.meaning.parts(utterance, header, parts)

    def _strengths(self, bits: int, held: Sequence[int], gate: float) -> list[float]:
        """How strongly an utterance's rows are written: by the precedence gate, times the learned write gate if any.

        By both, for in an assistant's memory who asks twice wants the answer, not the first asking.

        Args:
            held: how many facets each row takes.
        """
        if self.write_gate is None:
            return [gate] * len(held)
        parts, counts = torch.arange(len(held), device=self.device), torch.tensor(held, device=self.device)
        learned = self.write_gate(features(torch.full_like(parts, bits), parts, counts))
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
        cues: Sequence[Utterance | Sequence[Utterance]],
        among: Sequence[Bool[Tensor, " slots"] | None] | None = None,
        spans: Sequence[tuple[int, int] | None] | None = None,
    ) -> list[Reading]:
        """Reads memories, changing nothing; each reading depends on its own state and cues alone.

        Args:
            states, cues: one of each a reading. Of a long cue the rarest `cue` word pieces count. Where a reading has
                several cues (the question of a long turn, the whole turn), each is read and the readings are mixed.
            among: where given, the slots that content may address.
            spans: where given, the time that the cue speaks of, from when to when, in seconds since 1970: what was
                said then counts as more like it, by `time_share`.
        """
        none = [None] * len(states)
        each = [[cue] if isinstance(cue, Utterance) else list(cue) for cue in cues]
        counts = [len(several) for several in each]
        queries = [
            (state, cue, may, span)
            for state, several, may, span in zip(states, each, among or none, spans or none, strict=True)
            for cue in several
        ]
        found = [self.retrieve_candidates(*query) for query in queries]
        of = [state for state, *_ in queries]
        cosines = candidate_retrieval.cosines(of, found)
        readings = iter([reading.weigh(self, *one) for one in zip(of, found, cosines, strict=True)])
        return [reading.mixed(list(islice(readings, count)), self.config.read) for count in counts]

    def retrieve_candidates(
        self, state: EpisodicState, cue: Utterance, among: Tensor | None, span: tuple[int, int] | None
    ) -> Candidates:
        """The candidates of one reading; see `read`."""
        lemma_ids, used = self.lemma_ids.long(), state.source > 0
        terms = candidate_retrieval.terms(state, self.drop_stopwords(cue), lemma_ids, self.config.cue)
        allowed = used if among is None else used & among
        near = torch.zeros_like(state.usage)
        if span is not None:
            said = addressing.temporal_proximity(state.said_at, state.said_at, span)
            told = addressing.temporal_proximity(state.event_from, state.event_to, span)
            near = torch.where(state.event_to > 0, torch.maximum(said, told), said)
        slots = candidate_retrieval.rows(
            state, terms, allowed, self.time_share * near, self.lexical, lemma_ids, self.config
        )
        alike = self._alike(state, cue)
        if alike is not None:
            slots = candidate_retrieval.with_likest(slots, alike.cosines, allowed, self.config)
            alike = alike.at(slots)
        held = state.token_ids.index_select(0, slots)
        exact = addressing.exact_matches(lemma_ids[terms.token_ids], lemma_ids[held], self.vocabulary)
        return Candidates(
            slots,
            terms,
            exact,
            near[slots],
            pooled(cue.facets),
            cue.token_ids,
            span is not None,
            self.told_intents(cue),
            alike,
        )

    def is_foreign(self, state: EpisodicState, cue: Utterance) -> bool:
        """Whether a cue is to have a meaning: something foreign to the first encoder is in play."""
        if self.meaning is None:
            return False
        return self.meaning.foreign_share(cue.token_ids) > 0.0 or bool((state.foreign_share > 0.0).any())

    def _alike(self, state: EpisodicState, cue: Utterance) -> Alike | None:
        """How like the cue's meaning those of all slots are; None where nothing foreign is in play."""
        if self.meaning is None or cue.meanings is None or not len(cue.meanings) or not self.is_foreign(state, cue):
            return None
        cosines = self.meaning.cosines(state.meaning, cue.meanings[:, MEANING].mean(0))
        return Alike(cosines, self.meaning.foreign_share(cue.token_ids), state.foreign_share)

    def told_intents(self, utterance: Utterance, header: int = 0) -> dict[str, float] | None:
        """What a text wants or does, as probabilities by name (see `language.intents`); None where nothing is trained.

        Args:
            header: how many of its first token ids stand before the text.
        """
        said = utterance.token_ids[header:]
        if self.intents is None or not len(said) or bool((said < 0).any()):
            return None
        told = self.intents(intent_input(utterance, header, self.vocabulary).unsqueeze(0))[0]
        if bool((said >= self.vocabulary - BUCKETS).float().mean() > 0.5):  # nothing was learned of such text
            told = torch.zeros_like(told)
        foreign = self.meaning.intents(utterance, header) if self.meaning else None
        if foreign is not None:
            by_form, share = foreign
            told = torch.lerp(told, by_form, share)
        return dict(zip(INTENTS, told.tolist(), strict=True))

    def asks_of_now(self, of: Candidates, named: bool) -> bool:
        """Whether a cue asks how something stands now.

        Args:
            named: whether it names a speaker of the memory. Where people talk with each other a later remark that
                fits is as a rule more of the same talk and makes nothing outdated; then it must ask expressly.
        """
        if of.intents is None:
            return False
        return of.intents["asks_of_now"] > 0.5 and (not named or bool(self._expressly & set(of.named.tolist())))

    def read_modes(
        self, cue: Float[Tensor, " word"], intents: Mapping[str, float] | None = None
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
            on, back = (self.follow_up_prototypes @ cue).max(), (self.look_back_prototypes @ cue).max()
            following = torch.sigmoid(self.mode_strength * (torch.maximum(on, back) - self.mode_threshold))
            ahead = torch.sigmoid(self.mode_strength * (on - back))
        else:
            on, back = (cue.new_tensor(intents[f"follow_up_{way}"]) for way in ("forward", "backward"))
            following = torch.sigmoid(_DECIDED * (torch.maximum(on, back) - 0.5))
            ahead = torch.sigmoid(_DECIDED * (on - back))
        far, near = following * self.follow_share, (1 - following) * self.link_share
        forward, backward = far * ahead + near, far * (1 - ahead) + near
        return following, forward, 1 - forward - backward, backward

    def note_read(self, state: EpisodicState, rows: Tensor, weights: Tensor) -> EpisodicState:
        """`note_read_`, on a copy."""
        copy = state.clone()
        self.note_read_(copy, rows, weights)
        return copy

    def note_read_(self, state: EpisodicState, rows: Int[Tensor, " read"], weights: Float[Tensor, " read"]) -> None:
        """Makes a reading part of the state: the next follow-up starts from it, and what was read is used more.

        Args:
            rows, weights: of a reading, the strongest first. Their usage changes; a follow-up starts from the first
                `read` of them.
        """
        self.set_last_read_(state, rows, weights)
        allocation.use_(state, self.config, rows, weights.float(), state.clock)

    def set_last_read_(self, state: EpisodicState, rows: Int[Tensor, " read"], weights: Float[Tensor, " read"]) -> None:
        """Sets where the next follow-up starts from, and nothing else."""
        rows, weights = rows[: self.config.read], weights[: self.config.read].float()
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


def _scalar(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))
