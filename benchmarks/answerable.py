"""How well it is told which questions a conversation answers: by the memory, by the language model, and by both.

`python -m benchmarks.answerable --set locomo-dev`. Each conversation is written into a memory; its questions, and those
that it does not answer, are read, and the packaged model is asked whether what was recalled tells what each asks, in
the service's own prompt (`app/assistant/note_check.py`). Figures: AUROC, and the expected calibration error where three
in four questions have an answer.
"""

import argparse
import asyncio
import dataclasses
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from app.assistant.embedded import EmbeddedModel
from app.assistant.generator import Generator
from app.assistant.models import model_path
from app.assistant.note_check import CALIBRATIONS, NO, YES, check_prompt
from app.memories.trace import grouped, recollected
from app.settings import Settings
from app.store.log import Message
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.training.calibration import auroc, calibration_error
from memory_core.training.conversations import DATA, UNANSWERABLE
from memory_core.training.datasets import Dataset, Put, RecallTraining, datasets, written

_K = 8
_CONTEXT = 4096
_ANSWERABLE = 0.75  # share of the questions asked of a memory that it can answer


@dataclasses.dataclass(frozen=True)
class Told:
    """What was told of one question."""

    answerable: bool
    known: float
    odds: float


def has_answer(put: Put) -> bool:
    """Whether the conversation answers a question."""
    return put[0].category not in UNANSWERABLE


def chosen(of: Sequence[Dataset], most: int, seed: int) -> Iterator[tuple[Dataset, list[Put]]]:
    """At most so many questions with an answer and so many without, of all memories, by memory."""
    drawn = random.Random(seed)
    kept = set[int]()
    for answerable in (True, False):
        questions = [put for dataset in of for put in dataset.questions if has_answer(put) is answerable]
        kept |= {id(put) for put in drawn.sample(questions, min(most, len(questions)))}
    for dataset in of:
        yield dataset, [put for put in dataset.questions if id(put) in kept and not put[2]]


async def ask(generator: Generator, of: Sequence[Dataset], most: int, seed: int) -> list[Told]:
    """Reads and asks each question."""
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    found: list[Told] = []
    for dataset, questions in chosen(of, most, seed):
        if not questions:
            continue
        state = written(memory, encoder, dataset)
        messages = {
            number: Message(number, str(number), turn.session, turn.role, turn.text, at, turn.speaker)
            for number, (turn, at) in enumerate(dataset.turns, 1)
        }
        for put in questions:
            question = put[0]
            (cue,) = encoder.encode([question.text])
            (reading,) = memory.read([state], [cue])
            recalled = recollected(grouped(reading, state, _K), messages, int(state.capacity))
            prompt = [dataclasses.asdict(one) for one in check_prompt(recalled, [], question.text, _CONTEXT)]
            odds = await generator.odds(prompt, YES, NO)
            found.append(Told(has_answer(put), reading.confidence, odds or 0.0))
            print(f"\r{len(found)} asked", end="", file=sys.stderr, flush=True)
    return found


def table(found: Sequence[Told], seconds: float) -> str:
    """The figures of each confidence."""
    truth = torch.tensor([float(one.answerable) for one in found])
    share = torch.where(truth > 0, _ANSWERABLE / truth.sum(), (1 - _ANSWERABLE) / (1 - truth).sum())
    both = CALIBRATIONS["packaged"]
    columns = {
        "memory": [one.known for one in found],
        "language model": [1.0 / (1.0 + math.exp(-one.odds)) for one in found],
        "both": [both.confidence(one.odds, one.known) for one in found],
    }
    lines = ["| confidence | AUROC | calibration error |", "| --- | ---: | ---: |"]
    for name, values in columns.items():
        p = torch.tensor(values)
        error = calibration_error(p, truth, weight=share)
        lines.append(f"| {name} | {auroc(p[truth > 0], p[truth == 0]):.3f} | {error:.3f} |")
    kinds = f"{int(truth.sum())} questions with an answer, {int((1 - truth).sum())} without"
    return "\n".join([*lines, f"{kinds}; {seconds / max(len(found), 1):.2f} s a question"])


async def main() -> None:
    """Asks, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answerable", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--set", default="locomo-dev")
    parser.add_argument("--most", type=int, default=60, help="questions with an answer, and without")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = Settings(generator="packaged")
    of = datasets(options.data, options.set, RecallTraining(turns=10**9), unanswerable=True)
    model = EmbeddedModel(model_path("packaged", settings.models), context=_CONTEXT, parallel=1)
    generator = Generator(model.url, model.api_key, "default", 120, model.revive, model.marks, model.parallel)
    try:
        began = time.perf_counter()
        found = await ask(generator, of, options.most, options.seed)
        print(file=sys.stderr)
        print(table(found, time.perf_counter() - began))
    finally:
        await generator.aclose()
        model.close()


if __name__ == "__main__":
    asyncio.run(main())
