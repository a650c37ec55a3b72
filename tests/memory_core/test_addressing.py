"""Each function of addressing against the equations in loops, the laws it keeps, and its gradients."""

from collections.abc import Callable

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memory_core import addressing
from tests.memory_core import oracle

SEEDS = st.integers(0, 2**31)
SOME = settings(max_examples=40, deadline=None)


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def simplex(seed: int, slots: int) -> Tensor:
    """A weighting: at least 0, with a sum of at most 1, and often zeros."""
    drawn = (uniform(seed, slots) - 0.3).clamp(min=0)
    return drawn / drawn.sum().clamp(min=1e-9) * uniform(seed + 1, 1)


def unit(seed: int, *shape: int) -> Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


def close(ours: Tensor, theirs: oracle.Array) -> None:
    np.testing.assert_allclose(ours.double().cpu().numpy(), theirs, atol=1e-6)


# Content


@SOME
@given(SEEDS)
def test_late_interaction_takes_each_cue_facets_best_match(seed: int) -> None:
    cue, words, held = unit(seed, 1, 3, 5), unit(seed + 1, 1, 6, 4, 5), uniform(seed + 2, 1, 6, 4) > 0.4
    expected = oracle.late_interaction(cue[0].numpy(), (words * held.unsqueeze(-1))[0].numpy())
    slot = torch.repeat_interleave(held[0].sum(1))
    cosines = words[0][held[0]] @ cue[0].T
    close(addressing.late_interaction(cosines.float(), slot, 6), expected)


def test_a_slot_without_facets_is_unlike_every_cue() -> None:
    found = addressing.late_interaction(torch.ones(2, 5), torch.tensor([1, 1]), 3)
    assert found.tolist() == [[0.0] * 5, [1.0] * 5, [0.0] * 5]


@SOME
@given(SEEDS)
def test_exact_matches_tell_which_cue_facets_a_slot_holds(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    token_ids, cue = torch.randint(-1, 6, (5, 4), generator=random), torch.randint(0, 6, (7,), generator=random)
    expected = [[float(piece in held) for piece in cue.tolist()] for held in token_ids.tolist()]
    close(addressing.exact_matches(cue, token_ids, 6), np.array(expected))


@SOME
@given(SEEDS, st.floats(0, 50))
def test_content_weighting_is_the_softmax_with_a_prior(seed: int, key_strength: float) -> None:
    similarity, prior = uniform(seed, 9) * 2 - 1, (uniform(seed + 1, 9) - 0.2).clamp(0, 1)
    ours = addressing.content_weighting(similarity.float(), torch.tensor(key_strength), prior.float())
    np.testing.assert_allclose(
        ours, oracle.content_weighting(similarity.numpy(), key_strength, prior.numpy()), atol=2e-6
    )
    assert (ours >= 0).all()
    assert float(ours.sum()) == pytest.approx(1.0, abs=1e-5)
    assert (ours[prior == 0] == 0).all()


def test_content_weighting_of_nothing_is_nothing() -> None:
    assert addressing.content_weighting(torch.zeros(0), torch.tensor(12.0), torch.zeros(0)).shape == (0,)
    rows = addressing.content_weighting(torch.ones(2, 3), torch.tensor(12.0), torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert rows.tolist()[0] == [0.0, 0.0, 0.0]
    assert float(rows[1].sum()) == pytest.approx(1.0)


def test_content_weighting_bears_zero_similarities_and_faint_or_strong_priors() -> None:
    ours = addressing.content_weighting(torch.zeros(3), torch.tensor(12.0), torch.tensor([1e-6, 1e-6, 1.0]))
    close(ours, np.array([1e-6, 1e-6, 1.0]) / (1 + 2e-6))
    assert torch.isfinite(addressing.content_weighting(torch.full((3,), 1e4), torch.tensor(1e3), torch.ones(3))).all()


def test_addressing_of_half_precision_words_runs_in_single_precision() -> None:
    similarity, prior = torch.tensor([0.5, 0.5004]).half(), torch.tensor([1.0, 6e-8]).half()
    ours = addressing.content_weighting(similarity, torch.tensor(12.0), prior)
    assert ours.dtype == torch.float32
    assert torch.isfinite(ours).all()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 50))
