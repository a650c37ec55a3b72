"""The sparse members equal their dense reference in plain autograd, and cost what they touch."""

import dataclasses
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memory_core import addressing, in_place, lsh_index, sparse_links
from memory_core.controllers import ControllerConfig
from memory_core.sparse_dnc import SparseDNC, SparseDNCConfig, SparseDNCState
from memory_core.sparse_links import SparseLinks
from tests.memory_core.factories import differing
from tests.memory_core.sparse_oracle import DenseRow

SLOTS = 6
TINY = SparseDNCConfig(slots=SLOTS, word=3, controller=ControllerConfig(hidden=7), reads=SLOTS, links=SLOTS)


def tiny(seed: int = 0, **options: Any) -> SparseDNC:
    torch.manual_seed(seed)
    network = SparseDNC(3, 2, dataclasses.replace(TINY, **options)).double()
    with torch.no_grad():
        for interface in (network.read_interface, network.write_interface):
            interface.weight.mul_(4.0)
    return network


def assert_equals_the_reference(network: SparseDNC, slots: int, time: int) -> None:
    sequence = torch.randn(2, time, 3, dtype=torch.float64, requires_grad=True)
    ours, state = network(sequence, network.initial_state(2, slots))
    rows = [DenseRow(network, slots) for _ in range(2)]
    theirs = torch.stack([row.run(x) for row, x in zip(rows, sequence, strict=True)])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(state.memory, torch.stack([row.memory for row in rows]), atol=1e-6, rtol=1e-6)
    weights = [sequence, *network.parameters()]
    chosen, seen = torch.sin(torch.arange(ours.numel())).reshape(ours.shape), torch.cos(state.memory.detach())
    one = torch.autograd.grad((ours * chosen).sum() + (state.memory * seen).sum(), weights)
    held = torch.stack([row.memory for row in rows])
    other = torch.autograd.grad((theirs * chosen).sum() + (held * seen).sum(), weights)
    for ours_, theirs_ in zip(one, other, strict=True):
        torch.testing.assert_close(ours_, theirs_, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("heads", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("temporal", [True, False])
def test_sparse_is_dense_at_k_of_all_slots(temporal: bool, heads: tuple[int, int], seed: int) -> None:
    network = tiny(seed, temporal=temporal, read_heads=heads[0], write_heads=heads[1])
    assert_equals_the_reference(network, SLOTS, time=9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slots", [6, 40])
def test_top_k_rolled_back_gives_the_gradient_of_plain_autograd(seed: int, slots: int) -> None:
    """Longer than the memory, so that slots are written again and again."""
    assert_equals_the_reference(tiny(seed, temporal=False, reads=3, read_heads=2, write_heads=2), slots, time=14)


def test_gradients_reach_the_memory_that_was_handed_in() -> None:
    network, sequence = tiny(temporal=False, reads=3), torch.randn(1, 4, 3).double()
    _, state = network(sequence)
    state = state.detach()

    def read(memory: Tensor) -> tuple[Tensor, Tensor]:
        outputs, after = network(sequence, dataclasses.replace(state, memory=memory))
        return outputs, after.memory

    assert torch.autograd.gradcheck(read, (state.memory.clone().requires_grad_(),))


def test_backward_twice_gives_the_same_and_leaves_the_last_memory_whole() -> None:
    network = tiny(reads=3, links=3)
    outputs, state = network(torch.randn(2, 8, 3).double())
    loss, memory = outputs.sum() + state.memory.square().sum(), state.memory.detach().clone()
    first = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    again = torch.autograd.grad(loss, list(network.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.equal(state.memory, memory)


def test_gradients_of_a_part_are_right_whatever_was_left_out() -> None:
    network, sequence = tiny(temporal=False, reads=3), torch.randn(1, 8, 3).double().requires_grad_()
    outputs, _ = network(sequence)
    late = torch.autograd.grad(outputs[:, 5].sum(), sequence, retain_graph=True)[0]
    torch.autograd.grad(outputs.sum(), sequence, retain_graph=True)
    assert torch.equal(torch.autograd.grad(outputs[:, 5].sum(), sequence)[0], late)
    assert (late[:, 6:] == 0).all()


# The memory in place


def test_gradients_in_place_are_those_of_the_operations() -> None:
    slots = torch.tensor([[2, 0, 2, 4]])
    place = addressing.first_of_slot(slots)

    def chain(memory: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory, first = in_place.fetch(memory.clone(), slots)
        memory = in_place.store(memory, slots, words * first, place)
        memory, second = in_place.fetch(memory, slots)
        return first, second, in_place.seal(memory)

    memory, words = torch.randn(1, 5, 3).double(), torch.randn(1, 4, 3).double()
    assert torch.autograd.gradcheck(chain, (memory.requires_grad_(), words.requires_grad_()))


@pytest.mark.parametrize("temporal", [True, False])
def test_what_training_keeps_does_not_grow_with_the_slots(temporal: bool) -> None:
    def kept(slots: int) -> int:
        network = tiny(reads=3, links=3, temporal=temporal)
        total = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            network(torch.randn(1, 10, 3).double(), network.initial_state(1, slots))
        return total

    assert kept(50_000) == kept(100)


# Searching and allocating


def test_the_least_recently_accessed_slot_is_written() -> None:
    network = tiny(temporal=False, reads=1)
    with torch.no_grad():
        network.write_interface.bias[-2:] = torch.tensor([20.0, -20.0])  # write, to the least recently accessed
        network.write_interface.weight[-2:] = 0.0
        network.read_interface.weight.zero_()  # reads find slot 0, as all are equal to a key of nothing
        network.read_interface.bias.zero_()
    state, written = network.initial_state(1), []
    for _ in range(9):
        _, state = network.step(torch.randn(1, 3).double(), state)
        written.append(int(state.write_weighting[0, 0].argmax()))
    assert written == [0, 1, 2, 3, 4, 5, 1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-2.5, -1e-30, -0.0, 0.0, 1e-38, 0.5, 3.0]), min_size=1, max_size=12), st.data())
def test_the_greatest_come_in_order_the_lowest_number_first(values: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(values)))
    found = addressing.greatest(torch.tensor([values]), count)[0].tolist()
    assert found == sorted(range(len(values)), key=lambda slot: (-values[slot], slot))[:count]


def test_the_greatest_of_many_are_found_the_same_way() -> None:
    values = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    values[1, [17, 4000, 8000]] = 100.0
    found = addressing.greatest(values, 2)
    assert found[0].tolist() == values[0].topk(2).indices.tolist()
    assert found[1].tolist() == [17, 4000]


def test_too_few_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="reads 6"):
        tiny().initial_state(1, slots=5)


# Links


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 5))
def test_links_stay_within_a_weighting_however_few_are_kept(seed: int, writes: int, kept: int) -> None:
    random = torch.Generator().manual_seed(seed)
    links = SparseLinks.none(torch.zeros(()).double(), 1, 7, kept)
    running = torch.tensor([True])
    for _ in range(writes):
        slots = torch.randint(7, (1, 3), generator=random)
        drawn = torch.rand(1, 3, generator=random).double() / 3
        weights = addressing.add_up(slots, drawn).gather(1, addressing.first_of_slot(slots))
        links = sparse_links.write_(links, slots, weights, running)
    assert (links.weights >= 0).all()
    assert (links.weights.sum(-1) <= 1 + 1e-9).all()
    assert (links.weights[links.slots == torch.arange(7)[None, :, None]] == 0).all()
    assert float(links.precedence_weights.sum()) <= 1 + 1e-9
    every = torch.arange(7).reshape(1, 7, 1)
    _, back, _, on = sparse_links.follow(links, every, torch.ones(1, 7, 1).double())
    assert (back.sum(-1) <= 1 + 1e-9).all()
    assert (on >= 0).all()


