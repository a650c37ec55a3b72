"""The bAbI tasks as a lesson: one network learns all twenty jointly, without being told which is which.

Where the training file of task 3 is a part only, made stories take its place (`memory_core.stories.carrying`); the part
is not trained on but held back whole, so that what is validated is never made. Of every other task one story in twenty
is held back. Test files are for `measure` alone.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memory_core.stories import babi, carrying
from memory_core.stories.answering import weights_of
from memory_core.stories.babi import Story
from memory_core.stories.corpus import Corpus, StoryBatch, Vocabulary
from memory_core.training.babi_course import COURSE, STEPS, Stage, stage_of
from memory_core.training.checkpoint import Notes
from memory_core.training.learner import Learner
from memory_core.training.metrics import Figures

_HELD_EVERY = 20  # stories
_ROUND = 0.25  # of the stories are drawn before it is decided anew which tasks need them
_WANTED = 0.05  # a task with a larger share of wrong answers is drawn in full
_LEAST = 0.1  # of a task that is known
_MOST = 32  # stories of a batch: those of few sentences learn by many small updates, long ones cost by the sentence
_MEMORY = 300  # questions over which a task's share of wrong answers is told
MADE = 2_000  # stories of task 3
_PLACE = ("updates", "stage", "round", "place")  # in the course
FAILED = 0.05  # a task with a larger error counts as failed (Weston et al. 2015)


@dataclasses.dataclass(frozen=True)
class Stories:
    """What is trained on, held back and tested on, packed."""

    vocabulary: Vocabulary
    train: Corpus
    held: Corpus
    test: Corpus
    made: bool  # whether task 3's training stories are


def prepare(folder: Path, seed: int, made: int = MADE) -> Stories:
    """Reads the tasks and divides them.

    Args:
        seed: of which stories are held back, and of those that are made.
        made: how many, where they are.

    Raises:
        MissingStories: the folder has not all of the tasks.
    """
    files = babi.read(folder)
    train: list[Story] = []
    held: list[Story] = []
    test = [story for task in babi.TASKS for story in babi.parse(files.test[task], task)]
    for task in babi.TASKS:
        told = [story for story in babi.parse(files.train[task], task) if story.questions]
        if task in files.partial:
            held += told
            train += carrying.stories(seed, made)
            continue
        order = np.random.default_rng([seed, task]).permutation(len(told))
        held += [told[number] for number in order[::_HELD_EVERY]]
        train += [told[number] for place, number in enumerate(order) if place % _HELD_EVERY]
    vocabulary = Vocabulary.of([*train, *held])
    packed, back, tested = (Corpus(each, vocabulary) for each in (train, held, test))
    return Stories(vocabulary, packed, back, tested, carrying.TASK in files.partial)


class BabiLesson:
    """Teaches a reader the tasks in the order of a course; those with more wrong answers are drawn more often.

    A round draws a quarter of the stories, of each task in proportion to its share of wrong answers in training, which
    needs no story held back. A stage of the course begins with a round.
    """

    def __init__(
        self,
        learner: Learner,
        stories: Stories,
        seed: int,
        size: int,
        keep: Callable[[], None] = lambda: None,
        sample: int = 100,
        steps: int = STEPS,
        course: Sequence[Stage] = COURSE,
    ) -> None:
        """
        Args:
            size: of a batch; see `Corpus.batches`.
            keep: called when the network is better than ever on what is held back.
            sample: questions of each task that a validation asks.
            steps: updates of the whole course.
        """
        self._learner, self._network, self._seed, self._size = learner, learner.network, seed, size
        self._train, self._course, self._steps = stories.train, course, steps
        self._held, self._sample = stories.held, _sampled(stories.held, sample)
        self._wrong = dict.fromkeys(babi.TASKS, 1.0)
        self._drawn = dict(self._wrong)  # the shares by which this round was drawn
        self._updates, self._stage, self._round, self._place = 0, 0, 0, 0
        self._groups: list[np.ndarray] | None = None
        self._keep = keep
        self.best, self.questions = 1.0, 0

    @property
    def learnt(self) -> bool:
        """Never: it ends with the number of updates."""
        return False

    def loss(self, generator: torch.Generator) -> Tensor:
        """Nats a question."""
        batch = self._next()
        self._updates += 1
        logits, _ = self._network(batch)
        costs = functional.cross_entropy(logits.flatten(0, 2), batch.answer.flatten(), reduction="none")
        costs = costs.view(batch.answer.shape).sum(-1)
        self._note(batch, right(logits, batch))
        self.questions += int(batch.there.sum())
        return (costs * batch.there).sum() / batch.there.sum()

    def validate(self) -> Figures:
        """The mean share of wrong answers over the tasks, in a sample of what is held back, and each task's."""
        errors = measure(self._network, self._held, self._sample)
        mean = float(np.mean(list(errors.values())))
        if mean <= self.best:
            self.best = mean
            self._keep()
        return {"error": mean, "round": self._round} | {f"task{task}": error for task, error in errors.items()}

    def notes(self) -> Notes:
        told = {"wrong": self._wrong, "drawn": self._drawn}
        shares = {name: {str(task): share for task, share in of.items()} for name, of in told.items()}
        return (
            shares
            | {"best": self.best, "questions": self.questions}
            | {name: getattr(self, f"_{name}") for name in _PLACE}
        )

    def take_up(self, notes: Notes) -> None:
        self._wrong = {int(task): share for task, share in notes["wrong"].items()}
        self._drawn = {int(task): share for task, share in notes["drawn"].items()}
        self.best, self.questions = notes["best"], notes["questions"]
        for name in _PLACE:
            setattr(self, f"_{name}", notes[name])
        self._groups = None

    def _next(self) -> StoryBatch:
        if self._groups is None:
            self._groups = self._draw()
        stage = stage_of(self._course, self._updates / self._steps)
        while self._place == len(self._groups) or stage != self._stage:
            self._stage, self._round, self._place, self._drawn = stage, self._round + 1, 0, dict(self._wrong)
            self._groups = self._draw()
        self._learner.pace = self._course[stage].reads
        self._place += 1
        return self._train.batch(self._groups[self._place - 1])

    def _draw(self) -> list[np.ndarray]:
        random, stage = np.random.default_rng([self._seed, self._round]), self._course[self._stage]
        chance = np.zeros(max(babi.TASKS) + 1)
        for task in stage.tasks:
            chance[task] = _ROUND * min(1.0, max(_LEAST, self._drawn[task] / _WANTED))
        rows = np.flatnonzero(random.random(len(self._train)) < chance[self._train.tasks])
        return self._train.grouped(random, self._size, rows, _MOST)

    def _note(self, batch: StoryBatch, correct: Tensor) -> None:
        for task in torch.unique(batch.task[batch.there]).tolist():
            of = batch.there & (batch.task == task)
            kept = (1.0 - 1.0 / _MEMORY) ** int(of.sum())
            self._wrong[task] = kept * self._wrong[task] + (1.0 - kept) * (1.0 - float(correct[of].float().mean()))