def test_rarity_falls_with_the_count_and_is_never_negative(counts: list[int], more: int) -> None:
    slots = max(counts) + more
    rarity = addressing.rarity(torch.tensor(counts), torch.tensor(slots))
    assert (rarity >= 0).all()
    assert torch.isfinite(rarity).all()
    by_count = rarity[torch.argsort(torch.tensor(counts), stable=True)]
    assert (by_count.diff() <= 0).all()


@SOME
@given(SEEDS)
def test_cosine_similarity_is_the_angle(seed: int) -> None:
    keys, memory = uniform(seed, 2, 3, 5) * 2 - 1, uniform(seed + 1, 2, 4, 5) * 2 - 1
    ours = addressing.cosine_similarity(keys, memory)
    theirs = torch.nn.functional.cosine_similarity(keys.unsqueeze(2), memory.unsqueeze(1), dim=-1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert (ours.abs() < 1).all()


@SOME
@given(SEEDS)
def test_a_masked_cosine_looks_at_the_unmasked_part_alone(seed: int) -> None:
    keys, memory = uniform(seed, 3, 6), uniform(seed + 1, 4, 6)
    mask = torch.ones(3, 6).double()
    torch.testing.assert_close(
        addressing.cosine_similarity(keys, memory, mask), addressing.cosine_similarity(keys, memory)
    )
    mask[:, 4:] = 0.0
    torch.testing.assert_close(
        addressing.cosine_similarity(keys, memory, mask), addressing.cosine_similarity(keys[:, :4], memory[:, :4])
    )


def test_words_of_zeros_are_like_nothing_and_pass_finite_gradients() -> None:
    keys, memory = torch.zeros(1, 3, requires_grad=True), torch.zeros(2, 3, requires_grad=True)
    for mask in (None, torch.zeros(1, 3)):
        similarity = addressing.cosine_similarity(keys, memory, mask)
        assert similarity.tolist() == [[0.0, 0.0]]
        gradients = torch.autograd.grad(similarity.sum(), (keys, memory))
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


@SOME
@given(SEEDS)
def test_every_head_weighs_by_its_own_strength(seed: int) -> None:
    similarity, strength = uniform(seed, 2, 3, 5), uniform(seed + 1, 2, 3) * 20
    ours = addressing.content_weighting(similarity, strength)
    for row in range(2):
        for head in range(3):
            expected = oracle.content_weighting(similarity[row, head].numpy(), float(strength[row, head]), np.ones(5))
            close(ours[row, head], expected)


# Location


@SOME
@given(SEEDS, st.integers(0, 3), st.integers(1, 8))
def test_a_shift_is_the_circular_convolution(seed: int, reach: int, slots: int) -> None:
    weighting, shares = simplex(seed, slots), torch.softmax(uniform(seed + 1, 2 * reach + 1) * 5, 0)
    ours, expected = addressing.shift(weighting, shares), np.zeros(slots)
    for i in range(slots):
        for by in range(-reach, reach + 1):
            expected[i] += float(weighting[(i - by) % slots]) * float(shares[by + reach])
    close(ours, expected)
    assert float(ours.sum()) == pytest.approx(float(weighting.sum()))


@SOME
@given(SEEDS)
def test_location_addressing_stays_in_the_simplex(seed: int) -> None:
    content, before = torch.softmax(uniform(seed, 2, 3, 7) * 9, -1), torch.softmax(uniform(seed + 1, 2, 3, 7) * 9, -1)
    gate, shares, gamma = (
        uniform(seed + 2, 2, 3),
        torch.softmax(uniform(seed + 3, 2, 3, 3), -1),
        uniform(seed + 4, 2, 3),
    )
    w = addressing.sharpen(addressing.shift(addressing.interpolate(content, before, gate), shares), 1 + 9 * gamma)
    assert (w >= 0).all()
    torch.testing.assert_close(w.sum(-1), torch.ones(2, 3).double())
    torch.testing.assert_close(addressing.interpolate(content, before, torch.ones(2, 3).double()), content)
    torch.testing.assert_close(addressing.interpolate(content, before, torch.zeros(2, 3).double()), before)


# Sharpening, erasing


@SOME
@given(SEEDS, st.floats(1.0, 8.0))
def test_sharpen_is_the_power_over_its_sum(seed: int, gamma: float) -> None:
    weighting = simplex(seed, 7)
    close(addressing.sharpen(weighting, gamma), oracle.sharpen(weighting.numpy(), gamma))


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0, 7.3])
def test_sharpen_bears_weights_slightly_below_zero(gamma: float) -> None:
    weighting = torch.tensor([0.7, -1e-9, 0.3, 0.0], requires_grad=True)
    sharpened = addressing.sharpen(weighting, gamma)
    assert torch.isfinite(sharpened).all()
    assert sharpened[1] == 0.0
    assert float(sharpened.detach().sum()) == pytest.approx(1.0)
    sharpened[0].backward()  # type: ignore[no-untyped-call]
    assert weighting.grad is not None
    assert torch.isfinite(weighting.grad).all()


