"""`mneme answer` and `mneme train babi`, as they are typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app as command
from memory_core.stories import babi
from memory_core.training.babi import prepare
from tests.memory_core.stories.files import written


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text("Mary went to the garden.\n\nMary moved to the hallway.\n", encoding="utf-8")
    return path


def test_a_question_about_a_file_is_answered_with_what_was_read(story: Path) -> None:
    done = ran("answer", str(story), "Where is Mary?")
    assert done.exit_code == 0, done.stderr
    first, read, *_ = done.stdout.splitlines()
    assert first.startswith("hallway  (")
    assert read.strip().endswith("Mary moved to the hallway.")


def test_what_cannot_be_answered_is_one_line(story: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((str(story), "Where is the pizza?"), "question: words that the network never saw: pizza"),
        ((str(tmp_path / "none.txt"), "Where is Mary?"), "No such file"),
        ((str(story), "Where is Mary?", "--weights", str(story)), "`mneme train babi` makes one"),
    ):
        done = ran("answer", *arguments)
        assert done.exit_code == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_training_without_the_tasks_says_in_a_line_what_is_missing(tmp_path: Path) -> None:
    done = ran("train", "babi", "--data", str(tmp_path))
    assert done.exit_code == 1
    assert f"needs {babi.ARCHIVE}" in done.stderr
    assert ran("train", "babi", "--data", str(tmp_path), "--model", "gru").exit_code == 1


def test_a_run_leaves_weights_that_answer(tmp_path: Path, story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "__defaults__", (3,))
    folder, out = written(tmp_path / "data"), tmp_path / "run"
    options = ("--steps", "1", "--width", "16", "--size", "100", "--out", str(out))
    done = ran("train", "babi", "--data", str(folder), *options)
    assert done.exit_code == 0, done.stderr
    assert "its stories are made" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("failed tasks (over 5 %)")
    answered = ran(
        "answer", str(story), "Where was the milk before the garden?", "--weights", str(out / "babi.safetensors")
    )
    assert answered.exit_code == 0, answered.stderr
    assert "%)" in answered.stdout
