"""`mneme train` and `mneme table`: what comes of a run, and what is said of options that cannot be."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app import training
from app.cli import app as command
from memory_core.tasks import TASKS, Copy
from tests.memory_core.training.learning import measured_by_few

Ran = Callable[..., Result]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs the command in a folder of its own, where to copy is to copy at most two vectors."""
    monkeypatch.chdir(tmp_path)
    measured_by_few(monkeypatch)
    monkeypatch.setitem(TASKS, "copy", lambda _: Copy(bits=2, full=2))
    return lambda *arguments: CliRunner().invoke(command, list(arguments))


def short(ran: Ran, *arguments: str) -> Result:
    return ran("train", "copy", "--model", "dnc", "--slots", "4", "--batch-size", "2", "--steps", "2", *arguments)


def complaint(result: Result) -> str:
    """The one line that tells what is wrong."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = [line for line in result.output.splitlines() if line.startswith("mneme: ")]
    return line


def test_every_task_has_its_command() -> None:
    assert list(training.TASKS) == list(TASKS)


def test_a_run_leaves_metrics_a_checkpoint_a_result_and_a_picture(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    result = short(ran, "--steps", "25")
    assert result.exit_code == 0, result.output
    assert "NOT solved after 50 sequences" in result.output
    folder = Path("runs/copy-dnc-lstm-seed1")
    assert {path.name for path in folder.iterdir()} == {
        "run.json", "metrics.jsonl", "checkpoint.safetensors", "result.json", "memory.png",
    }  # fmt: skip
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 25
    came_out = json.loads((folder / "result.json").read_text())
    assert [(size["size"], size["slots"]) for size in came_out["sizes"]] == [
        (2, 4),
        (4, 8),
        (8, 16),
        (10, 20),
        (20, 40),
    ]
    assert (folder / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_of_runs_stands_in_the_document(ran: Ran) -> None:
    for seed in ("1", "2"):
        assert short(ran, "--seed", seed).exit_code == 0
    Path("docs").mkdir()
    Path("docs/science.md").write_text("# Science\n<!-- table:tasks -->\n<!-- /table:tasks -->\n")
    assert "2 runs in docs/science.md" in ran("table", "runs").output
    row = Path("docs/science.md").read_text().splitlines()[-2]
    assert row.startswith("| copy | dnc (lstm) | 1, 2 | 0 of 2 | – |")
    assert "`mneme train copy --model dnc --controller lstm --slots 4 --steps 2 --batch-size 2" in row


def test_a_table_without_runs_or_without_a_document_is_told(ran: Ran) -> None:
    assert "no finished run in runs" in complaint(ran("table", "runs"))
    assert short(ran).exit_code == 0
    assert "docs/science.md cannot be read" in complaint(ran("table", "runs"))


def test_a_run_goes_on_where_it_ended(ran: Ran) -> None:
    assert short(ran).exit_code == 0
    result = short(ran, "--steps", "6", "--resume")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("runs/copy-dnc-lstm-seed1/result.json").read_text())["steps"] == 6


def test_a_folder_that_holds_a_run_is_not_overwritten(ran: Ran) -> None:
    assert short(ran).exit_code == 0
    before = Path("runs/copy-dnc-lstm-seed1/result.json").read_bytes()
    assert "--resume" in complaint(short(ran))
    line = complaint(short(ran, "--resume", "--rate", "0.5", "--slots", "9"))
    assert "slots 4 (asked for: 9), rate 0.001 (asked for: 0.5)" in line
    assert Path("runs/copy-dnc-lstm-seed1/result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "elephant"], "no model elephant; there are ntm, dnc"),
        (["--controller", "elephant"], "no controller elephant; there are feedforward, rnn"),
        (["--model", "lstm", "--controller", "gru"], "model lstm is a controller alone"),
        (["--optimiser", "sgd"], "no optimiser sgd; there are adam, rmsprop"),
        (["--rate", "0"], "above 0 and finite, not 0"),
        (["--rate", "nan"], "above 0 and finite, not nan"),
        (["--device", "tpu"], "--device tpu: there are cpu and cuda"),
        (["--resume"], "runs/copy-dnc-lstm-seed1 holds no run to resume"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(ran: Ran, options: list[str], told: str) -> None:
    assert told in complaint(ran("train", "copy", *options))
    assert not Path("runs").exists()


def test_missing_images_are_told_in_one_line(ran: Ran) -> None:
    assert "--data" in complaint(ran("train", "completion-half"))
    assert "there is no nowhere/omniglot_28.npz" in complaint(ran("train", "completion-half", "--data", "nowhere"))


@pytest.mark.parametrize("options", [["--steps", "0"], ["--slots", "-3"], ["--seed", "one"]])
def test_numbers_out_of_range_are_named(ran: Ran, options: list[str]) -> None:
    result = ran("train", "copy", *options)
    assert result.exit_code == 2
    assert options[0] in result.output


def test_without_matplotlib_a_run_says_so_and_is_otherwise_whole(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = short(ran)
    assert result.exit_code == 0, result.output
    assert "no picture: matplotlib is not installed" in result.output
    assert not Path("runs/copy-dnc-lstm-seed1/memory.png").exists()
    assert Path("runs/copy-dnc-lstm-seed1/result.json").exists()


def test_the_command_line_loads_pytorch_only_when_it_trains() -> None:
    code = "import sys, app.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent).returncode == 0
