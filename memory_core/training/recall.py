"""`mneme train recall`: the assistant's memory learns what to read, from conversations whose evidence is labelled.

First the encoder's map to facets is fitted to the conversations' token states; then every conversation is written into
a memory as the service writes it; then the reader is trained on the read weighting over all slots written so far, by
gradients through signals, gates, links and the second read. Each step leaves its result in the run's folder, so that a
run that was broken off goes on from the last one. It must never see a set marked evaluation only.
"""

import dataclasses
import json
import math
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing, weights
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicConfig, EpisodicMemory
from memory_core.follow_ups import OTHERS
from memory_core.manner import header
from memory_core.reader import SIGNALS, Found, Reader, evidence
from memory_core.state import EpisodicState
from memory_core.training.conversations import (
    EVALUATION_ONLY,
    UNANSWERABLE,
    UPDATES,
    Conversation,
    Question,
    Turn,
    read_conversations,
)
from memory_core.words import facet_cosines

CUTS = (1, 5, 10, 20)
_NEAR = SIGNALS.index("near")
_DAY = 86_400


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
        common: word pieces that all sets use most, which take no room in a word.
        dated: share of the updates whose cues name the time of their evidence.
        answerable: share of the questions asked of a memory that it can answer, as the confidence is to take it.
    """

    seed: int = 1
    sets: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"friendsqa": 6.0, "beam-train": 1.0, "realmem": 0.5}
    )
    held: int = 8
    steps: int = 1_500
    batch_size: int = 16
    rate: float = 6e-3
    scenes: int = 20
    turns: int = 6_000
    sampled: int = 400
    common: int = 60
    dated: float = 0.1
    answerable: float = 0.75


Put = tuple[Question, frozenset[int], int]  # a question, the messages that answer it, and where the memory ends (or 0)


class Pool:
    """What is written into one memory, and what is asked of it.

    Attributes:
        turns: with when they were said.
        questions: those that it answers, and with an empty answer those known to have none.
        renamed: questions that name a speaker, with the name of another of the same conversation in its place; what
            they ask of the one the other did, so that as a rule nothing answers them.
    """

    def __init__(self, name: str, conversations: Sequence[Conversation], chosen: random.Random) -> None:
        self.name = name
        self.turns: list[tuple[Turn, datetime]] = []
        self.questions: list[Put] = []
        self.renamed: list[Put] = []
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
                other = renamed(question, conversation, exchanged) if sources else None
                if other:
                    self.renamed.append((other, frozenset(), until))


def renamed(question: Question, conversation: Conversation, chosen: random.Random) -> Question | None:
    """The question with the first speaker it names exchanged for another whom it does not name; None without both."""
    names = sorted({(turn.speaker or "").split(" ")[0] for turn in conversation.turns})
    places = {name: re.search(rf"\b{re.escape(name)}\b", question.text) for name in names if name.isalpha()}
    first = min((place for place in places.values() if place), key=lambda place: place.start(), default=None)
    others = [name for name, place in places.items() if not place]
    if not first or not others:
        return None
    text = re.sub(rf"\b{first.group()}\b", chosen.choice(others), question.text)
    return dataclasses.replace(question, text=text, evidence=frozenset())


@dataclasses.dataclass(frozen=True)
class Asked:
    """All questions of one memory, as the reader is given them, and the right answers."""

    found: Found
    source: Tensor  # of each slot
    said_at: Tensor
    right: Tensor  # [questions, slots]
    categories: list[str]

    def some(self, index: Tensor) -> "Asked":
        """Some of the questions."""
        of = ("content", "signals", "topic", "now", "allowed")
        found = self.found._replace(**{name: getattr(self.found, name)[index] for name in of})
        categories = [self.categories[number] for number in index.tolist()]
        return dataclasses.replace(self, found=found, right=self.right[index], categories=categories)


def pools(data: Path, name: str, training: RecallTraining, unanswerable: bool = False) -> list[Pool]:
    """A set's conversations, gathered into memories.

    Args:
        unanswerable: whether their questions without an answer count too, with no evidence.
    """
    conversations = read_conversations(data, name, unanswerable)
    size = training.scenes if name == "friendsqa" else 1
    chosen = random.Random(f"{training.seed} {name}")
    grouped = (conversations[start : start + size] for start in range(0, len(conversations), size))
    gathered = [Pool(f"{name}-{number}", group, chosen) for number, group in enumerate(grouped)]
    until = accumulate(len(pool.turns) for pool in gathered)
    return [pool for pool, turns in zip(gathered, until, strict=True) if pool.questions and turns <= training.turns]


def fit_projection(encoder: Encoder, texts: Sequence[str], word: int, seed: int) -> dict[str, Tensor]:
    """The map to facets for texts like these: principal axes about their mean, evened out, and turned at random.

    Evened by the fourth root of their deviations, so that the many weaker axes count; turned (seeded), so that every
    dimension tells as much and its sign is worth a bit (Gong & Lazebnik 2011, iterative quantisation, its start).

    Raises:
        RecallError: fewer word pieces than a facet has dimensions.
    """
    states = torch.cat([_token_states(encoder, texts[start : start + 32]) for start in range(0, len(texts), 32)])
    if len(states) < word:
        raise RecallError(f"too little to train on: {len(states)} word pieces, at least {word} are needed")
    directions = functional.normalize(states, dim=-1)
    mean = directions.mean(0)
    _, deviations, axes = torch.linalg.svd(directions - mean, full_matrices=False)
    turned = torch.linalg.qr(torch.randn(word, word, generator=torch.Generator().manual_seed(seed)))[0]
    projection = (axes[:word].T * (deviations[:word] / deviations[0]) ** -0.25) @ turned
    return {"projection": projection.contiguous(), "centre": mean @ projection}


@torch.no_grad()
def _token_states(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    windows = [cut[0][:128] for cut in encoder.windows(texts) if cut[0]]
    padded = encoder.tokenizer.pad({"input_ids": windows}, return_tensors="pt").to(encoder.device)
    states = encoder.transformer(**padded).last_hidden_state.float()
    held: Tensor = states[padded["attention_mask"].bool()]
    return held


def common_pieces(encoder: Encoder, sets: Sequence[Sequence[str]], most: int) -> Tensor:
    """The word pieces found in the most texts of every set: those whose share has the greatest geometric mean."""
    shares = []
    for texts in sets:
        counts = torch.zeros(encoder.vocabulary)
        for cut in encoder.windows(texts):
            counts[sorted({piece for window in cut for piece in window})] += 1
        shares.append((counts / len(texts)).clamp(min=1e-9).log())
    chosen = torch.stack(shares).mean(0).topk(most).indices
    return torch.zeros(encoder.vocabulary, dtype=torch.bool).index_fill(0, chosen, True)


def written(
    memory: EpisodicMemory,
    encoder: Encoder,
    pool: Pool,
    watch: Callable[[int], None] = lambda turns: None,
    capacity: int = 100_000,
    gate: Callable[[str, bool], float] | None = None,
) -> EpisodicState:
    """The pool's memory, as the service would have written it, or by another write gate.

    Args:
        watch: told how many turns are written.
    """
    state, gate = memory.empty(capacity), gate or memory.write_gate
    for start in range(0, len(pool.turns), 64):
        said = pool.turns[start : start + 64]
        encoded = encoder.encode([header(turn.speaker, at) + turn.text for turn, at in said])
        for number, ((turn, at), utterance) in enumerate(zip(said, encoded, strict=True), start + 1):
            reply = turn.role == "assistant" and turn.speaker is None
            state, _ = memory.write_(
                state, utterance, number, gate(turn.text, reply), int(at.timestamp()),
                memory.manner(turn.text, turn.speaker, reply),
            )  # fmt: skip
        watch(start + len(said))
    return state


@torch.no_grad()
def asked(
    memory: EpisodicMemory, encoder: Encoder, pool: Pool, state: EpisodicState, questions: Sequence[Put] | None = None
) -> Asked:
    """What content addressing finds for each question of a pool, or for these others, in all slots."""
    questions = pool.questions if questions is None else questions
    cues = encoder.encode([question.text for question, _, _ in questions])
    slots = (state.source > 0).nonzero().squeeze(1)
    held = (state.pieces[slots] >= 0).unsqueeze(0)
    longest = int(held.sum(2).max())
    words = state.words[slots, :longest].unsqueeze(0)
    whole, memory.config = memory.config, dataclasses.replace(memory.config, candidates=state.rows)
    each = []
    for cue in cues:
        stage = memory.first_stage(state, cue, None, None)
        cosines = addressing.late_interaction(facet_cosines(stage.facets.unsqueeze(0), words), held[:, :, :longest])
        each.append(memory.found(state, stage, cosines[0]))
    memory.config = whole
    source = state.source[slots]
    right = torch.stack([torch.isin(source, source.new_tensor(sorted(told))) for _, told, _ in questions])
    ends = source.new_tensor([end or len(pool.turns) + 1 for _, _, end in questions])
    found = each[0]._replace(
        content=torch.cat([one.content for one in each]),
        signals=torch.cat([one.signals for one in each]),
        topic=torch.cat([one.topic for one in each]),
        now=torch.cat([one.now for one in each]),
        allowed=source < ends.unsqueeze(1),
    )
    return Asked(found, source, state.said_at[slots], right, [question.category for question, _, _ in questions])


def by_source(logits: Tensor, source: Tensor, allowed: Tensor) -> Tensor:
    """Log weights of messages out of those of their slots: [questions, messages], message 0 of weight 0."""
    top = logits.masked_fill(~allowed, -torch.inf).detach().amax(1, keepdim=True)
    each = torch.exp((logits - top).clamp(min=-60.0)).masked_fill(~allowed, 0.0)
    total = each.new_zeros(len(logits), int(source.max()) + 1).scatter_add(1, source.expand(len(logits), -1), each)
    return (total + 1e-30).log() + top


def loss(reader: Reader, of: Asked) -> Tensor:
    """How much the read weighting lacks at the evidence: each right message against all that are wrong, the mean."""
    logits = by_source(reader(of.found).logits, of.source, of.found.allowed)
    right = torch.zeros_like(logits).scatter_reduce(1, of.source.expand(len(logits), -1), of.right.float(), "amax")
    wrong = torch.logsumexp(logits.masked_fill(right > 0, -1e9), 1, keepdim=True)
    return ((functional.softplus(wrong - logits) * right).sum(1) / right.sum(1)).mean()


@torch.no_grad()
def measure(reader: Reader | None, sets: Sequence[Asked], at_once: int = 32) -> list[tuple[str, list[float], float]]:
    """Of each question its category, evidence recall at each of `CUTS`, and whether the first one is evidence."""
    measured = []
    for every in sets:
        for index in torch.split(torch.arange(len(every.right)), at_once):
            of = every.some(index)
            logits = of.found.content if reader is None else reader(of.found).logits
            ranked = torch.argsort(by_source(logits, of.source, of.found.allowed), dim=1, descending=True, stable=True)
            for number, order in zip(index.tolist(), ranked, strict=True):
                told = set(every.source[every.right[number]].tolist())
                hits = [len(told & set(order[:k].tolist())) / len(told) for k in CUTS]
                measured.append((every.categories[number], hits, float(int(order[0]) in told)))
    return measured


def train_reader(
    reader: Reader, sets: Mapping[str, list[Asked]], training: RecallTraining, watch: Callable[[int, float], None]
) -> Reader:
    """The reader after its updates; the sets are drawn by their shares, their memories by their questions."""
    chosen = random.Random(training.seed)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=training.rate, weight_decay=1e-2)
    names, drawn = list(sets), torch.Generator().manual_seed(training.seed)
    for step in range(training.steps):
        name = chosen.choices(names, [training.sets[name] for name in names])[0]
        memory = chosen.choices(sets[name], [len(one.right) for one in sets[name]])[0]
        batch = memory.some(torch.randperm(len(memory.right), generator=drawn)[: training.batch_size])
        if chosen.random() < training.dated:
            batch = _dated(batch, chosen)
        fall = 0.5 * (1 + math.cos(math.pi * step / training.steps))
        for group in optimiser.param_groups:
            group["lr"] = training.rate * min(1.0, (step + 1) / 30) * fall
        value = loss(reader, batch)
        if not torch.isfinite(value):
            raise RecallError(f"the loss is {float(value)} at update {step}: try a smaller --rate")
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        watch(step + 1, float(value.detach()))
    return reader


def _dated(batch: Asked, chosen: random.Random) -> Asked:
    """The batch with cues that name the day, week or month of their evidence."""
    near = []
    for row in batch.right:
        at, length = int(batch.said_at[row][0]), chosen.choice([_DAY, 7 * _DAY, 30 * _DAY])
        start = at - chosen.randrange(length)
        near.append(addressing.nearness(batch.said_at, (start, start + length)))
    signals = batch.found.signals.clone()
    signals[..., _NEAR] = torch.stack(near)
    return dataclasses.replace(batch, found=batch.found._replace(signals=signals))


@torch.no_grad()
def fit_renewal(reader: Reader, sets: Sequence[Asked]) -> None:
    """Sets from which similarity on a slot counts as telling what is asked, so that a later one comes first.

    The least of the sum of two costs: the share of the questions about what was updated that find the earlier statement
    first; and what the read weighting lacks at the evidence of all others that ask how something stands now.
    """
    asking = [
        every.some(index) for every in sets if len(index := (every.found.now & every.right.any(1)).nonzero()[:, 0])
    ]
    before = [reader(of.found).logits for of in asking]  # as yet no slot counts so
    costs = {}
    for threshold in torch.linspace(0.3, 0.7, 81).tolist():
        reader.renewal.fill_(threshold)
        updates, others = [], []
        for of, logits in zip(asking, before, strict=True):
            weights = by_source(reader.renewed(of.found, logits), of.source, of.found.allowed)
            for number, row in enumerate(weights):
                told = torch.unique(of.source[of.right[number]])
                if of.categories[number] not in UPDATES:
                    others.append(_lack(row, told))
                elif len(told) > 1:
                    updates.append((row[told[0]] >= row[told[1:]].max()).float())
        costs[threshold] = sum(float(torch.stack(each).mean()) for each in (updates, others) if each)
    reader.renewal.fill_(min(costs, key=costs.__getitem__) if costs else torch.inf)


def _lack(row: Tensor, told: Tensor) -> Tensor:
    wrong = torch.logsumexp(row.index_fill(0, told, -1e9), 0)
    return functional.softplus(wrong - row[told]).mean()


@torch.no_grad()
def updates(reader: Reader, sets: Sequence[Asked]) -> list[tuple[bool, bool]]:
    """Of each question about what was updated: is a later statement before the first, and are both of the first ten?"""
    measured = []
    for every in sets:
        for number, right in enumerate(every.right):
            told = torch.unique(every.source[right])
            if every.categories[number] in UPDATES and len(told) > 1:
                of = every.some(torch.tensor([number]))
                weights = by_source(reader(of.found).logits, of.source, of.found.allowed)[0]
                later = weights[told[1:]].max()
                first_ten = (weights > torch.minimum(later, weights[told[0]])).sum() < 10
                measured.append((bool(later > weights[told[0]]), bool(first_ten)))
    return measured


@torch.no_grad()
def evidences(
    reader: Reader, sets: Sequence[Asked], others: Sequence[Asked], answerable: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the confidence is fitted to and measured by, a row a reading.

    The questions as they are have an answer. The same ones of memories without their evidence have none, nor has what
    was said within three turns of it, which often tells the same; and the renamed questions have none.

    Args:
        sets, others: the questions of each memory, and those renamed.
        answerable: see `RecallTraining`.

    Returns:
        Evidence, 1 where there is an answer, 1 where the question was renamed, and weights that give those with an
        answer their share `answerable`.
    """
    rows, labels, exchanged = [], [], []

    def add(of: Found, label: float, other: float = 0.0) -> None:
        some = of.allowed.any(1)
        rows.append(evidence(of, reader(of))[some])
        labels.append(torch.full_like(rows[-1][:, 0], label))
        exchanged.append(torch.full_like(rows[-1][:, 0], other))

    for every in sets:
        for index in torch.split(torch.arange(len(every.right)), 32):
            of = every.some(index)
            told = [every.source[right] for right in of.right]
            gone = torch.stack([((every.source.unsqueeze(1) - one).abs() <= 3).any(1) for one in told])
            add(of.found, 1.0)
            add(of.found._replace(allowed=of.found.allowed & ~gone), 0.0)
    for every in others:
        for index in torch.split(torch.arange(len(every.right)), 32):
            add(every.some(index).found, 0.0, 1.0)
    truth = torch.cat(labels)
    weight = torch.where(truth > 0, answerable / truth.sum(), (1 - answerable) / (1 - truth).sum())
    return torch.cat(rows), truth, torch.cat(exchanged), weight


