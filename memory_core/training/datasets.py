"""The memories that recall is trained on and measured by, and what content addressing finds in them.

Conversations are gathered into pools, each pool is written into one memory as the service would write it, and each of
its questions becomes what the reader is given. It must not know how a reader is trained.
"""

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from memory_core import candidate_retrieval, reading, writing
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.message_features import feature_bits, features
from memory_core.reranker import RerankerInput
from memory_core.state import EpisodicState
from memory_core.training import everyday
from memory_core.training.conversations import UNANSWERABLE, Conversation, Question, Turn, read_conversations
from memory_core.training.everyday import EVERYDAY

LINES = "friendsqa"  # a set of short lines, each by somebody with a name, in scenes that are short too

Put = tuple[Question, frozenset[int], int]  # a question, the messages that answer it, and where the memory ends (or 0)


class RecallError(Exception):
    """A training that cannot go on; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class RecallTraining:
    """How the memory's recall is trained.

    Attributes:
        seed: of parameters, batches, invented dates and pools.
        sets: what is trained on, with the share of updates that each takes.
        held: of each set's memories, one in so many is kept out of training, to choose the best update by.
        steps, batch_size, rate: of the reader's updates: how many, questions each, and the step size (it falls to 0).
        scenes: conversations of the set `friendsqa` that make one memory.
        turns: of each set so many at most are written; its first memories are taken whole until then.
        sampled: turns of each set whose token states the map to facets is fitted to.
        stopword_mask: word pieces that all sets use most; they and other forms of their words take no room in a word.
        dated: share of the updates whose cues name the time of their evidence.
        late: share of these cues whose time is up to two of its lengths earlier: people tell of things afterwards.
        shuffled_context: share of the updates on `friendsqa` that take its lines for one user's, told in no order, as
            people tell an assistant this and that: the reader learns not to trust links where nothing hangs together.
        answerable: share of the questions asked of a memory that it can answer, as the confidence is to take it.
        patterns: of the sentences that the intents are learned from, one in so many is taken.
    """

    seed: int = 1
    sets: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"friendsqa": 5.0, "beam-train": 1.0, EVERYDAY: 0.5}
    )
    held: int = 8
    steps: int = 2_000
    batch_size: int = 16
    rate: float = 6e-3
    scenes: int = 20
    turns: int = 6_000
    sampled: int = 400
    stopword_mask: int = 60
    dated: float = 0.1
    late: float = 0.5
    shuffled_context: float = 0.15
    answerable: float = 0.75
    patterns: int = 1


class Dataset:
    """What is written into one memory, and what is asked of it.

    Attributes:
        turns: with when they were said.
        questions: those that it answers, and with an empty answer those known to have none.
        entity_swapped: questions that name a speaker, with the name of another of the same conversation in its place;
            what they ask of the one the other did, so that as a rule nothing answers them.
    """

    def __init__(self, name: str, conversations: Sequence[Conversation], chosen: random.Random) -> None:
        self.name = name
        self.turns: list[tuple[Turn, datetime]] = []
        self.questions: list[Put] = []
        self.entity_swapped: list[Put] = []
        exchanged = random.Random(f"{name} renamed")
        day = datetime(2021, 1, 1, 12, tzinfo=UTC) + timedelta(days=chosen.randrange(1_400))
        for conversation in conversations:
            numbers: dict[str, int] = {}
            begins: dict[str, int] = {}
            for turn in conversation.turns:
                if turn.session not in begins:  # where a set gives no dates, sessions lie some days apart
                    day += timedelta(days=chosen.randrange(1, 12))
                    begins[turn.session] = len(self.turns) + 1
                self.turns.append((turn, turn.at or day))
                numbers[turn.id] = len(self.turns)
            for question in conversation.questions:
                ends = begins.get(question.asked_in or "", len(self.turns) + 1)
                sources = frozenset(numbers[turn] for turn in question.evidence if numbers.get(turn, ends) < ends)
                until = ends if question.asked_in else 0
                if sources or question.category in UNANSWERABLE:
                    self.questions.append((question, sources, until))
                other = entity_swapped(question, conversation, exchanged) if sources else None
                if other:
                    self.entity_swapped.append((other, frozenset(), until))


def entity_swapped(question: Question, conversation: Conversation, chosen: random.Random) -> Question | None:
    """The question with the first speaker it names exchanged for another whom it does not name; None without both."""
    names = sorted({(turn.speaker or "").split(" ")[0] for turn in conversation.turns})
    places = {name: re.search(rf"\b{re.escape(name)}\b", question.text) for name in names if name.isalpha()}
    first = min((place for place in places.values() if place), key=lambda place: place.start(), default=None)
    others = [name for name, place in places.items() if not place]
    if not first or not others:
        return None
    text = re.sub(rf"\b{first.group()}\b", chosen.choice(others), question.text)
    return dataclasses.replace(question, text=text, evidence=frozenset())


def datasets(data: Path, name: str, training: RecallTraining, unanswerable: bool = False) -> list[Dataset]:
    """A set's conversations, gathered into memories.

    Args:
        unanswerable: whether their questions without an answer count too, with no evidence.
    """
    conversations = (
        everyday.conversations(training.seed) if name == EVERYDAY else read_conversations(data, name, unanswerable)
    )
    size = training.scenes if name == LINES else 1
    chosen = random.Random(f"{training.seed} {name}")
    grouped = (conversations[start : start + size] for start in range(0, len(conversations), size))
    gathered = [Dataset(f"{name}-{number}", group, chosen) for number, group in enumerate(grouped)]
    until = accumulate(len(dataset.turns) for dataset in gathered)
    return [
        dataset for dataset, turns in zip(gathered, until, strict=True) if dataset.questions and turns <= training.turns
    ]


def written(
    memory: EpisodicMemory,
    encoder: Encoder,
    dataset: Dataset,
    watch: Callable[[int], None] = lambda turns: None,
    capacity: int = 100_000,
    usage: Callable[[], float] | None = None,
) -> EpisodicState:
    """The pool's memory, as the service would have written it.

    Args:
        watch: told how many turns are written.
        usage: what a row's usage begins at, instead of the strength of its write.
    """
    state = memory.empty(capacity)
    for start in range(0, len(dataset.turns), 64):
        said = dataset.turns[start : start + 64]
        encoded = encoder.encode([header(turn.speaker, at) + turn.text for turn, at in said])
        for number, ((turn, at), utterance) in enumerate(zip(said, encoded, strict=True), start + 1):
            message_features = memory.message_features(turn.text, turn.speaker, turn.reply, at)
            gate = writing.precedence_gate(memory.config, turn.text, turn.reply)
            state, wrote = memory.write_(state, utterance, number, gate, message_features)
            if usage:
                state.usage[wrote.rows] = usage()
        watch(start + len(said))
    return state


def rows_asked_for(memory: EpisodicMemory, encoder: Encoder, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """What a write gate is fitted to: the features of the rows that a data set's turns take, 1 for each asked for."""
    told = frozenset[int]().union(*(sources for _, sources, _ in dataset.questions))
    stopword_mask = frozenset(memory.stopword_mask.nonzero().squeeze(1).tolist())
    rows, wanted = list[tuple[int, int, int]](), list[float]()
    cut = encoder.windows([header(turn.speaker, at) + turn.text for turn, at in dataset.turns])
    for number, ((turn, _), windows) in enumerate(zip(dataset.turns, cut, strict=True), start=1):
        bits = feature_bits(turn.text, turn.speaker, turn.reply)
        token_ids = [piece for window in windows for piece in window]
        counts = Counter(piece for piece in token_ids if piece not in stopword_mask) or Counter(token_ids)
        held = sum(min(count, memory.config.repeats) for count in counts.values())
        for part, start in enumerate(range(0, max(held, 1), memory.config.facets)):
            rows.append((bits, part, min(held - start, memory.config.facets)))
            wanted.append(float(number in told))
    return features(*torch.tensor(rows).T), torch.tensor(wanted)


