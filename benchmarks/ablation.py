"""What each learned part of recall brings: the reader trained anew without it, measured on conversations it never saw.

Needs the folder that `mneme train recall` left, whose memories it reads. The whole reader is trained with several
seeds, the others with one; the memories stay those of the run. Beside the parts: content alone, and the figures by
category, on questions whose evidence shares no word piece with them too; and how well the confidence tells answerable
questions from others.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.serving import told_in_one_line
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.reranker import SIGNALS, Reranker, RerankerInput, own_signals
from memory_core.state import EpisodicState
from memory_core.training.calibration import auroc, calibrate, calibration_error, fit_recency_override, updates
from memory_core.training.conversations import DATA, UNANSWERABLE, MissingData
from memory_core.training.datasets import RecallBatch, RecallTraining, build_batch, datasets, written
from memory_core.training.fit_reader import VOICES, measure, summary, train_reader
from memory_core.training.recall import unread

SETS = ("locomo-dev", "longmemeval-pooled-dev", "beam-dev")
_MATCHED = SIGNALS.index("exact")


def _without_links(found: RerankerInput) -> RerankerInput:
    return found._replace(chain=torch.full_like(found.chain, len(found.chain)), signals=own_signals(found.signals))


def _without_voices(found: RerankerInput) -> RerankerInput:
    signals = found.signals.clone()
    signals[..., VOICES] = 0.0
    return found._replace(signals=signals)


def _without_gate(found: RerankerInput, memory: EpisodicMemory) -> RerankerInput:
    assert memory.write_gate is not None
    return found._replace(content=found.content - memory.write_gate(found.features).log())


WHOLE = "all parts"
PARTS: dict[str, Callable[[RerankerInput], RerankerInput]] = {
    WHOLE: lambda found: found,
    "without links (gates, neighbourhood)": _without_links,
    "without what slots match together": lambda found: found._replace(signals=own_signals(found.signals)),
    "without traits": lambda found: found._replace(features=torch.zeros_like(found.features)),
    "without who said it": _without_voices,
    "without renewal": lambda found: found._replace(now=torch.zeros_like(found.now)),
    "without the second read": lambda found: found._replace(keys=torch.zeros_like(found.keys)),
}
WITHOUT_LOOSE = "without loose lines in training"


def prepared(run: Path) -> tuple[Encoder, EpisodicMemory, RecallTraining]:
    """The encoder, the memory without a reader, and the training of a run."""
    told = json.loads((run / "training.json").read_text(encoding="utf-8"))
    encoder = Encoder()
    memory = unread(encoder, load_file(run / "written.safetensors"))
    return encoder, memory, RecallTraining(**told)


def table(
    sets: Mapping[str, list[RecallBatch]],
    dev: Mapping[str, list[RecallBatch]],
    memory: EpisodicMemory,
    training: RecallTraining,
    seeds: int,
) -> str:
    """A row a part; the whole reader's is the mean ± deviation over the seeds."""
    parts = PARTS | {"without the write gate": partial(_without_gate, memory=memory)}
    parts[WITHOUT_LOOSE] = PARTS[WHOLE]
    head = "| reader | " + " | ".join(f"{name} R@1 | R@5 | R@10" for name in dev) + " |"
    lines = [head, "| --- |" + " ---: |" * (3 * len(dev)), _row("content alone", [None], dev)]
    for part, change in parts.items():
        changed = {
            name: [dataclasses.replace(one, found=change(one.found)) for one in each] for name, each in sets.items()
        }
        measured = {
            name: [dataclasses.replace(one, found=change(one.found)) for one in each] for name, each in dev.items()
        }
        readers = []
        for seed in range(1, (seeds if part == WHOLE else 1) + 1):
            torch.manual_seed(seed)
            shuffled_context = 0.0 if part == WITHOUT_LOOSE else training.shuffled_context
            taught = dataclasses.replace(training, seed=seed, shuffled_context=shuffled_context)
            reader = train_reader(Reranker(), changed, taught, _quietly)
            fit_recency_override(reader, [one for each in changed.values() for one in each])
            readers.append(reader)
            print(f"{part}, seed {seed}", file=sys.stderr, flush=True)
        lines.append(_row(part, readers, measured))
    return "\n".join(lines)


def _quietly(step: int, loss: float) -> None:
    pass


def _row(label: str, readers: Sequence[Reranker | None], dev: Mapping[str, list[RecallBatch]]) -> str:
    cells = []
    for each in dev.values():
        figures = [summary(measure(reader, each)) for reader in readers]
        for cut in (1, 5, 10):
            values = [one[f"recall@{cut}"] for one in figures]
            spread = f" ± {statistics.stdev(values):.1f}" if values[1:] else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
    return f"| {label} | " + " | ".join(cells) + " |"


