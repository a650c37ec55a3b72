"""What holds of every recurrent member, and each defect that users met in public code bases."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from memory_core.controllers import ControllerConfig
from memory_core.models import NAMES, Name, build
from memory_core.recurrent import Recurrent
from memory_core.state import TensorState
from tests.memory_core.factories import differing

INPUTS, OUTPUTS = 5, 4
SMALL = {"slots": 12, "word": 6, "read_heads": 2}
CONTROLLER = ControllerConfig(hidden=8, heads=2, window=4)
WITH_MEMORY = [name for name in NAMES if name not in ("feedforward", "rnn", "gru", "lstm", "transformer")]

every_member = pytest.mark.parametrize("name", NAMES)
every_memory = pytest.mark.parametrize("name", WITH_MEMORY)


def member(name: Name, **overrides: Any) -> Recurrent[Any]:
    torch.manual_seed(3)
    sizes: dict[str, Any] = SMALL | {"controller": CONTROLLER} | overrides
    return build(name, INPUTS, OUTPUTS, **sizes)


def sequences(batch: int = 3, time: int = 9, seed: int = 0) -> Tensor:
    return torch.randn(batch, time, INPUTS, generator=torch.Generator().manual_seed(seed))


def assert_alike(one: TensorState, other: TensorState, tolerance: float = 1e-5) -> None:
    for name, tensor in one.tensors().items():
        torch.testing.assert_close(tensor, other.tensors()[name], atol=tolerance, rtol=tolerance, msg=name)


# The contract


@every_member
def test_a_sequence_gives_outputs_batch_first(name: Name) -> None:
    outputs, state = member(name)(sequences(batch=2, time=7))
    assert outputs.shape == (2, 7, OUTPUTS)
    assert {len(tensor) for tensor in state.tensors().values()} == {2}


@every_member
def test_an_empty_sequence_changes_nothing(name: Name) -> None:
    network = member(name)
    outputs, state = network(sequences(time=0))
    assert outputs.shape == (3, 0, OUTPUTS)
    assert differing(state, network.initial_state(3)) == []


@every_member
def test_steps_are_the_sequence(name: Name) -> None:
    network, sequence = member(name), sequences()
    outputs, after = network(sequence)
    state = network.initial_state(3)
    for time in range(sequence.shape[1]):
        output, state = network.step(sequence[:, time], state)
        torch.testing.assert_close(output, outputs[:, time], atol=1e-6, rtol=0)
    assert_alike(state, after)


@every_member
def test_chunks_are_the_whole(name: Name) -> None:
    network, sequence = member(name), sequences()
    whole, after = network(sequence)
    first, between = network(sequence[:, :4])
    second, end = network(sequence[:, 4:], between)
    assert torch.equal(torch.cat([first, second], 1), whole)
    assert differing(end, after) == []


@every_member
def test_gradients_of_chunks_are_those_of_the_whole(name: Name) -> None:
    network, sequence = member(name), sequences()
    network(sequence)[0].square().sum().backward()
    whole = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()
    first, between = network(sequence[:, :4])
    second, _ = network(sequence[:, 4:], between)
    torch.cat([first, second], 1).square().sum().backward()  # type: ignore[no-untyped-call]
    chunks = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(whole) == len(chunks) == len(list(network.parameters()))
    for one, other in zip(whole, chunks, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@every_member
def test_a_row_stops_at_its_length(name: Name) -> None:
    network, sequence, lengths = member(name), sequences(), torch.tensor([9, 4, 0])
    outputs, state = network(sequence, None, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, after = network(sequence[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], atol=1e-6, rtol=0)
        assert (outputs[row, length:] == 0).all()
        assert_alike(state.index_select(torch.tensor([row])), after)


@every_member
def test_a_batch_permutes_with_its_rows(name: Name) -> None:
    network, sequence, order = member(name), sequences(), torch.tensor([2, 0, 1])
    outputs, state = network(sequence)
    permuted, moved = network(sequence[order])
    torch.testing.assert_close(permuted, outputs[order], atol=1e-6, rtol=0)
    assert_alike(moved, state.index_select(order))


@every_member
def test_a_saved_state_goes_on_bit_for_bit(name: Name, tmp_path: Path) -> None:
    network, sequence = member(name), sequences()
    _, state = network(sequence[:, :5])
    state.detach().save(tmp_path / "state.safetensors")
    back = type(state).load(tmp_path / "state.safetensors")
    assert differing(back, state.detach()) == []
    one, other = network(sequence[:, 5:], state), network(sequence[:, 5:], back)
    assert torch.equal(one[0], other[0])
    assert differing(one[1], other[1]) == []


@every_member
def test_saved_weights_give_the_same_network(name: Name, tmp_path: Path) -> None:
    network, twin = member(name), member(name)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    twin.load_state_dict(network.state_dict())
    one, other = network(sequences()), twin(sequences())
    assert torch.equal(one[0], other[0])
    assert differing(one[1], other[1]) == []


# What users met elsewhere


@every_member
def test_the_callers_state_is_left_alone(name: Name) -> None:
    network, sequence = member(name), sequences()
    _, state = network(sequence)
    before = state.clone()
    network(sequence, state)[0].sum().backward()
    network.step(sequence[:, 0], state)
    assert differing(state, before) == []


@every_member
def test_the_initial_state_is_the_same_at_every_call_and_for_every_row(name: Name) -> None:
    network = member(name)
    one, other = network.initial_state(2), network.initial_state(2)
    assert differing(one, other) == []
    assert differing(one, one.index_select(torch.tensor([1, 0]))) == []
    assert torch.equal(network(sequences())[0], network(sequences())[0])


@every_memory
def test_previous_reads_reach_the_controller(name: Name) -> None:
    network = member(name)
    _, state = network(sequences())
    reads = state.reads.detach().requires_grad_()
    _, after = network.step(sequences()[:, 0], _replaced(state.detach(), reads=reads))
    (gradient,) = torch.autograd.grad(after.controller.carried.sum(), reads)
    assert (gradient.abs().amax((0, 2)) > 0).all(), "of every head"


@every_memory
def test_what_was_written_is_read_later(name: Name) -> None:
    network, sequence = member(name, controller=ControllerConfig("feedforward", hidden=8)), sequences()
    sequence.requires_grad_()
    (gradient,) = torch.autograd.grad(network(sequence)[0][:, -1].sum(), sequence)
    assert (gradient[:, :-2].abs().sum((1, 2)) > 0).all(), "the controller carries nothing, so the memory must"


@every_memory
def test_the_memory_may_be_enlarged_after_training(name: Name) -> None:
    network = member(name)
    outputs, state = network(sequences(), network.initial_state(3, slots=40))
    assert state.memory.shape == (3, 40, SMALL["word"])
    assert state.read_weighting.shape == (3, SMALL["read_heads"], 40)
    assert torch.isfinite(outputs).all()


@every_memory
def test_weightings_are_exposed_and_lie_in_the_simplex(name: Name) -> None:
    network = member(name)
    state = network.initial_state(3)
    for time in range(9):
        _, state = network.step(sequences()[:, time], state)
        for weighting, heads in ((state.read_weighting, SMALL["read_heads"]), (state.write_weighting, 1)):
            assert weighting.shape == (3, heads, SMALL["slots"])
            assert (weighting >= -1e-6).all()
            assert (weighting.sum(-1) <= 1 + 1e-5).all()


@every_member
@pytest.mark.parametrize("scale", [0.0, 1e-20, 30.0, 1e4])
def test_inputs_of_any_size_give_finite_outputs_and_gradients(name: Name, scale: float) -> None:
    network = member(name)
    outputs, state = network(sequences(time=30) * scale)
    outputs.square().mean().backward()
    assert torch.isfinite(outputs).all()
    assert all(torch.isfinite(tensor).all() for tensor in state.tensors().values())
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@every_member
def test_addressing_stays_in_single_precision_under_autocast(name: Name) -> None:
    network = member(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = network(sequences(time=20))
    assert {tensor.dtype for tensor in state.tensors().values() if tensor.is_floating_point()} == {torch.float32}
    outputs.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@every_member
def test_members_run_in_double_precision(name: Name) -> None:
    network = member(name).double()
    outputs, _ = network(sequences().double())
    assert outputs.dtype == torch.float64
    single = member(name)(sequences())[0]
    torch.testing.assert_close(outputs.float(), single, atol=1e-4, rtol=1e-4)


@every_member
def test_members_run_on_every_device(name: Name, device: torch.device) -> None:
    network = member(name).to(device)
    outputs, _ = network(sequences().to(device), None, torch.tensor([9, 4, 1], device=device))
    torch.testing.assert_close(outputs.cpu(), member(name)(sequences(), None, torch.tensor([9, 4, 1]))[0])


# Controllers are interchangeable


@every_memory
@pytest.mark.parametrize("kind", ["feedforward", "rnn", "gru", "lstm", "transformer"])
def test_any_controller_drives_any_memory(name: Name, kind: Any) -> None:
    controller = ControllerConfig(kind, hidden=8, layers=2, heads=2, window=4)
    network = member(name, controller=controller)
    outputs, _ = network(sequences())
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_an_unknown_member_or_field_is_refused() -> None:
    with pytest.raises(ValueError, match="dnc"):
        build("abacus", 3, 3)
    with pytest.raises(TypeError):
        build("dnc", 3, 3, beads=7)


def _replaced(state: Any, **changes: Tensor) -> Any:
    return type(state)._of(state.tensors() | changes)
