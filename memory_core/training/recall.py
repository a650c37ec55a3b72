"""`mneme train recall`: the assistant's memory learns what to read, from conversations whose evidence is labelled.

First the encoder's map to facets is fitted to the conversations' token states, and the write gate to which messages are
asked for; then every conversation is written into a memory as the service writes it; then the reader is trained on the
read weighting over all slots written so far, by gradients through signals, gates, links and the second read. Each step
leaves its result in the run's folder, so that a run that was broken off goes on from the last one. It must never see a
set marked evaluation only.
"""

import dataclasses
import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing, weights
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.intents import Intents
from memory_core.message_features import FEATURE_NAMES
from memory_core.reranker import SIGNALS, WINDOW, Reranker, own_signals
from memory_core.state import EpisodicState
from memory_core.training import fit_outdating
from memory_core.training.calibration import (
    calibrate,
    calibration,
    fit_modes,
    fit_recency_override,
    fit_write_gate,
)
from memory_core.training.conversations import EVALUATION_ONLY, UPDATES
from memory_core.training.datasets import (
    LINES,
    Dataset,
    RecallBatch,
    RecallTraining,
    build_batch,
    by_source,
    datasets,
    rows_asked_for,
    written,
)  # fmt: skip
from memory_core.training.fit_intents import talk, tensors_of, train_intents
from memory_core.write_gate import WriteGate

CUTS = (1, 5, 10, 20)
_NEAR = SIGNALS.index("near")
VOICES = [SIGNALS.index("speaker_tokens"), SIGNALS.index("other voice")]
_PERSON = [FEATURE_NAMES.index("reply"), FEATURE_NAMES.index("named")]
_DAY = 86_400
_GATE, _INTENTS = "write_gate.", "intents."
_DECIDING = (  # frequent words that turn what is asked for into its opposite, or are all that is asked for
    "not", "no", "don", "didn", "doesn", "isn", "wasn", "weren", "aren", "won", "nt", "can", "like", "likes", "liked",
    "know", "knows", "knew", "time", "times",
)  # fmt: skip


class RecallError(Exception):
    """A training that cannot go on; the message says why and what to do."""


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
    padded = encoder.tokenizer.pad({"input_ids": windows}, return_tensors="pt")
    states = encoder.states(padded)
    held: Tensor = states[padded["attention_mask"].bool().to(states.device)]
    return held


def stopword_pieces(encoder: Encoder, sets: Sequence[Sequence[str]], most: int, lemma_ids: Tensor) -> Tensor:
    """The word pieces found in the most texts of every set, and other forms of the same words (do: did, does).

    Args:
        most: how many are found in the most: those whose share of the texts has the greatest geometric mean.
        lemma_ids: see `word_lemmas`.
    """
    shares = []
    for texts in sets:
        counts = torch.zeros(encoder.vocabulary)
        for cut in encoder.windows(texts):
            counts[sorted({piece for window in cut for piece in window})] += 1
        shares.append((counts / len(texts)).clamp(min=1e-9).log())
    chosen = torch.stack(shares).mean(0).topk(most).indices
    found = torch.isin(lemma_ids[:-1], lemma_ids[chosen])
    found[[piece for window in encoder.windows([" ".join(_DECIDING)])[0] for piece in window]] = False
    return found


def word_lemmas(spellings: Sequence[str]) -> Tensor:
    """Of each word piece the first one that is a form of the same word (go: went, goes, going), and -1 after the last.

    Args:
        spellings: of all pieces. Those that are no whole English word stand for themselves.

    Raises:
        RecallError: simplemma, which knows the forms, is not installed.
    """
    try:
        import simplemma
    except ImportError:
        raise RecallError("simplemma is not installed: pip install 'mneme[train]'") from None
    first: dict[str, int] = {}
    lemma_ids = list(range(len(spellings)))
    for piece, spelling in enumerate(spellings):
        if len(spelling) > 1 and spelling.isascii() and spelling.isalpha():
            lemma_ids[piece] = first.setdefault(simplemma.lemmatize(spelling, lang="en").lower(), piece)
    return torch.tensor([*lemma_ids, -1], dtype=torch.int32)


def loss(reader: Reranker, of: RecallBatch) -> Tensor:
    """How much the read weighting lacks at the evidence: each right message against all that are wrong, the mean."""
    logits = by_source(reader(of.found).logits, of.source, of.found.allowed)
    right = torch.zeros_like(logits).scatter_reduce(1, of.source.expand(len(logits), -1), of.right.float(), "amax")
    wrong = torch.logsumexp(logits.masked_fill(right > 0, -1e9), 1, keepdim=True)
    return ((functional.softplus(wrong - logits) * right).sum(1) / right.sum(1)).mean()