def test_the_gradient_of_a_sharpness_is_finite_at_weights_of_0() -> None:
    weighting, gamma = torch.tensor([[1.0, 0.0, 0.0]]).requires_grad_(), torch.tensor([1.0]).requires_grad_()
    for gradient in torch.autograd.grad(addressing.sharpen(weighting, gamma)[0, 0], (weighting, gamma)):
        assert torch.isfinite(gradient).all()


def test_sharpened_links_keep_their_sum_and_lead_nowhere_from_nothing() -> None:
    flow = torch.tensor([[0.1, 0.3, 0.0], [0.0, 0.0, 0.0], [1e-30, 1e-31, 0.0]], requires_grad=True)
    sharpened = addressing.sharpen_links(flow, torch.full((3,), 3.0))
    torch.testing.assert_close(sharpened.sum(-1), flow.sum(-1))
    assert float(sharpened[0, 1]) > 0.3
    (gradient,) = torch.autograd.grad(sharpened.sum(), flow)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 1e3


def test_sharpening_nothing_gives_nothing() -> None:
    assert addressing.sharpen(torch.zeros(4), 2.0).tolist() == [0.0] * 4


@SOME
@given(SEEDS)
def test_erase_and_add_overwrites_what_a_full_weight_erases(seed: int) -> None:
    memory, erase, add = uniform(seed, 4, 3), torch.ones(1, 3).double(), uniform(seed + 1, 1, 3)
    weighting = torch.tensor([[0.0, 1.0, 0.5, 0.0]]).double()
    written = addressing.erase_and_add(memory, weighting, erase, add)
    for slot, w in enumerate(weighting[0]):
        torch.testing.assert_close(written[slot], memory[slot] * (1 - w) + w * add[0])


# Usage, allocation


@SOME
@given(SEEDS)
def test_usage_stays_between_0_and_1(seed: int) -> None:
    usage, written = uniform(seed, 9), simplex(seed + 1, 9)
    usage[:2] = torch.tensor([0.0, 1.0])
    reads, gates = torch.stack([simplex(seed + 2, 9), simplex(seed + 3, 9)]), uniform(seed + 4, 2)
    kept = addressing.retention(reads, gates)
    close(kept, oracle.retention(reads.numpy(), gates.numpy()))
    after = addressing.usage_after_write(usage, written, kept)
    close(after, oracle.usage_after_write(usage.numpy(), written.numpy(), kept.numpy()))
    assert ((kept >= 0) & (kept <= 1) & (after >= 0) & (after <= 1)).all()


def test_a_full_free_gate_on_a_full_read_frees_the_slot() -> None:
    kept = addressing.retention(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.ones(2))
    assert addressing.usage_after_write(torch.ones(2), torch.zeros(2), kept).tolist() == [0.0, 1.0]