def test_a_head_that_follows_links_keeps_the_weight_of_the_slots_it_cannot_keep() -> None:
    network = tiny(reads=1)
    state = network.initial_state(1)
    slots, weights, followers = state.links.slots, state.links.weights, state.links.followers
    for later, weight in ((1, 0.6), (2, 0.4)):  # slot 0 leads to both
        slots[0, later, 0], weights[0, later, 0], followers[0, 0, later] = 0, weight, later
    state = dataclasses.replace(state, read_weights=torch.ones_like(state.read_weights))
    modes = torch.tensor([[0.0, 0.0, 100.0]]).double()  # forward alone
    after = network._read(torch.cat([torch.zeros(1, 4).double(), modes], 1), state)
    assert after.read_slots.item() == 1
    assert after.read_weights.item() == pytest.approx(1.0)


def test_rows_that_stopped_keep_their_tables_bit_for_bit() -> None:
    network, sequence = tiny(reads=3, links=2), torch.randn(2, 12, 3).double()
    _, early = network(sequence[:, :5])
    _, late = network(sequence, None, torch.tensor([12, 5]))
    stopped = torch.tensor([1])
    assert differing(early.index_select(stopped), late.index_select(stopped)) == []


# Searching approximately


def full(network: SparseDNC, slots: int) -> SparseDNCState:
    """A memory in which every slot was written, in random words."""
    memory = torch.randn(2, slots, 3, generator=torch.Generator().manual_seed(0)).double()
    hashing = network.config.approximate_above is not None
    return dataclasses.replace(
        network.initial_state(2, slots),
        memory=memory,
        hashes=lsh_index.hashed(memory, lsh_index.projections(3).double()) if hashing else torch.zeros(2, 0, 16).byte(),
        inverse_lengths=addressing.inverse_length(memory),
        fresh=torch.tensor([slots, slots - 2]),
    )


