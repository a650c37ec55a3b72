"""One run: a member of the family learns a task, is measured beyond the sizes it was trained on, and leaves a folder.

The folder holds what was asked for (`run.json`), the metrics, the checkpoint, what came out (`result.json`) and a
picture of the memory at work (`memory.png`).
"""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import torch

from memory_core import models
from memory_core.controllers import ControllerConfig, Kind
from memory_core.recurrent import Recurrent
from memory_core.tasks import Task
from memory_core.training import loop, presets
from memory_core.training.curriculum import Curriculum
from memory_core.training.generalisation import generalisation
from memory_core.training.learner import Learner, Optimiser, Training
from memory_core.training.loop import METRICS
from memory_core.training.metrics import Figures, Metrics
from memory_core.training.picture import NoMatplotlib, draw

RUN, RESULT, PICTURE = "run.json", "result.json", "memory.png"


class RunError(ValueError):
    """A run that cannot be made as asked."""


@dataclasses.dataclass(frozen=True)
class Run:
    """All that decides what comes out, but for the machine. A model that is a controller alone has no slots."""

    task: str
    model: str
    controller: str | None
    seed: int
    slots: int
    batch_size: int
    training: Training

    @property
    def name(self) -> str:
        """What the run's folder is called unless another is named."""
        return "-".join(filter(None, [self.task, self.model, self.controller, f"seed{self.seed}"]))

    @property
    def command(self) -> str:
        """The command that makes this run, but for its seed and folder."""
        controller = f" --controller {self.controller}" if self.controller else ""
        t = self.training
        slots = f" --slots {self.slots}" if self.slots else ""
        settle = f" --settle {t.settle}" if t.settle else ""
        return (
            f"mneme train {self.task} --model {self.model}{controller}{slots}"
            f" --steps {t.steps}{settle} --batch-size {self.batch_size} --optimiser {t.optimiser} --rate {t.rate:g}"
        )


def planned(
    task: str,
    model: str,
    controller: str | None = None,
    seed: int = 1,
    *,
    slots: int | None = None,
    batch_size: int | None = None,
    **training: Any,
) -> Run:
    """A run as asked for, the rest as its preset has it for this task.

    Args:
        controller: an LSTM unless named; a model that is a controller has none.
        training: fields of `Training`; None where the preset decides.

    Raises:
        RunError: no such model, controller or optimiser, or a step size that is none.
    """
    kinds = get_args(Kind)
    alone = model in kinds
    _check("model", model, models.NAMES)
    if alone and controller is not None:
        raise RunError(f"model {model} is a controller alone: it takes no --controller")
    _check("controller", controller or "lstm", kinds)
    chosen = presets.preset(task)
    given = {name: value for name, value in training.items() if value is not None}
    _check("optimiser", given.get("optimiser", chosen.training.optimiser), get_args(Optimiser))
    plan = dataclasses.replace(chosen.training, **given)
    if not 0.0 < plan.rate < math.inf:
        raise RunError(f"a step size is above 0 and finite, not {plan.rate:g}")
    return Run(
        task, model, None if alone else controller or "lstm", seed,
        0 if alone else slots or chosen.slots, batch_size or chosen.batch_size, plan,
    )  # fmt: skip


def network_of(run: Run, task: Task) -> Recurrent[Any]:
    """The network that a run begins with; its seed decides the parameters."""
    preset = presets.preset(run.task)
    torch.manual_seed(run.seed)
    sizes: dict[str, Any] = {"controller": ControllerConfig(cast(Kind, run.controller or run.model), preset.hidden)}
    if run.controller is not None:
        sizes |= {"slots": run.slots, "word": preset.word}
    return models.build(run.model, task.inputs, task.outputs, **sizes)


def _check(what: str, chosen: str, known: tuple[str, ...]) -> None:
    if chosen not in known:
        raise RunError(f"no {what} {chosen}; there are {', '.join(known)}")


def train(
    run: Run,
    task: Task,
    folder: Path,
    *,
    device: str = "cpu",
    compiled: bool = False,
    resume: bool = False,
    watch: Callable[[int, Figures], None] = lambda step, measured: None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Trains, measures and draws.

    Args:
        folder: made unless it is there.
        compiled: trains with a compiled step: on a CPU an update takes a third (NTM) or half (DNC) of the time, after
            half a minute of compiling, which needs a C++ compiler. Rounding differs, so a run that is resumed
            bit for bit must be compiled as before. Members that change their memory in place are not compiled.
        resume: go on with the run in `folder`, which must be the same but for its number of steps.
        watch, tell: see `loop.train`.

    Returns:
        The result, as it stands in `result.json`.

    Raises:
        RunError: the folder holds another run, or none to resume.
        CheckpointError, TrainingError: see `loop.train`.
    """
    network = network_of(run, task).to(device)
    _claim(folder, run, resume)
    if compiled:
        network.step = torch.compile(network.step, dynamic=False)  # type: ignore[method-assign]
    learner = Learner(network, run.training, run.seed)
    curriculum = Curriculum(network, task, run.batch_size)
    loop.train(learner, curriculum, run.training, folder, resume=resume, watch=watch, tell=tell)
    lines = Metrics(folder / METRICS).read()
    result = {
        "run": dataclasses.asdict(run),
        "command": run.command,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "solved": learner.learnt_at is not None,
        "steps": learner.step,
        "sequences": (learner.learnt_at or learner.step) * run.batch_size,  # to solve it, or all
        "seconds": round(learner.seconds, 1),
        "restores": sum(line.get("event") == "restored" for line in lines),
        "device": device,
        "compiled": compiled,
        "threads": torch.get_num_threads(),
        "sizes": generalisation(network, task, run.slots),
    }
    (folder / RESULT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    try:
        draw(network, task, folder / PICTURE)
    except NoMatplotlib as error:
        tell(str(error))
    return result


def _claim(folder: Path, run: Run, resume: bool) -> None:
    """Makes sure that the folder is this run's own."""
    path, described = folder / RUN, dataclasses.asdict(run)
    if not resume:
        if path.exists():
            raise RunError(f"{folder} holds a run already: go on with it by --resume, or name another folder by --out")
        folder.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise RunError(f"{folder} holds no run to resume")
    else:
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(described))
        before, now = before | before.pop("training"), now | now.pop("training")
        changed = [name for name in now if name != "steps" and before.get(name) != now[name]]
        if changed:
            was = ", ".join(f"{name} {before.get(name)} (asked for: {now[name]})" for name in changed)
            raise RunError(f"{folder} holds a run with {was}; only --steps may change")
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
