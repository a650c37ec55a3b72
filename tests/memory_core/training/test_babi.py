"""The bAbI tasks as a lesson: what is held back stays back, what is resumed goes on alike, and a network learns."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from memory_core.stories import answering, baselines
from memory_core.stories.reader import ReaderConfig
from memory_core.training import babi_run
from memory_core.training.babi import BabiLesson, Stories, measure, prepare
from memory_core.training.babi_course import COURSE, Stage, stage_of
from memory_core.training.babi_run import BabiRun, planned
from memory_core.training.learner import Learner, Training
from memory_core.training.run import RunError
from tests.memory_core.stories.files import written

SMALL = ReaderConfig(width=8, heads=2, key=4, steps=1)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Stories:
    return prepare(written(tmp_path_factory.mktemp("babi")), seed=1, made=3)


def run(steps: int, **changes: object) -> BabiRun:
    training = Training(steps=steps, optimiser="adam", rate=3e-3, every=2, warm_up=2)
    return BabiRun(size=200, config=SMALL, training=training, **changes)  # type: ignore[arg-type]


def test_the_part_of_task_3_is_held_back_whole_and_the_made_stories_are_trained_on(stories: Stories) -> None:
    assert stories.made
    assert int((stories.held.tasks == 3).sum()) == 6
    assert int((stories.train.tasks == 3).sum()) == 3
    for task in (1, 20):
        assert int((stories.held.tasks == task).sum()) == 1
        assert int((stories.train.tasks == task).sum()) == 5
        assert int((stories.test.tasks == task).sum()) == 6


def test_a_whole_file_of_task_3_is_trained_on(tmp_path: Path) -> None:
    whole = prepare(written(tmp_path, partial=False), seed=1)
    assert not whole.made
    assert int((whole.train.tasks == 3).sum()) == 5


def test_a_run_that_is_resumed_gives_bit_for_bit_what_it_would_have_given(stories: Stories, tmp_path: Path) -> None:
    babi_run.train(run(20), stories, tmp_path / "at once")

    # before the first checkpoint, just after a stage's end, and within the stage after it
    for number, at in enumerate((1, 3, 9)):

        def interrupt(step: int, _: object, at: int = at) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            babi_run.train(run(20), stories, tmp_path / "in parts", resume=number > 0, watch=interrupt)
    babi_run.train(run(20), stories, tmp_path / "in parts", resume=True)
    one, other = ((tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("at once", "in parts"))
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("at once", "in parts"))
    assert (first["held"], first["test"], first["questions"]) == (second["held"], second["test"], second["questions"])
    assert len(one) == len(other)
    nets = [answering.load(tmp_path / name / babi_run.WEIGHTS).network.state_dict() for name in ("at once", "in parts")]
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_a_folder_of_another_run_is_refused(stories: Stories, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(dataclasses.asdict(run(2))))
    with pytest.raises(RunError, match="holds a run already"):
        babi_run.train(run(2), stories, tmp_path)
    with pytest.raises(RunError, match="another seed"):
        babi_run.train(run(4, seed=2), stories, tmp_path, resume=True)
    with pytest.raises(RunError, match="another without, steps"):
        babi_run.train(run(4, without=("links",)), stories, tmp_path, resume=True)
    with pytest.raises(RunError, match="no run to resume"):
        babi_run.train(run(4), stories, tmp_path / "empty", resume=True)


def test_a_network_learns_and_the_tasks_that_it_knows_are_drawn_less(stories: Stories) -> None:
    torch.manual_seed(1)
    network = baselines.build("reader", stories.vocabulary, ReaderConfig(width=32, heads=2, key=16, dropout=0.0))
    learner = Learner(network, Training(optimiser="adam"), seed=1)
    lesson = BabiLesson(learner, stories, seed=1, size=400, course=(Stage(1.0, tuple(range(1, 21))),))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    generator, losses = torch.Generator(), []
    for _ in range(40):
        optimiser.zero_grad()
        loss = lesson.loss(generator)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert set(measure(network, stories.held)) == set(range(1, 21))
    lesson._drawn = dict.fromkeys(range(1, 21), 0.0) | {5: 1.0}
    counts = torch.bincount(
        torch.tensor([int(stories.train.tasks[row]) for seed in range(40) for row in drawn(lesson, seed)]), minlength=21
    )
    assert counts[5] > 3 * counts[[1, 2, 4, 6]].float().mean()


def test_a_stage_teaches_its_tasks_and_may_slow_its_reads(stories: Stories) -> None:
    network = baselines.build("reader", stories.vocabulary, SMALL)
    learner = Learner(network, Training(), seed=1, slow=lambda name: "query" in name)
    course = (Stage(0.5, (4,), reads=0.0), Stage(1.0, (5, 6)))
    lesson = BabiLesson(learner, stories, seed=1, size=400, steps=10, course=course)
    query = network.get_parameter("heads.query.weight")
    before = query.detach().clone()
    for update in range(10):
        learner.update(lesson.loss)
        assert {int(stories.train.tasks[row]) for row in drawn(lesson, update)} <= ({4} if update < 5 else {5, 6})
        assert torch.equal(query, before) is (update < 5)


def test_the_course_teaches_the_hard_tasks_first_and_then_all() -> None:
    assert COURSE[0].tasks == (16, 19)
    assert set(COURSE[-1].tasks) == set(range(1, 21))
    course = (Stage(0.05, (19,)), Stage(0.1, (15, 19)), Stage(1.0, (4,)))
    assert [stage_of(course, share) for share in (0.0, 0.05, 0.1, 0.5, 1.0)] == [0, 1, 2, 2, 2]


def drawn(lesson: BabiLesson, number: int) -> list[int]:
    lesson._round = number
    return [int(row) for group in lesson._draw() for row in group]


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    options = {"seed": 1, "size": 500, "width": 96, "steps": 10, "rate": 1e-3}
    with pytest.raises(RunError, match="no model gru; there are reader, dnc"):
        planned("gru", (), **options)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="--without memory: there are links"):
        planned("reader", ("memory",), **options)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="--without takes a part of the reader away"):
        planned("lstm", ("links",), **options)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="--width 97"):
        planned("reader", (), **(options | {"width": 97}))  # type: ignore[arg-type]
    plan = planned("reader", ("links", "thinking"), **options)  # type: ignore[arg-type]
    assert (plan.config.links, plan.config.search, plan.config.steps) == (False, True, 1)
    assert plan.command.startswith("mneme train babi --model reader --without links --without thinking --seed 1")
