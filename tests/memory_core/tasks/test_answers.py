"""Each task's answers, against what its paper says, spelt out one sequence at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from memory_core.tasks import AssociativeRecall, Batch, Completion, Copy, NGrams, PrioritySort, RepeatCopy, Task, make


def sequences(task: Task, size: int, seed: int = 1, batch: int = 16) -> list[tuple[Tensor, Tensor]]:
    """Inputs and answers of each sequence without padding; answers are the counted steps alone."""
    drawn: Batch = task.sample(torch.Generator().manual_seed(seed), batch, size)
    return [
        (drawn.inputs[i, : int(drawn.lengths[i])], drawn.targets[i][drawn.mask[i]]) for i in range(len(drawn.lengths))
    ]


def test_copy_answers_with_what_was_shown_after_the_delimiter() -> None:
    for inputs, answer in sequences(Copy(), 7):
        length = len(answer)
        assert len(inputs) == 2 * length + 1
        assert torch.equal(inputs[:length, :8], answer)
        assert inputs[:, 8].nonzero().tolist() == [[length]]
        assert not inputs[length + 1 :].any()


def test_repeat_copy_answers_with_that_many_copies_and_an_end_marker() -> None:
    task, seen = RepeatCopy(), set()
    for inputs, answer in sequences(task, 4, batch=64):
        (length,) = inputs[:, 8].nonzero().flatten().tolist()
        copies = round(float(inputs[length, 8]) * 8.25**0.5 + 5.5)
        seen.add(copies)
        assert torch.equal(answer[:-1, :8], inputs[:length, :8].repeat(copies, 1))
        assert not answer[:-1, 8].any()
        assert answer[-1].tolist() == [0.0] * 8 + [1.0]
        assert len(inputs) == length + 1 + length * copies + 1
    assert seen == set(range(1, 11))


def test_the_number_of_copies_is_normalised() -> None:
    numbers = torch.stack([inputs[:, 8].sum() for inputs, _ in sequences(RepeatCopy(), 3, batch=4000)])
    assert float(numbers.mean()) == pytest.approx(0.0, abs=0.06)
    assert float(numbers.var()) == pytest.approx(1.0, abs=0.06)


def test_associative_recall_answers_with_the_item_after_the_one_asked_for() -> None:
    sizes = set()
    for inputs, answer in sequences(AssociativeRecall(), 6, batch=64):
        starts = inputs[:, 6].nonzero().flatten().tolist()
        first, last = inputs[:, 7].nonzero().flatten().tolist()
        sizes.add(len(starts))
        items = [inputs[start + 1 : start + 4, :6] for start in starts]
        query = inputs[first + 1 : last, :6]
        assert first == 4 * len(items)
        assert len(inputs) == last + 4
        (place,) = [i for i, item in enumerate(items) if torch.equal(item, query)]
        assert torch.equal(answer, items[place + 1])
        assert not inputs[last + 1 :].any()
    assert sizes == {2, 3, 4, 5, 6}


def test_priority_sort_answers_with_the_sixteen_highest_in_order() -> None:
    for inputs, answer in sequences(PrioritySort(), 20):
        assert len(inputs) == 20 + 1 + 16
        assert inputs[:20, 8].abs().max() <= 1.0
        ranked = sorted(range(20), key=lambda place: -float(inputs[place, 8]))[:16]
        assert torch.equal(answer, inputs[ranked, :8])
        assert inputs[:, 9].nonzero().tolist() == [[20]]


def predicted_by_counting(bits: list[int]) -> list[float]:
    """The Bayesian predictor as one would do it by hand."""
    chances = []
    for time in range(len(bits)):
        if time < 4:
            chances.append(0.5)
            continue
        context = bits[time - 4 : time + 1]
        after = [bits[t + 1] for t in range(4, time) if bits[t - 4 : t + 1] == context]
        chances.append((sum(after) + 0.5) / (len(after) + 1))
    return chances


def test_the_optimal_predictor_of_n_grams_is_what_counting_gives() -> None:
    task = NGrams()
    batch = task.sample(torch.Generator().manual_seed(2), 3, 200)
    expected = torch.tensor([predicted_by_counting([int(bit) for bit in row]) for row in batch.inputs[..., 0]])
    assert torch.allclose(task.optimal(batch.inputs[..., 0]), expected)
    chance = torch.where(batch.targets[..., 0] > 0.5, expected, 1.0 - expected)
    paid = -(chance.log2() * batch.mask).sum(1)
    assert torch.allclose(task.least(batch), paid, atol=1e-3)


def test_n_grams_ask_for_the_next_bit_of_what_is_shown() -> None:
    for inputs, answer in sequences(NGrams(), 200):
        assert len(inputs) == 199
        assert torch.equal(inputs[5:, 0], answer[:-1, 0])


def test_no_predictor_of_n_grams_pays_less_than_the_optimal_one_on_average() -> None:
    task = NGrams()
    batch = task.sample(torch.Generator().manual_seed(5), 400, 200)
    best = task.least(batch).mean()
    assert 90.0 < best < 140.0  # of 195 counted bits
    flatter = torch.logit(task.optimal(batch.inputs.squeeze(2))).unsqueeze(2) * 0.8
    assert batch.cost(flatter).mean() > best
    assert batch.cost(flatter * 1.5).mean() > best


def test_n_gram_tables_follow_the_arcsine_law() -> None:
    """Seen in the data: what follows a run of one context is far more often all alike than a fair coin would give."""
    batch = NGrams().sample(torch.Generator().manual_seed(1), 2000, 7)
    zeros = (batch.inputs[:, :5, 0] == 0).all(1)
    assert zeros.sum() > 30
    pairs = batch.targets[zeros][:, 4:6, 0]  # the bit after 00000, and after 0000x
    assert 0.3 < float(pairs[:, 0].mean()) < 0.7
    again = pairs[pairs[:, 0] == 0][:, 1]  # the context came twice: E[(1-p)^2] / E[1-p] = 3/4
    assert float(again.mean()) == pytest.approx(0.25, abs=0.2)


@pytest.mark.parametrize("damage", ["half", "noise"])
def test_completion_answers_with_the_image_whose_damaged_copy_is_shown(damage: str) -> None:
    images = torch.rand(40, 100, generator=torch.Generator().manual_seed(3)) > 0.5
    for inputs, answer in sequences(Completion(images, damage), 5):  # type: ignore[arg-type]
        held, cue = inputs[:-1, :-1], inputs[-1, :-1]
        wanted = answer[0] * 2.0 - 1.0
        assert (held == wanted).all(1).sum() == 1
        assert inputs[:, -1].nonzero().tolist() == [[len(inputs) - 1]]
        if damage == "half":
            assert torch.equal(cue[:50], wanted[:50])
            assert not cue[50:].any()
        else:
            assert 0.05 < float((cue != wanted).float().mean()) < 0.4


def test_completion_reads_images_out_of_their_archive(tmp_path: Path) -> None:
    ink = np.zeros((12, 28, 28), np.uint8)
    for place in range(12):
        ink[place, place] = 255
    np.savez(tmp_path / "omniglot_28.npz", images=ink)
    task = make("completion-half", tmp_path)
    assert (task.inputs, task.outputs) == (785, 784)
    assert len(sequences(task, 10)) == 16