@torch.no_grad()
def measure(
    reader: Reranker | None, sets: Sequence[RecallBatch], at_once: int = 32
) -> list[tuple[str, list[float], float]]:
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
    reader: Reranker,
    sets: Mapping[str, list[RecallBatch]],
    training: RecallTraining,
    watch: Callable[[int, float], None],
) -> Reranker:
    """The reader after its updates; the sets are drawn by their shares, their memories by their questions."""
    chosen = random.Random(training.seed)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=training.rate, weight_decay=1e-2)
    names, drawn = list(sets), torch.Generator().manual_seed(training.seed)
    for step in range(training.steps):
        name = chosen.choices(names, [training.sets[name] for name in names])[0]
        memory = chosen.choices(sets[name], [len(one.right) for one in sets[name]])[0]
        batch = memory.some(torch.randperm(len(memory.right), generator=drawn)[: training.batch_size])
        if chosen.random() < training.dated:
            batch = _dated(batch, training.late, chosen)
        if name == LINES and chosen.random() < training.shuffled_context:
            batch = _with_shuffled_context(batch, drawn)
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


def _dated(batch: RecallBatch, late: float, chosen: random.Random) -> RecallBatch:
    """The batch with cues that name the day, week or month of their evidence, or one a little before it."""
    near = []
    for row in batch.right:
        at, length = int(batch.said_at[row][0]), chosen.choice([_DAY, 7 * _DAY, 30 * _DAY])
        start = at - chosen.randrange(length)
        if chosen.random() < late:
            start -= chosen.randrange(2 * length)
        near.append(addressing.temporal_proximity(batch.said_at, batch.said_at, (start, start + length)))
    signals = batch.found.signals.clone()
    signals[..., _NEAR] = torch.stack(near)
    return dataclasses.replace(batch, found=batch.found._replace(signals=signals))


def _with_shuffled_context(batch: RecallBatch, drawn: torch.Generator) -> RecallBatch:
    """The batch as if one user without a name had said all of it, in another order, no line helping those beside it."""
    found, slots = batch.found, len(batch.source)
    order = torch.randperm(slots, generator=drawn)
    steps = torch.arange(1, WINDOW + 1)
    place = order.argsort().unsqueeze(1) + torch.cat([-steps, steps])
    there = (place >= 0) & (place < slots)
    chain = torch.where(there, order[place.clamp(0, slots - 1)], slots)
    features, signals = found.features.clone(), found.signals.clone()
    features[:, _PERSON] = 0.0
    signals[..., VOICES] = 0.0
    speaker = torch.zeros_like(found.speaker)
    shuffled_context = found._replace(chain=chain, features=features, signals=own_signals(signals), speaker=speaker)
    return dataclasses.replace(batch, found=shuffled_context)


