"""Fits what `app.assistant.note_check.CALIBRATIONS` holds for a packaged model, and says how well it tells.

`python -m benchmarks.calibrate_check --generator packaged`. Users told facts among chatter; they ask for these in other
words, for another thing of the same form or another detail (`near_misses.txt`), and for what was never told. The model
is asked as the service asks it. The log odds of the memory's confidence count `_KNOWN` of the model's own: fitted
freely they would count nothing here, where most of what has no answer is what the memory cannot tell.
"""

import argparse
import asyncio
import dataclasses
import math
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from app.assistant.generator import Generator
from app.assistant.note_check import Calibration
from app.settings import Settings
from benchmarks.answerable import asked, generator_of
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.training.calibration import auroc, minimise_loss
from memory_core.training.conversations import Conversation, Question, Turn
from memory_core.training.datasets import Dataset, written
from memory_core.training.everyday import lines

NEAR = Path(__file__).with_name("near_misses.txt")
ANSWERED, NEAR_MISS, ABSENT = "answered", "near miss", "absent"
_A_MEMORY, _FACTS, _CHATTER, _ASKED, _ABSENT = 10, 25, 45, 4, 3
_KNOWN = 0.2
_FITTED, _ASSUMED = 0.75, 0.9  # shares of the questions that have an answer: as weighed in the fit, and as in use


@dataclasses.dataclass(frozen=True)
class Told:
    """What was told of one question: of which kind it is, the memory's confidence, and the model's log odds."""

    kind: str
    known: float
    odds: float

    @property
    def both(self) -> float:
        """What the logistic regression sees."""
        return self.odds + _KNOWN * math.log(self.known / (1.0 - self.known))


def conversations() -> Iterator[Conversation]:
    """The users, each with what they tell and what they ask."""
    drawn = random.Random(3)
    pairs = [line.split(" | ") for line in NEAR.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    every = list(lines("facts"))
    for start in range(0, len(pairs), _A_MEMORY):
        group = pairs[start : start + _A_MEMORY]
        facts = drawn.sample(every, _FACTS)
        texts = [*dict.fromkeys(told for told, *_ in group), *(fact for fact, *_ in facts)]
        texts += [text for (text,) in drawn.sample(list(lines("chatter")), _CHATTER)]
        drawn.shuffle(texts)
        at, turns, number = datetime(2024, 1, 8, 8, tzinfo=UTC), list[Turn](), dict[str, str]()
        for place, text in enumerate(texts, 1):
            at += timedelta(minutes=drawn.choice((1, 3, 40, 300, 900)))
            turns.append(Turn(str(place), f"{at:%Y-%m-%d}", "user", None, at, text))
            number[text] = str(place)
        asked = list[Question]()
        for told, right, near in group:
            if drawn.random() < 0.5:
                asked.append(Question(right, frozenset({number[told]}), ANSWERED, None))
            asked.append(Question(near, frozenset({number[told]}), NEAR_MISS, None))
        for fact, *questions in facts[:_ASKED]:
            one = questions[drawn.randrange(len(questions))]
            asked.append(Question(one, frozenset({number[fact]}), ANSWERED, None))
        others = [fact for fact in every if fact not in facts]
        asked += [Question(one[1], frozenset({"1"}), ABSENT, None) for one in drawn.sample(others, _ABSENT)]
        yield Conversation(f"near-{start}", turns, asked)


async def ask(generator: Generator) -> list[Told]:
    """Reads and asks each question."""
    encoder, found = Encoder(), list[Told]()
    memory = EpisodicMemory(encoder)
    for conversation in conversations():
        dataset = Dataset(conversation.id, [conversation], random.Random(1))
        state = written(memory, encoder, dataset, capacity=1000)
        questions = [question for question, *_ in dataset.questions]
        async for question, known, odds in asked(generator, memory, encoder, dataset, state, questions):
            found.append(Told(question.category, known, odds))
            print(f"\r{len(found)} asked", end="", file=sys.stderr, flush=True)
    return found


def fit(found: list[Told]) -> Calibration:
    """The logistic regression of greatest likelihood, for `_ASSUMED` of the questions having an answer."""
    seen, truth = (
        torch.tensor([one.both for one in found]),
        torch.tensor([float(one.kind == ANSWERED) for one in found]),
    )
    weight = torch.where(truth > 0, _FITTED / truth.sum(), (1 - _FITTED) / (1 - truth).sum())
    parameters = torch.zeros(2, requires_grad=True)

    def loss() -> Tensor:
        logits = parameters[0] * seen + parameters[1]
        return functional.binary_cross_entropy_with_logits(logits, truth, weight, reduction="sum")

    minimise_loss(loss, [parameters])
    slope, bias = parameters.tolist()
    more = math.log(_ASSUMED / (1 - _ASSUMED)) - math.log(_FITTED / (1 - _FITTED))
    return Calibration(round(slope, 2), round(_KNOWN * slope, 2), round(bias + more, 2))


def table(found: list[Told], calibration: Calibration, doubt_below: float) -> str:
    """How well each confidence tells, and how many of each kind are declined."""
    yes, no = ([one for one in found if (one.kind == ANSWERED) is answered] for answered in (True, False))
    lines = ["| confidence | AUROC |", "| --- | ---: |"]
    for name, column in {"memory": "known", "language model": "odds", "both": "both"}.items():
        right, wrong = (torch.tensor([getattr(one, column) for one in each]) for each in (yes, no))
        lines.append(f"| {name} | {auroc(right, wrong):.3f} |")
    for kind in (ANSWERED, NEAR_MISS, ABSENT):
        mine = [one for one in found if one.kind == kind]
        now = sum(calibration.confidence(one.odds, one.known) < doubt_below for one in mine)
        before = sum(one.known < doubt_below for one in mine)
        lines.append(f"declined of {len(mine)} {kind}: {now}; by the memory alone {before}")
    return "\n".join([*lines, str(calibration)])


async def main() -> None:
    """Asks, fits, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate_check", description=__doc__)
    parser.add_argument("--generator", choices=["packaged", "small"], default="packaged")
    options = parser.parse_args()
    settings = Settings(generator=options.generator)
    async with generator_of(settings) as generator:
        found = await ask(generator)
    print(file=sys.stderr)
    print(table(found, fit(found), settings.doubt_below))


if __name__ == "__main__":
    asyncio.run(main())
