"""Hopfield networks: laws of their energies, what they hold, and the modern ones as layers and as a store."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memory_core import hopfield
from memory_core.hopfield import (
    AssociativeStore,
    ClassicalHopfield,
    Hopfield,
    HopfieldConfig,
    HopfieldLookup,
    HopfieldPooling,
    StoreState,
)
from tests.memory_core.factories import differing

SOME = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**31)


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(seed)).float() * 2 - 1


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Classical


def test_hebbian_weights_are_the_sum_over_patterns() -> None:
    patterns = signs(0, 3, 5)
    network = ClassicalHopfield.hebbian(patterns)
    for i in range(5):
        for j in range(5):
            expected = sum(float(x[i] * x[j]) for x in patterns) / 5 if i != j else 0.0
            assert float(network.weights[i, j]) == pytest.approx(expected, abs=1e-6)


@SOME
@given(SEEDS)
def test_no_asynchronous_update_raises_the_energy(seed: int) -> None:
    network, states = ClassicalHopfield.hebbian(signs(seed, 6, 20)), signs(seed + 1, 4, 20)
    for sweep in range(5):
        after, _ = network.recall(states, sweeps=1, random=torch.Generator().manual_seed(sweep))
        assert (network.energy(after) <= network.energy(states) + 1e-5).all()
        states = after


def test_asynchronous_recall_ends_in_a_fixed_point_and_synchronous_at_worst_in_a_cycle_of_two() -> None:
    network, states = ClassicalHopfield.hebbian(signs(2, 12, 30)), signs(3, 8, 30)
    ended, sweeps = network.recall(states)
    assert sweeps < 100
    assert torch.equal(network.recall(ended, updates="synchronous")[0], ended)
    cycled, _ = network.recall(states, sweeps=200, updates="synchronous")
    assert torch.equal(network.recall(cycled, sweeps=2, updates="synchronous")[0], cycled)


@pytest.mark.parametrize("updates", ["asynchronous", "synchronous"])
def test_few_patterns_are_restored_from_noise(updates: str) -> None:
    patterns = signs(4, 8, 200)  # 0.04 N
    noisy = torch.where(torch.rand(8, 200, generator=torch.Generator().manual_seed(5)) < 0.15, -patterns, patterns)
    restored, _ = ClassicalHopfield.hebbian(patterns).recall(noisy, updates=updates)  # type: ignore[arg-type]
    assert torch.equal(restored, patterns)


def test_the_pseudo_inverse_holds_what_hebbs_rule_cannot() -> None:
    patterns = signs(6, 50, 100)
    one, other = ClassicalHopfield.pseudo_inverse(patterns), ClassicalHopfield.hebbian(patterns)
    assert torch.equal(one.recall(patterns)[0], patterns)
    assert not torch.equal(other.recall(patterns)[0], patterns)


def test_a_write_adds_a_pattern_and_leaves_the_network_it_came_from() -> None:
    patterns = signs(7, 4, 60)
    first = ClassicalHopfield.hebbian(patterns[:3])
    before = first.clone()
    torch.testing.assert_close(first.write(patterns[3:]).weights, ClassicalHopfield.hebbian(patterns).weights)
    assert int(first.write(patterns[3:]).count) == 4
    assert differing(first, before) == []


def test_a_classical_network_comes_back_from_its_file(tmp_path: Path) -> None:
    network = ClassicalHopfield.hebbian(signs(8, 3, 9))
    network.save(tmp_path / "network")
    assert differing(ClassicalHopfield.load(tmp_path / "network"), network) == []


# Modern


@SOME
@given(SEEDS, st.floats(0.1, 8.0))
def test_no_update_raises_the_modern_energy_which_is_never_negative(seed: int, beta: float) -> None:
    stored, states = normal(seed, 7, 5), normal(seed + 1, 3, 5)
    for _ in range(4):
        after, weights = hopfield.update(states, stored, beta)
        before, now = hopfield.energy(states, stored, beta), hopfield.energy(after, stored, beta)
        assert (now <= before + 1e-9).all()
        assert (before >= -1e-9).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(3).double())
        states = after


def test_an_update_is_the_equation() -> None:
    stored, state, beta = normal(0, 4, 3), normal(1, 1, 3), 1.7
    exponentials = [math.exp(beta * float(x @ state[0])) for x in stored]
    expected = sum(e / sum(exponentials) * x for e, x in zip(exponentials, stored, strict=True))
    torch.testing.assert_close(hopfield.update(state, stored, beta)[0][0], expected)
    assert torch.autograd.gradcheck(
        lambda s, x: hopfield.update(s, x, beta)[0], (state.requires_grad_(), stored.requires_grad_())
    )


def test_one_update_finds_patterns_that_lie_apart_and_errs_less_the_further() -> None:
    patterns = normal(2, 100, 64)
    assert float(hopfield.separation(patterns).min()) > 0
    errors = []
    for beta in (0.05, 0.2, 1.0):
        found, _ = hopfield.retrieve(patterns + 0.1 * normal(3, 100, 64), patterns, beta)
        errors.append(float((found - patterns).norm(dim=-1).max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_separation_is_the_gap_to_the_most_alike() -> None:
    patterns = normal(4, 5, 3)
    for i, gap in enumerate(hopfield.separation(patterns)):
        nearest = max(float(patterns[i] @ patterns[j]) for j in range(5) if j != i)
        assert float(gap) == pytest.approx(float(patterns[i] @ patterns[i]) - nearest)


def test_retrieval_stops_when_nothing_moves_and_each_state_by_itself() -> None:
    stored, states = normal(5, 6, 4), normal(6, 3, 4)
    together, _ = hopfield.retrieve(states, stored, 2.0, steps=200, tolerance=1e-8)
    torch.testing.assert_close(hopfield.update(together, stored, 2.0)[0], together, atol=1e-6, rtol=0)
    for state, found in zip(states, together, strict=True):
        alone, _ = hopfield.retrieve(state[None], stored, 2.0, steps=200, tolerance=1e-8)
        torch.testing.assert_close(alone[0], found, atol=1e-12, rtol=0)


def test_retrieval_runs_in_single_precision_under_autocast() -> None:
    stored = normal(7, 6, 4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = hopfield.retrieve(stored.bfloat16().float(), stored, 2.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, hopfield.retrieve(stored.bfloat16().float(), stored, 2.0)[0])


def test_the_layers_give_their_shapes_and_pass_gradients() -> None:
    torch.manual_seed(0)
    states, stored = torch.randn(2, 3, 5), torch.randn(2, 7, 6)
    config = HopfieldConfig(hidden=8, heads=2, steps=3)
    for layer, inputs, shape in (
        (Hopfield(5, 6, 4, config), (states, stored), (2, 3, 4)),
        (HopfieldPooling(6, 4, quantity=2, config=config), (stored,), (2, 2, 4)),
        (HopfieldLookup(5, 4, quantity=9, config=config), (states,), (2, 3, 4)),
    ):
        found = layer(*inputs)
        assert found.shape == shape
        found.square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())


def test_patterns_that_are_not_held_change_nothing() -> None:
    torch.manual_seed(0)
    layer, states, stored = Hopfield(5, 6, 4), torch.randn(2, 3, 5), torch.randn(2, 7, 6)
    held = torch.arange(7).expand(2, -1) < 4
    torch.testing.assert_close(layer(states, stored, held), layer(states, stored[:, :4]))
    nothing = layer(states, stored, torch.zeros(2, 7, dtype=torch.bool))
    assert torch.isfinite(nothing).all()


def test_one_step_of_one_head_is_attention() -> None:
    torch.manual_seed(0)
    layer, states, stored = Hopfield(5, 6, 4, HopfieldConfig(hidden=8)), torch.randn(2, 3, 5), torch.randn(2, 7, 6)
    queries, keys = layer.query(layer.norm_states(states)), layer.key(layer.norm_stored(stored))
    expected = torch.nn.functional.scaled_dot_product_attention(queries, keys, keys)
    torch.testing.assert_close(layer(states, stored), layer.value(expected))


# The store


def test_a_store_restores_what_was_written_from_half_of_it() -> None:
    store, patterns = AssociativeStore(beta=0.5), signs(9, 2, 30, 128)
    state = store.write(store.initial_state(2, slots=50, units=128), patterns)
    cues = patterns.clone()
    cues[..., 64:] = 0.0
    restored, weights = store.read(state, cues)
    torch.testing.assert_close(restored, patterns, atol=1e-3, rtol=0)
    assert torch.equal(weights.argmax(-1), torch.arange(30).expand(2, -1))
    assert (weights[..., 30:] == 0).all()


@SOME
@given(SEEDS, st.lists(st.integers(0, 12), max_size=6))
def test_a_full_store_forgets_the_oldest_however_the_writes_come(seed: int, sizes: list[int]) -> None:
    store, patterns = AssociativeStore(beta=1.0), normal(seed, 1, sum(sizes), 3).float()
    state, start = store.initial_state(1, slots=5, units=3), 0
    for size in sizes:
        before = state.clone()
        written = store.write(state, patterns[:, start : start + size])
        assert differing(state, before) == []
        state, start = written, start + size
    newest = patterns[0, max(0, start - 5) :].tolist()
    held = state.patterns[0, : min(start, 5)].tolist()
    assert sorted(held) == sorted(newest)


def test_an_empty_store_recalls_nothing_and_comes_back_from_its_file(tmp_path: Path) -> None:
    store = AssociativeStore(beta=1.0)
    state = store.initial_state(1, slots=5, units=3)
    found, weights = store.read(state, torch.ones(1, 2, 3))
    assert (found == 0).all()
    assert (weights == 0).all()
    state.save(tmp_path / "store")
    assert differing(StoreState.load(tmp_path / "store"), state) == []