def calibrate(reader: Reader, sets: Sequence[Asked], others: Sequence[Asked], answerable: float) -> None:
    """Fits the confidence to `evidences`, by maximum likelihood with a little decay."""
    x, truth, _, weight = evidences(reader, sets, others, answerable)
    mean, deviation = x.mean(0), x.std(0).clamp(min=1e-3)
    first = reader.sure[0]
    assert isinstance(first, nn.Linear)
    optimiser = torch.optim.LBFGS(reader.sure.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = functional.binary_cross_entropy_with_logits(
            reader.sure((x - mean) / deviation).squeeze(-1), truth, weight, reduction="sum"
        )
        value = value + 1e-3 * sum(each.square().sum() for each in reader.sure.parameters() if each.dim() > 1)
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():  # of the numbers as they are
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)


@torch.no_grad()
def calibration(reader: Reader, sets: Sequence[Asked], others: Sequence[Asked], answerable: float) -> dict[str, float]:
    """How well the confidence tells questions with an answer from those without, and from those renamed alone."""
    x, truth, exchanged, weight = evidences(reader, sets, others, answerable)
    p = torch.sigmoid(reader.sure(x).squeeze(-1))
    figures = {"auroc": auroc(p[truth > 0], p[(truth == 0) & (exchanged == 0)])}
    if exchanged.any():
        figures["auroc, renamed"] = auroc(p[truth > 0], p[exchanged > 0])
    return figures | {"calibration_error": calibration_error(p, truth, weight=weight)}


