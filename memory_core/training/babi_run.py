"""One run on the bAbI tasks: train, keep the best weights by what is held back, test, and leave a folder.

The folder holds what was asked for (`run.json`), metrics, the checkpoint, the best weights (`babi.safetensors`, which
`mneme answer --weights` takes) and what came out (`result.json`).
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from memory_core.stories import answering, baselines
from memory_core.stories.reader import READS, ReaderConfig, SentenceEncoder
from memory_core.training import loop
from memory_core.training.babi import BabiLesson, Stories, failed, measure, supported
from memory_core.training.babi_course import SETTLE, STEPS
from memory_core.training.learner import Learner, Training
from memory_core.training.metrics import Figures
from memory_core.training.run import RESULT, RUN, RunError

WEIGHTS = "babi.safetensors"
ABLATIONS = ("links", "search", "read-first", "dropout", "thinking")
_TRAINING = Training(steps=STEPS, optimiser="adam", rate=1e-3, every=1_000, settle=round(SETTLE * STEPS), warm_up=200)


@dataclasses.dataclass(frozen=True)
class BabiRun:
    """All that decides what comes out, but for the machine and the data."""

    model: str = "reader"
    without: tuple[str, ...] = ()
    seed: int = 1
    size: int = 700  # of a batch: sentences, and five times its questions
    config: ReaderConfig = dataclasses.field(default_factory=ReaderConfig)
    training: Training = _TRAINING

    @property
    def name(self) -> str:
        """What the run's folder is called unless another is named."""
        return "-".join(["babi", self.model, *(f"no-{part}" for part in self.without), f"seed{self.seed}"])

    @property
    def command(self) -> str:
        """The command that makes this run, but for data and folder."""
        without = "".join(f" --without {part}" for part in self.without)
        t = self.training
        return (
            f"mneme train babi --model {self.model}{without} --seed {self.seed} --steps {t.steps} --size {self.size}"
            f" --width {self.config.width} --rate {t.rate:g}"
        )


def planned(model: str, without: tuple[str, ...], seed: int, size: int, width: int, steps: int, rate: float) -> BabiRun:
    """A run as asked for.

    Raises:
        RunError: no such model or part, or a width that the heads do not divide.
    """
    if model not in baselines.NAMES:
        raise RunError(f"no model {model}; there are {', '.join(baselines.NAMES)}")
    for part in without:
        if part not in ABLATIONS:
            raise RunError(f"--without {part}: there are {', '.join(ABLATIONS)}")
    if without and model != "reader":
        raise RunError("--without takes a part of the reader away: the other models have none of them")
    default = BabiRun()
    heads = default.config.heads
    if width % (2 * heads):
        raise RunError(f"--width {width} is not a multiple of {2 * heads}")
    config = dataclasses.replace(
        default.config,
        width=width,
        key=width // heads,
        steps=1 if "thinking" in without else default.config.steps,
        dropout=0.0 if "dropout" in without else default.config.dropout,
        links="links" not in without,
        search="search" not in without,
        read_first="read-first" not in without,
    )
    training = dataclasses.replace(default.training, steps=steps, settle=round(SETTLE * steps), rate=rate)
    return BabiRun(model, tuple(without), seed, size, config, training)


def train(
    run: BabiRun,
    stories: Stories,
    folder: Path,
    *,
    resume: bool = False,
    watch: Callable[[int, Figures], None] = lambda step, measured: None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Trains, and measures the best weights on all that is held back and on the test files. Those are the ones
    that were best on a sample, or the last ones where these are better on all that is held back.

    Returns:
        The result, as it stands in `result.json`.

    Raises:
        RunError: the folder holds another run, or none to resume.
        CheckpointError, TrainingError: see `loop.train`.
    """
    _claim(folder, run, resume)
    resume = resume and (folder / loop.CHECKPOINT).exists()  # else it was interrupted before there was one
    torch.manual_seed(run.seed)
    network = baselines.build(run.model, stories.vocabulary, run.config)
    encoder = network.get_submodule("encoder")
    assert isinstance(encoder, SentenceEncoder)
    encoder.weigh(stories.train.told())
    learner = Learner(network, run.training, run.seed, slow=lambda name: not READS.isdisjoint(name.split(".")))

    def keep() -> None:
        answering.save(folder / WEIGHTS, run.model, network, stories.vocabulary, run.config)

    lesson = BabiLesson(learner, stories, run.seed, run.size, keep, steps=run.training.steps)
    loop.train(learner, lesson, run.training, folder, resume=resume, watch=watch, tell=tell)
    lesson.validate()  # the last update may be the best, or the only one
    if not (folder / WEIGHTS).exists():
        keep()
    best = answering.load(folder / WEIGHTS).network
    held, last = measure(best, stories.held), measure(network, stories.held)
    if sum(last.values()) <= sum(held.values()):  # the best in a sample may be so by luck
        keep()
        best, held = network.eval(), last
    test = measure(best, stories.test)
    result = {
        "run": dataclasses.asdict(run),
        "command": run.command,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "steps": learner.step,
        "questions": lesson.questions,
        "seconds": round(learner.seconds),
        "threads": torch.get_num_threads(),
        "task 3": "made stories" if stories.made else "its training file",
        "held": _summary(held),
        "test": _summary(test),
        "supported": supported(best, stories.test),
    }
    (folder / RESULT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _summary(errors: dict[int, float]) -> dict[str, Any]:
    mean = sum(errors.values()) / len(errors)
    each = {str(task): round(100.0 * error, 2) for task, error in errors.items()}
    return {"error": round(100.0 * mean, 2), "failed": failed(list(errors.values())), "tasks": each}


def _claim(folder: Path, run: BabiRun, resume: bool) -> None:
    """Makes sure that the folder is this run's own."""
    path, described = folder / RUN, json.loads(json.dumps(dataclasses.asdict(run)))
    if not resume:
        if path.exists():
            raise RunError(f"{folder} holds a run already: go on with it by --resume, or name another folder by --out")
        folder.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise RunError(f"{folder} holds no run to resume")
    else:
        before = json.loads(path.read_text(encoding="utf-8"))
        parts = {**before, **before["training"]}, {**described, **described["training"]}
        changed = [name for name in parts[1] if name != "training" and parts[0].get(name) != parts[1][name]]
        if changed:
            raise RunError(f"{folder} holds a run with another {', '.join(changed)}")
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
