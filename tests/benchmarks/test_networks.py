"""What the network benchmarks count and how they judge it."""

import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from benchmarks import dnc_baseline as peer
from benchmarks import network_hopfield as hopfield
from benchmarks import network_scaling as scaling
from benchmarks import networks
from benchmarks.kept_bytes import Kept
from benchmarks.network_scaling import DENSE, SPARSE, UNLINKED, Cost, Training

# What autograd keeps


def test_a_storage_is_counted_once_and_the_parameters_not_at_all() -> None:
    weight = torch.rand(10, 10, requires_grad=True)
    x = torch.rand(10, 10)
    with Kept([weight]) as kept:
        y = (x @ weight) * (x[:5] @ weight).sum()  # x, a view of x, and what the product multiplies
    assert kept.bytes == 2 * 400 + 4
    del y


def test_a_sparse_networks_kept_bytes_do_not_grow_with_its_words() -> None:
    few, many = (scaling._kept(SPARSE, slots, 4, 1)[0] for slots in (64, 4_096))
    assert few == many


def test_a_dense_networks_kept_bytes_grow_with_the_square_of_its_words() -> None:
    few, many = (scaling._kept(DENSE, slots, 4, 1)[0] for slots in (512, 1_024))
    assert 3.5 < many / few < 4


# Scaling


def cost(slots: int, step_ms: float, further_ms: float | None = None, kept: float = 0.0) -> Cost:
    return Cost(slots, step_ms, further_ms, kept, 4)


def test_the_next_size_is_foreseen_from_the_last_two() -> None:
    before = [cost(100, 1.0, kept=1e4), cost(200, 1.0, kept=4e4)]
    assert scaling.expected(before, 400, 10) == pytest.approx(16e4 * 10)


def test_targets_are_judged_by_what_was_measured() -> None:
    costs = {
        DENSE.name: [cost(1_000, 20.0), cost(8_192, 500.0)],
        SPARSE.name: [cost(1_000, 2.0, 2.0), cost(8_192, 2.5, 2.0), cost(100_000, 5.0, 2.2)],
    }
    found = [
        Training(SPARSE.name, 1e6, 9_000_000, ""),
        Training(UNLINKED.name, 2e9, 0, ""),
        Training(DENSE.name, 4e12, 0, ""),
    ]
    judged = scaling.targets(costs, found)
    assert [(ratio, met) for _, ratio, met in judged] == [
        (2.5, False),
        (pytest.approx(1.1), True),
        (200.0, True),
        (4e6, True),
        (4e5, True),
        (2_000.0, True),
        (200.0, False),
    ]


def test_a_size_that_a_case_did_not_reach_is_a_dash() -> None:
    table = scaling.costs_table({DENSE.name: [cost(64, 1.0)], SPARSE.name: [cost(64, 2.0, 1.5), cost(256, 2.0, 1.5)]})
    assert table.splitlines()[2:4] == ["| 64 | 1.00 | 2.00 (1.50) |", "| 256 | – | 2.00 (1.50) |"]


def test_a_filled_memory_has_no_fresh_slot_and_the_lengths_of_its_words() -> None:
    network, state = scaling._network(scaling.FULL, 100, 1)
    assert state.fresh.tolist() == [100]
    torch.testing.assert_close(state.inverse_lengths, 1 / state.memory.norm(dim=-1), atol=1e-5, rtol=1e-4)
    outputs, _ = network(torch.rand(1, 3, scaling.WIDTH), state)
    assert outputs.isfinite().all()


# Beside pytorch-dnc


def test_our_network_feeds_reads_back_and_leaves_its_callers_state_alone() -> None:
    with torch.no_grad():
        network = peer.ours(1)
        assert peer.reads_fed_back(network) == 1.0
        assert peer.unlike_in_steps(network) < 1e-6
        assert peer.unlike_again(network) == 0.0
        assert not peer.state_changed(network)
        assert peer.batch_stays_first(network)
        assert peer.reads_fed_back(peer.ours(1, feedback=False)) == 0.0


