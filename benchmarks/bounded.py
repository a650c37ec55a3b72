"""What a memory keeps that has slots for a part of the turns only, beside first in first out and random eviction.

Each conversation is written into a memory without a bound, and into ones whose capacity is a share of the slots that it
took; then the same questions are read. Random eviction draws each slot's usage; first in, first out writes all alike.
Each is measured with slots that messages share and with a slot to every message.
"""

import argparse
import dataclasses
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.serving import told_in_one_line
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState
from memory_core.training.conversations import DATA, MissingData
from memory_core.training.datasets import Dataset, RecallTraining, datasets, written

KEPT = 10  # recall is counted at so many
Usage = Callable[[], float]


def recalled(memory: EpisodicMemory, encoder: Encoder, dataset: Dataset, state: EpisodicState) -> float:
    """Mean evidence recall at `KEPT`, in percent."""
    total = 0.0
    for (_, told, _), cue in zip(
        dataset.questions, encoder.encode([q.text for q, _, _ in dataset.questions]), strict=True
    ):
        reading = memory.read([state], [cue])[0]
        weights: dict[int, float] = {}
        for source, weight in zip(state.source[reading.rows].tolist(), reading.weights.tolist(), strict=True):
            weights[source] = weights.get(source, 0.0) + weight
        best = sorted(weights, key=lambda source: -weights[source])[:KEPT]
        total += len(told & set(best)) / len(told)
    return 100 * total / len(dataset.questions)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounded", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--set", default="locomo-dev", help="which of them (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.25, help="slots, of those taken (default: %(default)s)")
    options = parser.parse_args(arguments)
    with told_in_one_line(MissingData):
        gathered = datasets(options.data, options.set, RecallTraining())
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    chosen = random.Random(1)
    policies: dict[str, Usage | None] = {
        "Mneme (write gate, usage)": None,
        "first in, first out": lambda: 1.0,
        "random": lambda: chosen.uniform(0.01, 1.0),
    }
    shared = memory.config.sharing
    kinds = {
        f"{name}{', slots shared' if sharing > 1 else ''}": (usage, sharing)
        for sharing in (shared, 1)
        for name, usage in policies.items()
    }
    totals = dict.fromkeys(["without a bound", *kinds], 0.0)
    questions = sum(len(dataset.questions) for dataset in gathered)
    for dataset in gathered:
        whole = written(memory, encoder, dataset)
        share, capacity = len(dataset.questions) / questions, round(options.share * whole.slots_used)
        totals["without a bound"] += share * recalled(memory, encoder, dataset, whole)
        for name, (usage, sharing) in kinds.items():
            memory.config = dataclasses.replace(memory.config, sharing=sharing)
            state = written(memory, encoder, dataset, capacity=capacity, usage=usage)
            totals[name] += share * recalled(memory, encoder, dataset, state)
        memory.config = dataclasses.replace(memory.config, sharing=shared)
        print(dataset.name, file=sys.stderr, flush=True)
    print(f"{options.set}, {questions} questions, slots for {options.share:.0%} of what was written\n")
    print(f"| memory | R@{KEPT} | of the unbounded |\n| --- | ---: | ---: |")
    for name, value in totals.items():
        print(f"| {name} | {value:.1f} | {value / totals['without a bound']:.0%} |")


if __name__ == "__main__":
    main()