def train(
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
    gathered = {name: datasets(data, name, training) for name in training.sets}
    base = _stored(folder / "written.safetensors", lambda: _how_written(encoder, gathered, training, watch))
    memory = unread(encoder, base)
    turns = sum(len(dataset.turns) for each in gathered.values() for dataset in each)
    done, sets = 0, dict[str, list[RecallBatch]]()
    others: tuple[list[RecallBatch], list[RecallBatch]] = (
        [],
        [],
    )  # renamed questions: of the memories trained on, of those held
    for name, each in gathered.items():
        sets[name] = []
        for place, dataset in enumerate(each):
            path = folder / f"{dataset.name}.safetensors"
            if not path.is_file():
                at = done
                state = written(memory, encoder, dataset, lambda n, at=at: watch("writing", at + n, turns, 0.0))  # type: ignore[misc]
                state.save(path)
            done += len(dataset.turns)
            watch("writing", done, turns, 0.0)
            state = EpisodicState.load(path)
            sets[name].append(build_batch(memory, encoder, dataset, state))
            if dataset.entity_swapped:
                others[place % training.held == 0].append(
                    build_batch(memory, encoder, dataset, state, dataset.entity_swapped)
                )
    fit_modes(encoder, memory)
    kept = {name: [one for place, one in enumerate(each) if place % training.held] for name, each in sets.items()}
    held = {name: each[:: training.held] for name, each in sets.items()}
    torch.manual_seed(training.seed)
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as lines:

        def step(number: int, value: float) -> None:
            watch("training", number, training.steps, value)
            lines.write(json.dumps({"step": number, "loss": round(value, 5)}) + "\n")

        reader = train_reader(Reranker(), {name: each for name, each in kept.items() if each}, training, step)
    fit_recency_override(reader, [one for each in kept.values() for one in each])
    calibrate(reader, [one for each in kept.values() for one in each], others[0], training.answerable)
    confidence = calibration(reader, [one for each in held.values() for one in each], others[1], training.answerable)
    memory.reranker = reader
    memory.outdating = fit_outdating.fit(
        fit_outdating.pairs_of(
            memory,
            encoder,
            (
                (dataset, EpisodicState.load(folder / f"{dataset.name}.safetensors"))
                for each in gathered.values()
                for place, dataset in enumerate(each)
                if place % training.held and any(one.category in UPDATES for one, _, _ in dataset.questions)
            ),
        ),
        training.seed,
    )
    tensors = memory.state_dict() | {"projection": encoder.projection, "centre": encoder.centre}
    told = {"schema": weights.SCHEMA, "transformer": encoder.transformer_fingerprint(), "word": str(memory.config.word)}
    save_file(
        {
            name: (tensor.half() if name.startswith(_INTENTS) else tensor).detach().cpu().contiguous()
            for name, tensor in tensors.items()
        },
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


def unread(encoder: Encoder, base: Mapping[str, Tensor]) -> EpisodicMemory:
    """The memory as it is written before it has a reader.

    Args:
        encoder: given the map to facets.
        base: what a run has in `written.safetensors`.
    """
    encoder.projection, encoder.centre = base["projection"], base["centre"]
    memory = EpisodicMemory(encoder, trained=False)
    memory.stopword_mask, memory.lemma_ids = base["stopword_mask"], base["lemma_ids"]
    memory.link_share.data.zero_()
    gate = {name.removeprefix(_GATE): tensor for name, tensor in base.items() if name.startswith(_GATE)}
    if gate:
        memory.write_gate = WriteGate().requires_grad_(False)
        memory.write_gate.load_state_dict(gate)
    intents = {name.removeprefix(_INTENTS): tensor for name, tensor in base.items() if name.startswith(_INTENTS)}
    if intents:
        memory.intents = Intents().requires_grad_(False)
        memory.intents.load_state_dict(intents)
    return memory


def summary(measured: Sequence[tuple[str, list[float], float]]) -> dict[str, float]:
    """Mean recall at each cut and hits at 1, in percent, and how many questions."""
    names = [f"recall@{k}" for k in CUTS]
    means = [100 * sum(hits[place] for _, hits, _ in measured) / len(measured) for place in range(len(CUTS))]
    first = 100 * sum(hit for _, _, hit in measured) / len(measured)
    return {**{n: round(m, 1) for n, m in zip(names, means, strict=True)}, "hit@1": round(first, 1),
            "questions": len(measured)}  # fmt: skip


def _how_written(
    encoder: Encoder,
    gathered: Mapping[str, list[Dataset]],
    training: RecallTraining,
    watch: Callable[[str, int, int, float], None],
) -> dict[str, Tensor]:
    watch("fitting the facets", 0, 1, 0.0)
    chosen = random.Random(training.seed)
    said = {name: [turn for dataset in each for turn, _ in dataset.turns] for name, each in gathered.items()}
    sample = [
        turn.spoken for turns in said.values() for turn in chosen.sample(turns, min(training.sampled, len(turns)))
    ]
    calibration = fit_projection(encoder, sample, EpisodicConfig().word, training.seed)
    texts = [[turn.text for turn in turns] for turns in said.values()]
    lemma_ids = word_lemmas(encoder.names(torch.arange(encoder.vocabulary)))
    base = {
        **calibration,
        "stopword_mask": stopword_pieces(encoder, texts, training.stopword_mask, lemma_ids),
        "lemma_ids": lemma_ids,
    }
    watch("fitting the facets", 1, 1, 0.0)
    memory = unread(encoder, base)
    sets = []
    for each in gathered.values():
        kept = [dataset for place, dataset in enumerate(each) if place % training.held]
        rows, wanted = zip(*(rows_asked_for(memory, encoder, dataset) for dataset in kept), strict=True)
        sets.append((torch.cat(rows), torch.cat(wanted)))
    gate = fit_write_gate(sets)
    people = {
        name: [turn for place, dataset in enumerate(each) if place % training.held for turn, _ in dataset.turns]
        for name, each in gathered.items()
    }
    talked = talk(people, training.seed)[:: training.patterns]
    intents, _ = train_intents(encoder, talked, training.seed, watch, training.patterns)
    return base | tensors_of(intents) | {_GATE + name: tensor.detach() for name, tensor in gate.state_dict().items()}


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