def auroc(positive: Tensor, negative: Tensor) -> float:
    """How often a positive one has the greater value; equal ones count half."""
    greater = (positive.unsqueeze(1) > negative).float() + 0.5 * (positive.unsqueeze(1) == negative).float()
    return float(greater.mean())


def calibration_error(probability: Tensor, truth: Tensor, bins: int = 10, weight: Tensor | None = None) -> float:
    """Expected calibration error over bins of equal width, of cases that count as `weight` says or all the same.

    Source: Guo et al. 2017, eq. 5.
    """
    weight = torch.ones_like(probability) if weight is None else weight
    place = (probability * bins).long().clamp(max=bins - 1)
    off = probability.new_zeros(bins).index_add(0, place, (probability - truth) * weight)
    return float(off.abs().sum() / weight.sum())


def fit_modes(encoder: Encoder, memory: EpisodicMemory) -> None:
    """Sets from which likeness to a prototype on a cue follows the last reading: a logistic fit.

    The prototypes, each against all others, are what follows; questions that name what they ask for are what does not,
    and count ten times as much, for so many more of them are asked.
    """
    prototypes = torch.cat([memory.follow_ups, memory.look_backs])
    positive = (prototypes @ prototypes.T).fill_diagonal_(-1.0).amax(1)
    asking = [functional.normalize(cue.facets.sum(0), dim=0) for cue in encoder.encode(OTHERS)]
    negative = (torch.stack(asking) @ prototypes.T).amax(1)
    strength, fits = float(memory.mode_strength), {}
    for threshold in torch.linspace(0.3, 0.95, 131).tolist():
        missed = functional.softplus(-strength * (positive - threshold)).mean()
        mistaken = functional.softplus(strength * (negative - threshold)).mean()
        fits[threshold] = float(missed + 10 * mistaken)
    memory.mode_threshold.data.fill_(min(fits, key=fits.__getitem__))


