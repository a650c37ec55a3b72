"""A resumed run is the run that was never interrupted, bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from memory_core.training import checkpoint
from memory_core.training.checkpoint import CheckpointError
from memory_core.training.learner import Learner, Training
from memory_core.training.loop import CHECKPOINT, METRICS, train
from memory_core.training.metrics import Figures, Metrics
from tests.memory_core.training.learning import Line, tiny_lesson


class Killed(Exception):
    """Stands for a process that ends between two steps."""


def kill_at(step: int) -> Callable[[int, Figures], None]:
    def watch(now: int, _: Figures) -> None:
        if now == step:
            raise Killed

    return watch


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in line.items() if name != "seconds"} for line in Metrics(folder / METRICS).read()
    ]


@pytest.mark.parametrize("model", ["dnc", "ntm", "lstm"])
@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("killed_at", [4, 6])
def test_a_resumed_run_equals_one_without_a_break(tmp_path: Path, model: str, optimiser: Any, killed_at: int) -> None:
    training = Training(steps=10, every=4, optimiser=optimiser, settle=5)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    train(*tiny_lesson(model, training), training, whole)
    with pytest.raises(Killed):
        train(*tiny_lesson(model, training), training, broken, watch=kill_at(killed_at))
    torch.rand(3)  # another process has another state of PyTorch's own generator
    learner, curriculum = tiny_lesson(model, training)
    train(learner, curriculum, training, broken, resume=True)
    assert learner.step == 10
    one, other = load_file(whole / CHECKPOINT), load_file(broken / CHECKPOINT)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics_of(whole) == metrics_of(broken)


def test_dropout_goes_on_where_it_was(tmp_path: Path) -> None:
    training = Training(steps=6, every=2)

    def lesson() -> tuple[Learner, Line]:
        torch.manual_seed(3)
        line = Line()
        line.network = nn.Sequential(nn.Linear(1, 16), nn.Dropout(), nn.Linear(16, 1))  # type: ignore[assignment]
        return Learner(line.network, training, 1), line

    for folder, last in (("whole", 6), ("broken", 4)):
        (tmp_path / folder).mkdir()
        train(*lesson(), Training(steps=last, every=2), tmp_path / folder)
    train(*lesson(), training, tmp_path / "broken", resume=True)
    one, other = (load_file(tmp_path / folder / CHECKPOINT) for folder in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(steps=2, every=1)
    train(*tiny_lesson("lstm", training), training, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full_disk(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half of ")
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        train(*tiny_lesson("lstm", training), Training(steps=4, every=1), tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    training = Training(steps=1, every=1)
    train(*tiny_lesson("lstm", training), training, tmp_path)
    with pytest.raises(CheckpointError, match="another network"):
        train(*tiny_lesson("dnc", training), training, tmp_path, resume=True)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / CHECKPOINT).write_bytes(content)
    training = Training()
    with pytest.raises(CheckpointError, match=CHECKPOINT):
        train(*tiny_lesson("lstm", training), training, tmp_path, resume=True)


def test_a_state_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    learner, _ = tiny_lesson("dnc", Training())
    learner.network.initial_state(1).save(tmp_path / CHECKPOINT)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match="no checkpoint"):
        learner.load(tmp_path / CHECKPOINT)


def test_metrics_are_json_and_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        metrics.write(step, loss=float("nan") if step == 2 else 0.5, word="ok")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    metrics.rewind(2)
    assert metrics.read() == [{"step": 1, "loss": 0.5, "word": "ok"}, {"step": 2, "loss": None, "word": "ok"}]
    metrics.write(3, loss=0.25)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