class Forgetful(torch.nn.Module):
    """A network with the peer's faults: the reads that a call begins with go into every step, and its state changes."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = torch.nn.Linear(peer.TASK.inputs + peer.WORD, peer.WORD)

    def run(self, sequence: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        state = [torch.rand(len(sequence), peer.WORD)] if state is None else state
        given = [torch.cat([step, state[0]], 1) for step in sequence.unbind(1)]
        outputs = [self.controller(one) for one in given]
        state[0] = outputs[-1]
        return torch.stack(outputs), state


def test_the_faults_of_a_network_are_seen() -> None:
    module = Forgetful()
    network = peer.Network("forgetful", module, module.run, module.controller, lambda state: state[0])
    with torch.no_grad():
        assert peer.reads_fed_back(network) == 0.0
        assert peer.unlike_again(network) > 0.0
        assert peer.state_changed(network)
        assert not peer.batch_stays_first(network)


def test_a_peer_that_is_not_there_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dnc", ModuleType("dnc"))
    with pytest.raises(SystemExit, match="make bench-networks"):
        networks.main(["peer", "--peer", str(tmp_path), "--document", str(tmp_path / "page.md"), "--updates", "0"])


def test_learning_is_told_seed_by_seed() -> None:
    found = {
        peer.OURS: [peer.Learnt(1, 100, 0.001, 2.0), peer.Learnt(2, None, 0.5, 2.5)],
        peer.PEER: [peer.Learnt(1, 1_200, 0.002, 5.0), peer.Learnt(2, 300, 0.003, 3.0)],
    }
    assert peer.learning_table(found).splitlines()[2:] == [
        "| memory_core.DNC | 1 of 2 | 100, not | 0.001, 0.500 | 2.00 | 1.00× |",
        "| pytorch-dnc | 2 of 2 | 1,200, 300 | 0.002, 0.003 | 3.00 | 1.50× |",
    ]


# Hopfield networks


def test_few_patterns_are_kept_whole_and_too_many_are_not() -> None:
    few, many = hopfield.load(0.03, seed=1, units=200), hopfield.load(0.4, seed=1, units=200)
    assert (few.overlap, few.wrong, few.perfect) == (1.0, 0.0, 1.0)
    assert many.perfect < 0.1
    assert many.wrong == pytest.approx((1 - many.overlap) / 2)


def test_growth_is_the_base_of_the_exponential() -> None:
    found = [hopfield.Capacity(n, 2**n, False) for n in (4, 6, 8)] + [hopfield.Capacity(10, 5, True)]
    assert hopfield.growth(found) == pytest.approx(2.0)


def test_capacity_grows_with_the_units_and_says_where_it_stopped_looking() -> None:
    few, more = hopfield.capacity(8, seed=1), hopfield.capacity(16, seed=1)
    assert few.patterns < more.patterns
    assert hopfield.capacity(32, seed=1, most=64) == hopfield.Capacity(32, 64, True)


def test_no_error_of_one_update_is_above_its_bound() -> None:
    found = hopfield.one_step_errors(seed=2, betas=(0.2, 0.6))
    assert len(found.error) == 2 * len(hopfield.LIKENESSES) * hopfield.PATTERNS
    above = [error for error, bound in zip(found.error, found.bound, strict=True) if error > bound + 1e-13]
    assert not above
    assert not math.isnan(sum(found.bound))


def test_characters_are_restored_while_the_networks_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hopfield, "STORED", (3, 80, 1_000))
    images = torch.rand(200, 64, generator=torch.Generator().manual_seed(1)) > 0.5
    found = {(one.stored, one.network): one for one in hopfield.characters(images, seed=1)}
    assert {stored for stored, _ in found} == {3, 80}  # there are not 1,000 images
    assert (80, "pseudo-inverse") not in found  # more patterns than units
    assert found[3, "pseudo-inverse"].exact == found[80, "modern"].exact == 1.0
    assert found[80, "Hebbian"].exact < 0.1