def categories(reader: Reranker, dev: Mapping[str, list[RecallBatch]]) -> str:
    """By category, and by whether the evidence shares a word piece with the question (common ones apart)."""
    lines = [
        "| set | questions | count | R@1 | R@5 | R@10 | hit@1 |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, each in dev.items():
        rows = measure(reader, each)
        shares = [
            bool((one.found.signals[number, :, _MATCHED][right] > 0).any())
            for one in each
            for number, right in enumerate(one.right)
        ]
        groups = {category: [row for row in rows if row[0] == category] for category in sorted({r[0] for r in rows})}
        groups["evidence shares no word"] = [row for row, some in zip(rows, shares, strict=True) if not some]
        for label, group in groups.items():
            if group:
                s = summary(group)
                values = " | ".join(str(s[key]) for key in ("recall@1", "recall@5", "recall@10", "hit@1"))
                lines.append(f"| {name} | {label} | {len(group)} | {values} |")
    return "\n".join(lines)


def updated(reader: Reranker, sets: Mapping[str, list[RecallBatch]]) -> str:
    """Of questions about what was updated: how often a later statement is before the first, and both in the first ten.

    Sets that a reader was trained on are among them.
    """
    lines = ["| set | updates | later first | both in ten |", "| --- | ---: | ---: | ---: |"]
    for name, each in sets.items():
        measured = updates(reader, each)
        if measured:
            later, both = (sum(column) for column in zip(*measured, strict=True))
            lines.append(f"| {name} | {len(measured)} | {later} | {both} |")
    return "\n".join(lines)


@torch.no_grad()
def confidence(
    reader: Reranker, encoder: Encoder, memory: EpisodicMemory, data: Path, states: Mapping[str, Path]
) -> str:
    """How well the confidence tells questions with an answer from those without one."""
    lines = ["| set | answerable | others | AUROC | calibration error |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, folder in states.items():
        confidence_head: dict[bool, list[float]] = {True: [], False: []}
        for dataset in datasets(data, name, RecallTraining(), unanswerable=True):
            every = build_batch(memory, encoder, dataset, EpisodicState.load(folder / f"{dataset.name}.safetensors"))
            for index in torch.split(torch.arange(len(every.right)), 32):
                of = every.some(index)
                told = reader.confidence(of.found, reader(of.found)).tolist()
                for number, p in zip(index.tolist(), told, strict=True):
                    confidence_head[every.categories[number] not in UNANSWERABLE].append(p)
        yes, no = torch.tensor(confidence_head[True]), torch.tensor(confidence_head[False])
        if len(no):
            truth = torch.cat([torch.ones(len(yes)), torch.zeros(len(no))])
            error = calibration_error(torch.cat([yes, no]), truth)
            lines.append(f"| {name} | {len(yes)} | {len(no)} | {auroc(yes, no):.3f} | {error:.3f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder that `mneme train recall` left")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="whole readers trained (default: %(default)s)")
    options = parser.parse_args(arguments)
    with told_in_one_line(MissingData, OSError):
        encoder, memory, training = prepared(options.run)
        every: dict[str, list[RecallBatch]] = {}
        entity_swapped: list[RecallBatch] = []
        for name in (*training.sets, *SETS):
            every[name] = []
            for place, dataset in enumerate(datasets(options.data, name, training)):
                path = options.run / f"{dataset.name}.safetensors"
                if not path.is_file():
                    written(memory, encoder, dataset).save(path)
                state = EpisodicState.load(path)
                every[name].append(build_batch(memory, encoder, dataset, state))
                if name in training.sets and place % training.held and dataset.entity_swapped:
                    entity_swapped.append(build_batch(memory, encoder, dataset, state, dataset.entity_swapped))
            print(name, file=sys.stderr, flush=True)
    sets = {name: [one for place, one in enumerate(every[name]) if place % training.held] for name in training.sets}
    dev = {name: every[name] for name in SETS}
    torch.manual_seed(training.seed)
    reader = train_reader(Reranker(), sets, training, _quietly)
    fit_recency_override(reader, [one for each in sets.values() for one in each])
    calibrate(reader, [one for each in sets.values() for one in each], entity_swapped, training.answerable)
    print(categories(reader, dev), "\n", flush=True)
    print(updated(reader, every), "\n", flush=True)
    print(confidence(reader, encoder, memory, options.data, dict.fromkeys(SETS, options.run)), "\n", flush=True)
    print(table(sets, dev, memory, training, options.seeds))


if __name__ == "__main__":
    main()