def test_retention_takes_a_batch() -> None:
    reads, gates = uniform(0, 2, 3, 5), uniform(1, 2, 3)
    for row in range(2):
        torch.testing.assert_close(
            addressing.retention(reads, gates)[row], addressing.retention(reads[row], gates[row])
        )


@SOME
@given(SEEDS)
def test_allocation_prefers_the_least_used_slot(seed: int) -> None:
    usage = (uniform(seed, 9) * 1.2 - 0.1).clamp(0, 1)
    allocation = addressing.allocation_weighting(usage)
    close(allocation, oracle.allocation_weighting(usage.numpy()))
    assert float(allocation.sum()) == pytest.approx(1 - float(usage.prod()))
    if float(usage.min()) < 0.3:
        assert int(allocation.argmax()) == oracle.free_list(usage.numpy())[0]


def test_the_gradient_of_allocation_is_finite_at_usage_0_and_1() -> None:
    usage = torch.tensor([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(addressing.allocation_weighting(usage).square().sum(), usage)
    assert torch.isfinite(gradient).all()


def test_allocation_is_exact_at_usage_0_and_1() -> None:
    assert addressing.allocation_weighting(torch.ones(4)).tolist() == [0.0] * 4
    assert addressing.allocation_weighting(torch.zeros(4)).tolist() == [1.0, 0.0, 0.0, 0.0]
    half = addressing.allocation_weighting(torch.tensor([1.0, 0.0, 1.0, 0.999]).half())
    assert torch.isfinite(half).all()


@SOME
@given(SEEDS, st.integers(1, 5))
def test_the_least_used_come_in_order_and_spare_the_protected(seed: int, count: int) -> None:
    usage, protected = (uniform(seed, 12) * 4).round() / 4, uniform(seed + 1, 12) > 0.6
    found = addressing.least_used(usage, protected, count).tolist()
    free = [slot for slot in oracle.free_list(usage.numpy()) if not protected[slot]]
    assert found[: len(free)] == free[:count]


# Temporal links


@SOME
@given(SEEDS, st.integers(1, 12))
def test_dense_links_follow_the_equations(seed: int, writes: int) -> None:
    links, precedence = torch.zeros(6, 6).double(), torch.zeros(6).double()
    for step in range(writes):
        weighting = simplex(seed + step, 6)
        expected = oracle.links_after_write(links.numpy(), weighting.numpy(), precedence.numpy())
        links = addressing.links_after_write(links, weighting, precedence)
        close(links, expected)
        expected = oracle.precedence_after_write(precedence.numpy(), weighting.numpy())
        precedence = addressing.precedence_after_write(precedence, weighting)
        close(precedence, expected)
    assert (links.diagonal() == 0).all()
    assert (links >= -1e-12).all()
    assert (links.sum(0) <= 1 + 1e-9).all()
    assert (links.sum(1) <= 1 + 1e-9).all()
    assert (precedence >= 0).all()
    assert float(precedence.sum()) <= 1 + 1e-9


@SOME
@given(SEEDS)
def test_a_batch_gives_what_its_rows_give(seed: int) -> None:
    usage, links = uniform(seed, 2, 3, 6), uniform(seed + 1, 2, 3, 6, 6)
    weighting = torch.stack([torch.stack([simplex(seed + 7 * i + j, 6) for j in range(3)]) for i in range(2)])
    precedence = uniform(seed + 2, 2, 3, 6) / 6
    allocation = addressing.allocation_weighting(usage)
    linked = addressing.links_after_write(links, weighting, precedence)
    for i in range(2):
        for j in range(3):
            assert torch.equal(allocation[i, j], addressing.allocation_weighting(usage[i, j]))
            one = addressing.links_after_write(links[i, j], weighting[i, j], precedence[i, j])
            assert torch.equal(linked[i, j], one)


# Sparse weightings


@SOME
@given(SEEDS)
def test_adding_up_and_spreading_give_the_same_dense_weighting(seed: int) -> None:
    slots = torch.randint(5, (2, 7), generator=torch.Generator().manual_seed(seed))
    weights = uniform(seed + 1, 2, 7)
    first, once = addressing.first_of_slot(slots), addressing.add_up(slots, weights)
    assert torch.equal(slots.gather(1, first), slots)
    torch.testing.assert_close(addressing.spread(slots, once, 5), addressing.spread(slots, weights, 5))
    for row in range(2):
        filled = slots[row][once[row] > 0].tolist()
        assert len(filled) == len(set(filled)) == len(set(slots[row].tolist()))


@SOME
@given(SEEDS)
def test_sparse_following_is_the_matrix_product(seed: int) -> None:
    links = uniform(seed, 7, 7) * (uniform(seed + 1, 7, 7) > 0.5)
    weighting = simplex(seed + 2, 7)
    nothing = torch.tensor([-1])
    slots, weights = torch.cat([torch.randperm(7), nothing]), torch.zeros(8).double()
    weights[:7] = weighting[slots[:7]]
    weights[7] = 0.9  # of no slot
    others = torch.arange(7).expand(7, 7)
    for rows, expected in ((links.T, links @ weighting), (links, links.T @ weighting)):
        found, flow = addressing.follow_links(slots, weights, torch.where(rows > 0, others, -1), rows.contiguous())
        assert found.tolist() == sorted(set(found.tolist()))
        close(torch.zeros(7).double().index_add(0, found, flow), expected.numpy())


def test_gathering_adds_equal_slots_and_drops_the_unused() -> None:
    slots, weights = torch.tensor([3, -1, 1, 3, 2]), torch.tensor([0.25, 0.5, 0.125, 0.5, 0.0])
    found, summed = addressing.gather_weighting(slots, weights)
    assert found.tolist() == [1, 3]
    assert summed.tolist() == [0.125, 0.75]


def test_gathering_nothing_gives_nothing() -> None:
    found, summed = addressing.gather_weighting(torch.tensor([-1, -1]), torch.zeros(2))
    assert found.shape == summed.shape == (0,)


# What holds of all


def test_nothing_passed_in_is_changed() -> None:
    usage, weighting, links = uniform(0, 6), simplex(1, 6), uniform(2, 6, 6)
    copies = usage.clone(), weighting.clone(), links.clone()
    addressing.sharpen(weighting, 2.0)
    addressing.erase_and_add(links, weighting[None], usage[None], usage[None])
    addressing.usage_after_write(usage, weighting, usage)
    addressing.allocation_weighting(usage)
    addressing.least_used(usage, usage > 0.5, 2)
    addressing.precedence_after_write(usage, weighting)
    addressing.links_after_write(links, weighting, usage)
    assert all(torch.equal(now, then) for now, then in zip((usage, weighting, links), copies, strict=True))


def followed(weights: Tensor, link_weights: Tensor) -> Tensor:
    slots, others = torch.tensor([2, 0, -1]), torch.tensor([[1, 2], [2, -1], [0, 1]])
    return addressing.follow_links(slots, weights, others, link_weights)[1]


DIFFERENTIABLE: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "late_interaction": (
        lambda cosines: addressing.late_interaction(cosines, torch.tensor([0, 0, 2, 3, 0, 3]), 4),
        (uniform(1, 6, 3),),
    ),
    "cosine_similarity": (addressing.cosine_similarity, (uniform(31, 2, 3, 4), uniform(32, 2, 5, 4))),
    "masked cosine_similarity": (
        addressing.cosine_similarity,
        (uniform(33, 3, 4), uniform(34, 5, 4), uniform(35, 3, 4)),
    ),
    "content_weighting": (
        addressing.content_weighting,
        (uniform(36, 2, 3, 5), uniform(37, 2, 3), uniform(38, 2, 3, 5)),
    ),
    "content_weighting of heads": (addressing.content_weighting, (uniform(36, 2, 3, 5), uniform(37, 2, 3))),
    "interpolate": (addressing.interpolate, (uniform(39, 2, 5), uniform(40, 2, 5), uniform(41, 2))),
    "shift": (addressing.shift, (uniform(42, 2, 5), uniform(43, 2, 3))),
    "sharpen by heads": (addressing.sharpen, (uniform(44, 2, 5) + 0.1, uniform(45, 2) + 1.1)),
    "sharpen_links": (addressing.sharpen_links, (uniform(46, 2, 5) + 0.1, uniform(47, 2) + 1.1)),
    "read": (addressing.read, (uniform(48, 2, 5, 3), uniform(49, 2, 4, 5))),
    "add_up": (lambda w: addressing.add_up(torch.tensor([2, 0, 2, 1]), w), (uniform(50, 4),)),
    "spread": (lambda w: addressing.spread(torch.tensor([2, 0, 2, 1]), w, 5), (uniform(51, 4),)),
    "gather_weighting": (
        lambda w: addressing.gather_weighting(torch.tensor([2, -1, 2, 1]), w)[1],
        (uniform(52, 4) + 0.1,),
    ),
    "allocation_weighting of a batch": (addressing.allocation_weighting, (uniform(53, 2, 5),)),
    "links_after_write of a batch": (
        addressing.links_after_write,
        (uniform(54, 2, 4, 4), uniform(55, 2, 4) / 4, uniform(56, 2, 4)),
    ),
    "sharpen": (lambda w: addressing.sharpen(w, 2.5), (uniform(3, 6) + 0.1,)),
    "erase_and_add": (
        addressing.erase_and_add,
        (uniform(4, 5, 3), uniform(5, 2, 5), uniform(6, 2, 3), uniform(7, 2, 3)),
    ),
    "usage_after_write": (addressing.usage_after_write, (uniform(8, 5), uniform(9, 5), uniform(10, 5))),
    "retention": (addressing.retention, (uniform(11, 2, 5), uniform(12, 2))),
    "allocation_weighting": (addressing.allocation_weighting, (uniform(13, 6),)),
    "precedence_after_write": (addressing.precedence_after_write, (uniform(14, 6), uniform(15, 6) / 6)),
    "links_after_write": (addressing.links_after_write, (uniform(16, 4, 4), uniform(17, 4) / 4, uniform(18, 4))),
    "follow_links": (followed, (uniform(19, 3) + 0.1, uniform(20, 3, 2) + 0.1)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_the_equations(name: str) -> None:
    function, arguments = DIFFERENTIABLE[name]
    assert torch.autograd.gradcheck(function, tuple(each.clone().requires_grad_() for each in arguments))


def test_a_slot_of_no_prior_passes_no_gradient_to_the_others() -> None:
    similarity = torch.tensor([0.1, 0.5, 0.3], requires_grad=True)
    addressing.content_weighting(similarity, torch.tensor(12.0), torch.tensor([1.0, 0.0, 0.5]))[0].backward()  # type: ignore[no-untyped-call]
    assert similarity.grad is not None
    assert torch.isfinite(similarity.grad).all()
    assert similarity.grad[1] == 0.0


def test_dense_addressing_is_the_same_on_every_device(device: torch.device) -> None:
    usage, weighting, links = uniform(0, 6).float(), simplex(1, 6).float(), uniform(2, 6, 6).float()
    close(addressing.allocation_weighting(usage.to(device)), addressing.allocation_weighting(usage).double().numpy())
    there = addressing.links_after_write(links.to(device), weighting.to(device), usage.to(device))
    close(there, addressing.links_after_write(links, weighting, usage).double().numpy())


def test_a_tensor_of_the_wrong_shape_is_refused_while_the_tests_run() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        addressing.precedence_after_write(torch.zeros(3), torch.zeros(4))


def test_one_least_used_slot_is_found_without_putting_all_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    usage, protected = torch.rand(4096).round(decimals=2), torch.rand(4096) < 0.2
    several = addressing.least_used(usage, protected, 2)
    monkeypatch.setattr(torch, "sort", None)
    assert addressing.least_used(usage, protected, 1).tolist() == several[:1].tolist()
