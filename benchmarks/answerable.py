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
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
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
from memory_core.state import EpisodicState
from memory_core.training.calibration import auroc, calibration_error
from memory_core.training.conversations import DATA, UNANSWERABLE, Question
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


def has_answer(question: Question) -> bool:
    """Whether the conversation answers a question."""
    return question.category not in UNANSWERABLE


def chosen(of: Sequence[Dataset], most: int, seed: int) -> Iterator[tuple[Dataset, list[Put]]]:
    """At most so many questions with an answer and so many without, of all memories, by memory."""
    drawn = random.Random(seed)
    kept = set[int]()
    for answerable in (True, False):
        questions = [put for dataset in of for put in dataset.questions if has_answer(put[0]) is answerable]
        kept |= {id(put) for put in drawn.sample(questions, min(most, len(questions)))}
    for dataset in of:
        yield dataset, [put for put in dataset.questions if id(put) in kept and not put[2]]


async def asked(
    generator: Generator,
    memory: EpisodicMemory,
    encoder: Encoder,
    dataset: Dataset,
    state: EpisodicState,
    questions: Sequence[Question],
) -> AsyncIterator[tuple[Question, float, float]]:
    """Each question with the memory's confidence and the language model's log odds that what is recalled tells it."""
    messages = {
        number: Message(number, str(number), turn.session, turn.role, turn.text, at, turn.speaker)
        for number, (turn, at) in enumerate(dataset.turns, 1)
    }
    for question in questions:
        (reading,) = memory.read([state], encoder.encode([question.text]))
        recalled = recollected(grouped(reading, state, _K), messages, int(state.capacity))
        prompt = [dataclasses.asdict(one) for one in check_prompt(recalled, [], question.text, _CONTEXT)]
        yield question, reading.confidence, await generator.odds(prompt, YES, NO) or 0.0


@asynccontextmanager
async def generator_of(settings: Settings) -> AsyncIterator[Generator]:
    """A packaged model, which runs for the while."""
    path = model_path(settings.generator, settings.models)
    model = EmbeddedModel(path, context=_CONTEXT, parallel=1)
    generator = Generator(model.url, model.api_key, "default", 120, model.revive, model.marks, model.parallel)
    try:
        yield generator
    finally:
        await generator.aclose()
        model.close()


async def ask(generator: Generator, of: Sequence[Dataset], most: int, seed: int) -> list[Told]:
    """Reads and asks each question."""
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    found: list[Told] = []
    for dataset, puts in chosen(of, most, seed):
        if not puts:
            continue
        state, questions = written(memory, encoder, dataset), [question for question, *_ in puts]
        async for question, known, odds in asked(generator, memory, encoder, dataset, state, questions):
            found.append(Told(has_answer(question), known, odds))
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
    async with generator_of(settings) as generator:
        began = time.perf_counter()
        found = await ask(generator, of, options.most, options.seed)
    print(file=sys.stderr)
    print(table(found, time.perf_counter() - began))


if __name__ == "__main__":
    asyncio.run(main())
