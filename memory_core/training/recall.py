"""`mneme train recall`: the assistant's memory learns what to read, from conversations whose evidence is labelled.

First the encoder's map to facets is fitted to the conversations' token states, and the write gate to which messages are
asked for; then every conversation is written into a memory as the service writes it; then the reader is trained on the
read weighting over all slots written so far, by gradients through signals, gates, links and the second read. Each step
leaves its result in the run's folder, so that a run that was broken off goes on from the last one. It must never see a
set marked evaluation only.
"""

import dataclasses
import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from memory_core import weights
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.intents import Intents
from memory_core.reranker import Reranker
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
    Dataset,
    RecallBatch,
    RecallError,
    RecallTraining,
    build_batch,
    datasets,
    rows_asked_for,
    written,
)
from memory_core.training.fit_facets import fit_projection, stopword_pieces, word_lemmas
from memory_core.training.fit_intents import PREFIX as INTENTS
from memory_core.training.fit_intents import talk, tensors_of, train_intents
from memory_core.training.fit_reader import measure, summary, train_reader
from memory_core.write_gate import WriteGate

_GATE = "write_gate."


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
    others: tuple[list[RecallBatch], list[RecallBatch]] = ([], [])  # entity-swapped: of those trained on, of those held
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
            name: (tensor.half() if name.startswith(INTENTS) else tensor).detach().cpu().contiguous()
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
    intents = {name.removeprefix(INTENTS): tensor for name, tensor in base.items() if name.startswith(INTENTS)}
    if intents:
        memory.intents = Intents().requires_grad_(False)
        memory.intents.load_state_dict(intents)
    return memory


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
