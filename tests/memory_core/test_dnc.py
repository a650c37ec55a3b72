"""The DNC equals the reference in loops, forward and backward; its options do what they say."""

import dataclasses
from typing import Any

import pytest
import torch

from memory_core.controllers import ControllerConfig
from memory_core.dnc import DNC, DNCConfig
from tests.memory_core import dnc_oracle

TINY = DNCConfig(slots=5, word=3, read_heads=2, controller=ControllerConfig(hidden=6))

OPTIONS: list[dict[str, Any]] = [
    {},
    {"masked": True},
    {"deallocate": True},
    {"link_sharpness": True},
    {"normalised": True},
    {"links": False},
    {"usage_gradient": True},
    {"read_heads": 1},
    {"masked": True, "deallocate": True, "link_sharpness": True, "normalised": True, "usage_gradient": True},
]


def tiny(seed: int = 0, **options: Any) -> DNC:
    torch.manual_seed(seed)
    network = DNC(3, 2, dataclasses.replace(TINY, **options)).double()
    with torch.no_grad():  # strong enough that gates, strengths and modes leave the middle
        network.interface.weight.mul_(3.0)
        network.output.weight.mul_(2.0)
    return network


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "paper")
@pytest.mark.parametrize("seed", [0, 1])
def test_outputs_and_gradients_are_those_of_the_equations(options: dict[str, Any], seed: int) -> None:
    network = tiny(seed, **options)
    sequence = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    ours, _ = network(sequence)
    theirs = torch.stack([dnc_oracle.outputs(network, row) for row in sequence])
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    weights = [sequence, *network.parameters()]
    loss = torch.sin(torch.arange(ours.numel())).reshape(ours.shape)
    for one, other in zip(
        torch.autograd.grad((ours * loss).sum(), weights),
        torch.autograd.grad((theirs * loss).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_memory_filled_and_freed_keeps_finite_gradients_at_usage_0_and_1() -> None:
    network = tiny()
    state = network.initial_state(1)
    state = dataclasses.replace(state, usage=torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]]).double())
    outputs, after = network(torch.randn(1, 6, 3).double(), state)
    outputs.sum().backward()
    assert ((after.usage >= 0) & (after.usage <= 1)).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_de_allocation_erases_what_a_full_free_gate_frees() -> None:
    network = tiny(deallocate=True)
    with torch.no_grad():
        gates = sum(network.parts[:6])
        network.interface.bias[gates : gates + 2] = 1e3  # free gates
        network.interface.bias[gates + 3] = -1e3  # write gate
    state = network.initial_state(1)
    reading = torch.zeros(1, 2, 5).double()
    reading[0, :, 3] = 1.0
    state = dataclasses.replace(state, read_weighting=reading, memory=torch.ones(1, 5, 3).double())
    _, after = network.step(torch.zeros(1, 3).double(), state)
    assert after.memory[0].sum(1).tolist() == [3.0, 3.0, 3.0, 0.0, 3.0]


def test_written_counts_what_was_written_and_can_be_penalised() -> None:
    network = tiny()
    state, total = network.initial_state(2), torch.zeros(2).double()
    for _ in range(4):
        _, state = network.step(torch.randn(2, 3).double(), state)
        total = total + state.write_weighting.sum((1, 2))
    torch.testing.assert_close(state.written, total)
    state.written.mean().backward()  # type: ignore[no-untyped-call]
    assert network.interface.weight.grad is not None
    assert network.interface.weight.grad.abs().sum() > 0


def test_without_links_the_state_grows_with_the_slots_alone() -> None:
    small, large = (tiny(links=False).initial_state(1, slots) for slots in (1000, 2000))
    assert large.nbytes < 2 * small.nbytes


@pytest.mark.parametrize("option", ["bypass_dropout", "memory_dropout"])
def test_dropout_acts_while_training_alone(option: str) -> None:
    network, sequence = tiny(0, **{option: 0.5}), torch.randn(2, 6, 3).double()
    assert not torch.equal(network(sequence)[0], network(sequence)[0])
    network.eval()
    assert torch.equal(network(sequence)[0], network(sequence)[0])
    torch.testing.assert_close(network(sequence)[0], tiny()(sequence)[0])


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="one write head"):
        DNCConfig(write_heads=2)
    with pytest.raises(ValueError, match="links"):
        DNCConfig(links=False, link_sharpness=True)
