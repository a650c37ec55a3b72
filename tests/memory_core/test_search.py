"""Reads that search, against the sums that define them, slot by slot."""

import itertools

import torch
from torch import Tensor

from memory_core import search


def passing(match: Tensor, between: range) -> float:
    product = 1.0
    for j in between:
        product *= 1.0 - float(match[j])
    return product


def test_the_newest_match_is_found_slot_by_slot() -> None:
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double()
    found = search.latest(logits)
    for row, match in enumerate(logits.sigmoid()):
        for k in range(6):
            assert abs(float(found[row, k]) - float(match[k]) * passing(match, range(k + 1, 6))) < 1e-12


def test_the_nearest_matches_around_a_weighting_are_the_sums_that_define_them() -> None:
    drawn = torch.Generator().manual_seed(2)
    logits, start = torch.randn(2, 6, generator=drawn).double(), torch.rand(2, 6, generator=drawn).double()
    backward, forward = search.around(logits, start)
    for row, k in itertools.product(range(2), range(6)):
        match = logits[row].sigmoid()
        back = sum(float(start[row, i]) * passing(match, range(k + 1, i)) for i in range(k + 1, 6))
        on = sum(float(start[row, i]) * passing(match, range(i + 1, k)) for i in range(k))
        assert abs(float(backward[row, k]) - float(match[k]) * back) < 1e-12
        assert abs(float(forward[row, k]) - float(match[k]) * on) < 1e-12


def test_a_key_that_matches_everything_is_one_step_along_the_links() -> None:
    start = torch.tensor([0.0, 0.25, 0.0, 0.75])
    backward, forward = search.around(torch.full((4,), 50.0), start)
    assert torch.allclose(backward, torch.tensor([0.25, 0.0, 0.75, 0.0]))
    assert torch.allclose(forward, torch.tensor([0.0, 0.0, 0.25, 0.0]))


def test_what_matches_nothing_reads_nothing_and_gradients_stay_finite() -> None:
    logits = torch.tensor([[-1e4, -1e4, -1e4], [1e4, -1e4, 1e4]], requires_grad=True)
    start = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    found = torch.stack([search.latest(logits), *search.around(logits, start)])
    assert found[:, 0].abs().max() == 0.0
    assert found[0, 1].tolist() == [0.0, 0.0, 1.0]
    assert found[1, 1].tolist() == [1.0, 0.0, 0.0]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_a_search_is_as_exact_over_hundreds_of_slots_that_match() -> None:
    start = torch.zeros(300)
    start[[10, 290]] = 0.5
    for logit in (12.0, 1e4):
        backward, forward = search.around(torch.full((300,), logit), start)
        for found, at in ((backward, [9, 289]), (forward, [11, 291])):
            expected = torch.zeros(300)
            expected[at] = 0.5
            assert torch.allclose(found, expected, atol=1e-3)