def right(logits: Tensor, batch: StoryBatch) -> Tensor:
    """Which questions are answered right: every word of the answer, in its order, and no more."""
    correct: Tensor = (logits.argmax(-1) == batch.answer).all(-1)
    return correct


@torch.no_grad()
def measure(
    network: torch.nn.Module, corpus: Corpus, rows: np.ndarray | None = None, size: int = 3_000
) -> dict[int, float]:
    """The share of wrong answers of each task."""
    training = network.training
    network.eval()
    wrong, asked = dict.fromkeys(babi.TASKS, 0), dict.fromkeys(babi.TASKS, 0)
    for batch in corpus.batches(None, size, rows):
        logits, _ = network(batch)
        correct = right(logits, batch)
        for task in torch.unique(batch.task[batch.there]).tolist():
            of = batch.there & (batch.task == task)
            asked[task] += int(of.sum())
            wrong[task] += int((~correct[of]).sum())
    network.train(training)
    return {task: wrong[task] / asked[task] for task in babi.TASKS if asked[task]}


@torch.no_grad()
def supported(network: torch.nn.Module, corpus: Corpus, size: int = 3_000) -> float | None:
    """The share of questions all of whose k annotated sentences are among the k + 1 that were read most, in %.

    Returns:
        None for a network that has no reads.
    """
    found = asked = 0
    for batch in corpus.batches(None, size):
        _, followed = network(batch)
        if not followed.shape[2]:
            return None
        weights, needed = weights_of(followed), batch.supporting.sum(-1)
        rank = weights.argsort(-1, descending=True).argsort(-1)
        among = (rank <= needed.unsqueeze(-1)) | ~batch.supporting
        counted = batch.there & (needed > 0)
        found += int((among.all(-1) & counted).sum())
        asked += int(counted.sum())
    return round(100.0 * found / max(asked, 1), 2)


def _sampled(corpus: Corpus, each: int) -> np.ndarray:
    """The first stories of every task that have about `each` questions together."""
    kept: list[int] = []
    for task in babi.TASKS:
        rows = np.flatnonzero(corpus.tasks == task)
        before = np.cumsum(corpus.asked[rows]) - corpus.asked[rows]
        kept += rows[before < each].tolist()
    return np.array(sorted(kept))


def failed(errors: Sequence[float]) -> int:
    """How many tasks have more than 5 % wrong."""
    return sum(error > FAILED for error in errors)
