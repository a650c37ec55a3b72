"""Every member runs through: trained, measured with an enlarged memory, drawn."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from memory_core.models import NAMES
from memory_core.tasks import AssociativeRecall, Completion, Copy, NGrams, PrioritySort, RepeatCopy, Task
from memory_core.training.generalisation import generalisation
from memory_core.training.picture import NoMatplotlib, draw, followed
from memory_core.training.presets import SMALL, preset
from memory_core.training.run import network_of, planned, train
from tests.memory_core.training.learning import measured_by_few

TINY = Copy(bits=2, full=2)
IMAGES = torch.rand(30, 16, generator=torch.Generator().manual_seed(3)) > 0.5
TASKS: dict[str, Task] = {
    "repeat-copy": RepeatCopy(bits=2, full=2, repeats=2),
    "associative-recall": AssociativeRecall(bits=2, vectors=1, full=2),
    "n-grams": NGrams(full=8),
    "priority-sort": PrioritySort(bits=2, full=2, kept=1),
    "completion-half": Completion(IMAGES, full=2),
}


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_by_few(monkeypatch)


@pytest.mark.parametrize("model", NAMES)
def test_every_member_can_be_trained_measured_and_drawn(model: str, tmp_path: Path) -> None:
    run = planned("copy", model, slots=None, batch_size=2, steps=25)
    result = train(run, TINY, tmp_path)
    assert [size["size"] for size in result["sizes"]] == [2, 4, 8, 10, 20]
    assert [size["slots"] for size in result["sizes"]] == [run.slots * multiple for multiple in (1, 2, 4, 5, 10)]
    assert (tmp_path / "memory.png").stat().st_size > 1_000
    assert result["sequences"] == 50


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_can_be_trained(name: str, tmp_path: Path) -> None:
    run = planned(name, "ntm", slots=4, batch_size=2, steps=25)
    result = train(run, TASKS[name], tmp_path)
    assert result["sizes"][0]["least"] >= 0.0
    assert all(0.0 <= size["bit_error"] <= 1.0 for size in result["sizes"])


def test_a_small_network_learns_a_task_as_is_known_unless_asked_for_otherwise() -> None:
    known = preset("associative-recall")
    run = planned("associative-recall", "dnc")
    assert (run.batch_size, run.training) == (known.batch_size, known.training)
    assert run.training.settle > 0
    other = planned("associative-recall", "dnc", batch_size=2, steps=5, settle=0)
    assert (other.batch_size, other.training) == (2, replace(known.training, steps=5, settle=0))
    assert planned("copy", "dnc").training == SMALL.training


def test_a_seed_decides_what_comes_out(tmp_path: Path) -> None:
    bits = []
    for place, seed in enumerate((1, 1, 2)):
        run = planned("copy", "dnc", seed=seed, slots=4, batch_size=2, steps=5)
        bits.append(train(run, TINY, tmp_path / str(place))["sizes"][0]["bits"])
    assert bits[0] == bits[1] != bits[2]


def test_a_compiled_step_is_for_training_alone_and_gives_the_same(tmp_path: Path) -> None:
    """In a process of its own: the checks of shapes that tests run under cannot be compiled."""
    code = """
import sys, torch
from functools import partial
from pathlib import Path
from memory_core.tasks import Copy
from memory_core.training.presets import SMALL, preset
from memory_core.training import run as runs
from memory_core.training.run import planned, train
runs.generalisation = partial(runs.generalisation, sequences=2, fewest=2)
traced = []
def backend(graph, inputs):
    traced.append(len(inputs))
    return graph.forward
torch.compile = partial(torch.compile, backend=backend)
run = planned("copy", "ntm", slots=4, batch_size=2, steps=25)
one, other = (train(run, Copy(bits=2, full=2), Path(sys.argv[1]) / str(on), compiled=on) for on in (False, True))
assert len(traced) in (1, 2)  # the first step, whose state needs no gradient, and the others, of any length
assert (one["compiled"], other["compiled"]) == (False, True)
assert abs(one["sizes"][0]["bits"] - other["sizes"][0]["bits"]) < 1e-3
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[3], check=True)


def test_a_memory_is_enlarged_no_further_than_asked() -> None:
    network = network_of(planned("copy", "ntm", slots=4), TINY)
    sizes = generalisation(network, TINY, 4, sequences=4, fewest=2, most_slots=10)
    assert [size["slots"] for size in sizes] == [4, 8, 10, 10, 10]


@pytest.mark.parametrize("model", ["ntm", "dnc", "sdnc", "lstm"])
def test_the_panels_of_the_picture_follow_the_sequence(model: str) -> None:
    panels = followed(network_of(planned("copy", model), TINY), TINY)
    assert {len(rows) for rows in panels.values()} == {5}
    assert panels["inputs"].shape[1] == 3
    assert not panels["outputs"][:3].any()
    weightings = {name: rows for name, rows in panels.items() if name.startswith(("write", "read"))}
    assert len(weightings) == (0 if model == "lstm" else 2)
    assert all(rows.shape[1] == 48 and rows.sum(1).max() < 1.001 for rows in weightings.values())


def test_a_picture_without_matplotlib_is_an_error_that_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoMatplotlib, match=r"mneme\[train\]"):
        draw(network_of(planned("copy", "ntm"), TINY), TINY, tmp_path / "memory.png")
