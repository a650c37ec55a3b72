"""What all tasks have in common: shapes, determinism, padding, masks, and the measures."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.tasks import (
    AssociativeRecall,
    Batch,
    Completion,
    Copy,
    NGrams,
    PrioritySort,
    RepeatCopy,
    Task,
    TaskError,
    make,
)  # fmt: skip

IMAGES = torch.rand(50, 16, generator=torch.Generator().manual_seed(3)) > 0.5
TASKS: list[Task] = [
    Copy(), RepeatCopy(), AssociativeRecall(), NGrams(full=30), PrioritySort(), Completion(IMAGES),
    Completion(IMAGES, "noise"),
]  # fmt: skip
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)


def drawn(task: Task, size: int | None = None, seed: int = 1, batch: int = 5, exactly: bool = False) -> Batch:
    return task.sample(torch.Generator().manual_seed(seed), batch, size or task.full, exactly=exactly)


@each_task
def test_a_seed_gives_the_same_batch_and_another_seed_another(task: Task) -> None:
    one, again, other = drawn(task), drawn(task), drawn(task, seed=2)
    assert all(
        torch.equal(getattr(one, name), getattr(again, name)) for name in ("inputs", "targets", "mask", "lengths")
    )
    assert one.inputs.shape != other.inputs.shape or not torch.equal(one.inputs, other.inputs)


@each_task
@settings(max_examples=20, deadline=None)
@given(extra=st.integers(0, 8), batch=st.integers(1, 6), seed=st.integers(0, 99), exactly=st.booleans())
def test_shapes_padding_and_masks(task: Task, extra: int, batch: int, seed: int, exactly: bool) -> None:
    one = drawn(task, task.smallest + extra, seed, batch, exactly)
    time = int(one.lengths.max())
    assert one.inputs.shape == (batch, time, task.inputs)
    assert one.targets.shape == (batch, time, task.outputs)
    padding = torch.arange(time) >= one.lengths.unsqueeze(1)
    assert not one.mask[padding].any()
    assert not one.inputs[padding].any()
    assert one.mask.any(1).all()
    assert ((one.targets == 0) | (one.targets == 1)).all()


@each_task
def test_the_right_answers_cost_nothing_and_wrong_ones_are_counted(task: Task) -> None:
    batch = drawn(task)
    certain = (batch.targets * 2.0 - 1.0) * 100.0
    assert batch.cost(certain).max() < 1e-30
    assert batch.errors(certain).max() < 1e-30
    assert batch.errors(-certain).min() == 1.0
    assert torch.allclose(batch.cost(torch.zeros_like(certain)), batch.counted)


@each_task
def test_what_is_not_masked_does_not_count(task: Task) -> None:
    batch = drawn(task)
    logits = (batch.targets * 2.0 - 1.0) * 100.0
    logits[~batch.mask] *= -1.0
    assert batch.cost(logits).max() < 1e-30
    assert batch.errors(logits).max() < 1e-30


@each_task
def test_exact_sizes_are_all_the_largest(task: Task) -> None:
    if not isinstance(task, RepeatCopy):  # whose length depends on the number of copies too
        assert len(set(drawn(task, exactly=True).lengths.tolist())) == 1
    assert drawn(task, task.full * 2, exactly=True).inputs.shape[1] > drawn(task, exactly=True).inputs.shape[1]


def test_sizes_are_drawn_evenly_from_the_smallest_up() -> None:
    lengths = drawn(Copy(), 4, batch=4000).lengths
    assert torch.bincount(lengths)[[3, 5, 7, 9]].sub(1000).abs().max() < 120


@each_task
def test_a_size_below_the_smallest_is_an_error(task: Task) -> None:
    with pytest.raises(TaskError, match="least"):
        drawn(task, task.smallest - 1 or -1)


def test_an_unknown_task_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(TaskError, match="no task chess; there are copy, repeat-copy"):
        make("chess")


def test_missing_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="--data"):
        make("completion-half")
    with pytest.raises(TaskError, match=r"no .*omniglot_28\.npz"):
        make("completion-half", tmp_path)
    (tmp_path / "omniglot_28.npz").write_bytes(b"nothing")
    with pytest.raises(TaskError, match="not an archive"):
        make("completion-noise", tmp_path)