def test_a_shortlist_of_all_slots_gives_the_exact_search() -> None:
    pytest.importorskip("faiss")
    exact, sequence = tiny(reads=3, links=3, read_heads=2), torch.randn(2, 20, 3).double()
    approximate = tiny(reads=3, links=3, read_heads=2, approximate_above=10, candidates=50)
    outputs, state = exact(sequence, full(exact, 50))
    found, after = approximate(sequence, full(approximate, 50))
    torch.testing.assert_close(found, outputs)
    torch.testing.assert_close(after.memory, state.memory)


def test_a_short_shortlist_finds_most_of_what_is_most_similar() -> None:
    pytest.importorskip("faiss")
    memory = torch.randn(1, 5000, 32, generator=torch.Generator().manual_seed(0))
    keys = memory[:, :200] + 0.5 * torch.randn(1, 200, 32, generator=torch.Generator().manual_seed(1))
    directions = lsh_index.projections(32)
    listed = lsh_index.lsh_index(lsh_index.hashed(keys, directions), lsh_index.hashed(memory, directions), 256)
    nearest = addressing.greatest(addressing.cosine_similarity(keys, memory), 4)
    recall = (nearest.unsqueeze(-1) == listed.unsqueeze(-2)).any(-1).float().mean()
    assert float(recall) > 0.9


def test_hashes_are_written_with_the_words() -> None:
    network = tiny(reads=3, approximate_above=1000)
    _, state = network(torch.randn(2, 14, 3).double(), network.initial_state(2, slots=8))
    assert torch.equal(state.hashes, lsh_index.hashed(state.memory, network.directions))
    torch.testing.assert_close(state.inverse_lengths, addressing.inverse_length(state.memory))


def test_a_small_memory_is_searched_exactly_and_needs_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    network = tiny(reads=3, approximate_above=10)
    network(torch.randn(2, 5, 3).double())
    with pytest.raises(ImportError, match=r"mneme\[approximate\]"):
        network(torch.randn(2, 5, 3).double(), full(network, 50))