def perform(
    data: Path,
    folder: Path,
    training: RecallTraining,
    watch: Callable[[str, int, int, float], None] = lambda stage, done, total, value: None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Trains, and writes weights, metrics and result into `folder`; what is there already is not made again.

    Returns:
        The result, as `result.json` has it.

    Raises:
        MissingData: a set is not there.
        RecallError: the folder holds another training's parts, or a set may not be trained on.
    """
    forbidden = sorted(EVALUATION_ONLY & set(training.sets))
    if forbidden:
        raise RecallError(f"{', '.join(forbidden)}: for evaluation only, never trained on")
    began = time.perf_counter()
    _claim(folder, training)
    torch.manual_seed(training.seed)
    encoder = Encoder(device=device)
    gathered = {name: pools(data, name, training) for name in training.sets}
    base = _stored(folder / "facets.safetensors", lambda: _facets(encoder, gathered, training, watch))
    encoder.projection, encoder.centre = base["projection"], base["centre"]
    memory = EpisodicMemory(encoder, EpisodicConfig())
    memory.reader, memory.common = None, base["common"]
    memory.link_share.data.zero_()
    turns = sum(len(pool.turns) for each in gathered.values() for pool in each)
    done, sets = 0, dict[str, list[Asked]]()
    others: tuple[list[Asked], list[Asked]] = [], []  # renamed questions: of the memories trained on, of those held
    for name, each in gathered.items():
        sets[name] = []
        for place, pool in enumerate(each):
            path = folder / f"{pool.name}.safetensors"
            if not path.is_file():
                at = done
                state = written(memory, encoder, pool, lambda n, at=at: watch("writing", at + n, turns, 0.0))  # type: ignore[misc]
                state.save(path)
            done += len(pool.turns)
            watch("writing", done, turns, 0.0)
            state = EpisodicState.load(path)
            sets[name].append(asked(memory, encoder, pool, state))
            if pool.renamed:
                others[place % training.held == 0].append(asked(memory, encoder, pool, state, pool.renamed))
    fit_modes(encoder, memory)
    kept = {name: [one for place, one in enumerate(each) if place % training.held] for name, each in sets.items()}
    held = {name: each[:: training.held] for name, each in sets.items()}
    torch.manual_seed(training.seed)
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as lines:

        def step(number: int, value: float) -> None:
            watch("training", number, training.steps, value)
            lines.write(json.dumps({"step": number, "loss": round(value, 5)}) + "\n")

        reader = train_reader(Reader(), {name: each for name, each in kept.items() if each}, training, step)
    fit_renewal(reader, [one for each in kept.values() for one in each])
    calibrate(reader, [one for each in kept.values() for one in each], others[0], training.answerable)
    confidence = calibration(reader, [one for each in held.values() for one in each], others[1], training.answerable)
    memory.reader = reader
    tensors = memory.state_dict() | {"projection": encoder.projection, "centre": encoder.centre}
    told = {"schema": weights.SCHEMA, "transformer": encoder.transformer_fingerprint(), "word": str(memory.config.word)}
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        folder / "recall.safetensors",
        told,
    )
    result: dict[str, Any] = {
        "training": _described(training),
        "seconds": round(time.perf_counter() - began),
        "confidence": confidence,
        "held": {name: summary(measure(reader, each)) for name, each in held.items()},
        "held, untrained": {name: summary(measure(None, each)) for name, each in held.items()},
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def summary(measured: Sequence[tuple[str, list[float], float]]) -> dict[str, float]:
    """Mean recall at each cut and hits at 1, in percent, and how many questions."""
    names = [f"recall@{k}" for k in CUTS]
    means = [100 * sum(hits[place] for _, hits, _ in measured) / len(measured) for place in range(len(CUTS))]
    first = 100 * sum(hit for _, _, hit in measured) / len(measured)
    return {**{n: round(m, 1) for n, m in zip(names, means, strict=True)}, "hit@1": round(first, 1),
            "questions": len(measured)}  # fmt: skip


def _facets(
    encoder: Encoder,
    gathered: Mapping[str, list[Pool]],
    training: RecallTraining,
    watch: Callable[[str, int, int, float], None],
) -> dict[str, Tensor]:
    watch("fitting the facets", 0, 1, 0.0)
    chosen = random.Random(training.seed)
    said = {name: [turn for pool in each for turn, _ in pool.turns] for name, each in gathered.items()}
    sample = [
        turn.spoken for turns in said.values() for turn in chosen.sample(turns, min(training.sampled, len(turns)))
    ]
    fitted = fit_projection(encoder, sample, EpisodicConfig().word, training.seed)
    texts = [[turn.text for turn in turns] for turns in said.values()]
    watch("fitting the facets", 1, 1, 0.0)
    return {**fitted, "common": common_pieces(encoder, texts, training.common)}


def _stored(path: Path, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    if not path.is_file():
        save_file(make(), path)
    return load_file(path)


def _claim(folder: Path, training: RecallTraining) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path, described = folder / "training.json", json.dumps(_described(training), indent=2) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != described:
        raise RecallError(f"{folder} holds the parts of another training ({path}): choose another folder with --out")
    path.write_text(described, encoding="utf-8")


def _described(training: RecallTraining) -> dict[str, object]:
    described: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(training)))
    return described
