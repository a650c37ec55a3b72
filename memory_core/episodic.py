"""The memory that the assistant uses: write an utterance, read with a cue.

A sparse DNC (Graves et al. 2016; Rae et al. 2016) whose words are sets of facets. A write takes allocated slots, one
for every `facets` word pieces, erases and fills them, and ties them to what was written before. A read addresses by
content among the candidates of a cheap first stage, follows the temporal links forward and backward, and mixes the
three weightings by read modes that depend on the cue and, once trained, on what the slots hold (see `reading`). When no
slot is free, a write shares one: its room is divided, and what was there keeps its rarest facets. For an encoder that
has no trained weights it works with the initial parameters below. It must never learn of users or databases: the caller
keeps the states, and names what it writes by numbers of its own ("sources").
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from memory_core import allocation, candidate_retrieval, meaning, reading, weights, writing
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder, Utterance
from memory_core.language import VERSION
from memory_core.language.header import header, header_words
from memory_core.language.intents import INTENTS, Intents, intent_input
from memory_core.meaning import Languages, Meaning
from memory_core.message_features import EXPRESSLY, MessageFeatures, feature_bits
from memory_core.multilingual_encoder import MultilingualEncoder
from memory_core.outdating import Outdating
from memory_core.read_mode_prototypes import FOLLOW_UPS, LOOK_BACKS
from memory_core.reading import Reading
from memory_core.reranker import Reranker
from memory_core.state import EpisodicState
from memory_core.succession import Succession
from memory_core.unknown_text import BUCKETS
from memory_core.write_gate import WriteGate
from memory_core.writing import Written

_PLAIN = MessageFeatures()


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
        self.follow_up_prototypes = nn.Parameter(torch.stack([cue.pooled for cue in follow]))
        self.look_back_prototypes = nn.Parameter(torch.stack([cue.pooled for cue in back]))
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
        self.expressly = frozenset(self._pieces_of(" ".join(EXPRESSLY)))
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
            message_features: how and when it was said.

        Returns:
            The state to go on with, and what changed. An utterance longer than `writing.slots_of` allows is cut.
        """
        return writing.write_(self, state, utterance, source, gate, message_features)

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
        found = [candidate_retrieval.retrieve(self, *query) for query in queries]
        of = [state for state, *_ in queries]
        cosines = candidate_retrieval.cosines(of, found)
        readings = iter([reading.weigh(self, *one) for one in zip(of, found, cosines, strict=True)])
        return [reading.mixed(list(islice(readings, count)), self.config.read) for count in counts]

    def is_foreign(self, state: EpisodicState, cue: Utterance) -> bool:
        """Whether a cue is to have a meaning: something foreign to the first encoder is in play."""
        if self.meaning is None:
            return False
        return self.meaning.foreign_share(cue.token_ids) > 0.0 or bool((state.foreign_share > 0.0).any())

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
        allocation.use_(state, rows, weights.float(), state.clock)

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
            allocation.use_(state, place, state.usage.new_tensor([weight]), state.clock * 0 + clock)

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