@dataclasses.dataclass(frozen=True)
class RecallBatch:
    """All questions of one memory, as the reader is given them, and the right answers."""

    found: RerankerInput
    source: Tensor  # of each slot
    said_at: Tensor
    right: Tensor  # [questions, slots]
    categories: list[str]

    def some(self, index: Tensor) -> "RecallBatch":
        """Some of the questions."""
        of = ("content", "signals", "topic", "now", "allowed")
        found = self.found._replace(**{name: getattr(self.found, name)[index] for name in of})
        categories = [self.categories[number] for number in index.tolist()]
        return dataclasses.replace(self, found=found, right=self.right[index], categories=categories)


@torch.no_grad()
def build_batch(
    memory: EpisodicMemory,
    encoder: Encoder,
    dataset: Dataset,
    state: EpisodicState,
    questions: Sequence[Put] | None = None,
) -> RecallBatch:
    """What content addressing finds for each question of a pool, or for these others, in all slots."""
    questions = dataset.questions if questions is None else questions
    cues = encoder.encode([question.text for question, _, _ in questions])
    slots = (state.source > 0).nonzero().squeeze(1)
    whole, memory.config = memory.config, dataclasses.replace(memory.config, candidates=state.rows)
    source = state.source[slots]
    ends = source.new_tensor([end or len(dataset.turns) + 1 for _, _, end in questions])
    allowed = source < ends.unsqueeze(1)
    each = []
    for cue, may in zip(cues, allowed, strict=True):
        of = candidate_retrieval.retrieve(memory, state, cue)
        cosines = candidate_retrieval.cosines([state], [of])[0]
        there = may.unsqueeze(1)  # what was said later must not make its neighbours look better
        each.append(reading.found(memory, state, of._replace(exact=of.exact * there), cosines * there))
    memory.config = whole
    right = torch.stack([torch.isin(source, source.new_tensor(sorted(told))) for _, told, _ in questions])
    found = each[0]._replace(
        content=torch.cat([one.content for one in each]),
        signals=torch.cat([one.signals for one in each]),
        topic=torch.cat([one.topic for one in each]),
        now=torch.cat([one.now for one in each]),
        allowed=allowed & torch.cat([one.allowed for one in each]),
        exact=None,
        shares=None,
    )
    return RecallBatch(found, source, state.said_at[slots], right, [question.category for question, _, _ in questions])


def by_source(logits: Tensor, source: Tensor, allowed: Tensor) -> Tensor:
    """Log weights of messages out of those of their slots: [questions, messages], message 0 of weight 0."""
    top = logits.masked_fill(~allowed, -torch.inf).detach().amax(1, keepdim=True)
    each = torch.exp((logits - top).clamp(min=-60.0)).masked_fill(~allowed, 0.0)
    total = each.new_zeros(len(logits), int(source.max()) + 1).scatter_add(1, source.expand(len(logits), -1), each)
    return (total + 1e-30).log() + top
