"""States are values: they copy, move, stack and come back from a file as they were, or not at all."""

import dataclasses
import random
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState, StateError, TensorState
from tests.memory_core.factories import differing, filled


@dataclasses.dataclass(frozen=True)
class Plain(TensorState):
    values: Float[Tensor, "..."]


@dataclasses.dataclass(frozen=True)
class Other(TensorState):
    values: Float[Tensor, "..."]


@dataclasses.dataclass(frozen=True)
class Holder(TensorState):
    count: Int[Tensor, "*batch"]
    inner: Plain
    other: Other


@pytest.fixture
def lived(small: EpisodicMemory) -> EpisodicState:
    """A full memory with links and a noted reading."""
    state = filled(small, 20)
    used = (state.source > 0).nonzero().flatten()[:3]
    small.note_read_(state, used, torch.tensor([0.5, 0.25, 0.125]))
    return state


def test_a_saved_state_comes_back_bit_for_bit(lived: EpisodicState, tmp_path: Path, device: torch.device) -> None:
    lived.to(device).save(tmp_path / "memory.safetensors")
    back = EpisodicState.load(tmp_path / "memory.safetensors", device)
    assert differing(lived, back) == []
    assert all(tensor.device.type == device.type for tensor in back.tensors().values())
    assert {name: t.dtype for name, t in back.tensors().items()} == {n: t.dtype for n, t in lived.tensors().items()}


def test_a_member_of_a_batch_can_be_saved(lived: EpisodicState, tmp_path: Path) -> None:
    batch = EpisodicState.stack([lived, lived])
    batch.save(tmp_path / "batch.safetensors")
    assert differing(batch, EpisodicState.load(tmp_path / "batch.safetensors")) == []


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    Plain(torch.ones(3)).save(tmp_path / "plain.safetensors")
    for kind in (Other, EpisodicState):
        with pytest.raises(StateError, match=kind.__name__):
            kind.load(tmp_path / "plain.safetensors")


def test_a_file_of_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Plain(torch.ones(3)).save(tmp_path / "plain.safetensors")
    monkeypatch.setattr(Plain, "schema", 2)
    with pytest.raises(StateError, match="schema 2"):
        Plain.load(tmp_path / "plain.safetensors")


def test_a_file_with_other_tensors_is_refused(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Wider(TensorState):
        schema: ClassVar[int] = 1
        values: Float[Tensor, "..."]
        more: Float[Tensor, "..."]

    Wider.__name__ = "Plain"
    Wider(torch.ones(3), torch.ones(3)).save(tmp_path / "wider.safetensors")
    with pytest.raises(StateError, match="tensors"):
        Plain.load(tmp_path / "wider.safetensors")


def test_a_truncated_file_is_refused_wherever_it_ends(lived: EpisodicState, tmp_path: Path) -> None:
    lived.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for length in [0, 1, 7, 8, 9, 100, *(random.Random(0).randrange(len(whole)) for _ in range(20)), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(StateError):
            EpisodicState.load(tmp_path / "cut")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\xff" * 64, b"\x80\x04\x95pickle" * 20, b"\0" * 4096])
def test_a_file_that_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "alien").write_bytes(content)
    with pytest.raises(StateError):
        EpisodicState.load(tmp_path / "alien")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EpisodicState.load(tmp_path / "nowhere")


def test_a_stack_gives_its_members_back(small: EpisodicMemory) -> None:
    states = [filled(small, sources, seed=sources) for sources in (3, 9, 20)]
    batch = EpisodicState.stack(states)
    picked = batch.index_select(torch.tensor([2, 0]))
    for member, state in ((0, states[2]), (1, states[0])):
        alone = {name: tensor[member] for name, tensor in picked.tensors().items()}
        assert differing(EpisodicState(**alone), state) == []


def test_states_of_different_sizes_do_not_stack(small: EpisodicMemory) -> None:
    with pytest.raises(StateError, match="sizes"):
        EpisodicState.stack([small.empty(16), small.empty(64, rows=32)])
    with pytest.raises(StateError, match="no states"):
        EpisodicState.stack([])


def test_a_clone_shares_nothing(lived: EpisodicState) -> None:
    clone = lived.clone()
    assert differing(clone, lived) == []
    for tensor in clone.tensors().values():
        tensor.fill_(3)
    assert set(differing(clone, lived)) == {name for name, tensor in lived.tensors().items() if tensor.numel()}


def test_a_detached_state_is_cut_from_its_graph() -> None:
    values = torch.ones(3, requires_grad=True)
    state = Plain(values * 2)
    assert state.values.requires_grad
    assert not state.detach().values.requires_grad
    assert torch.equal(state.detach().values, state.values)


def test_a_state_moves_as_a_whole_and_keeps_its_types(lived: EpisodicState, device: torch.device) -> None:
    moved = lived.to(device)
    assert differing(moved, lived) == []
    for name, tensor in moved.tensors().items():
        assert (tensor.device.type, tensor.dtype) == (device.type, lived.tensors()[name].dtype)


def test_bytes_are_counted(lived: EpisodicState) -> None:
    assert Plain(torch.zeros(3, 5)).nbytes == 60
    assert lived.nbytes == sum(t.numel() * t.element_size() for t in lived.tensors().values())


def test_a_state_cannot_be_reassigned(lived: EpisodicState) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        lived.clock = torch.tensor(3)  # type: ignore[misc]


def test_slots_and_used_slots_are_counted(small: EpisodicMemory) -> None:
    state = small.empty(64)
    assert (state.rows, state.slots_used) == (16, 0)
    state = filled(small, 3, capacity=64)
    assert state.slots_used == int((state.source > 0).sum()) > 0


# States that hold states


def holding(start: float) -> Holder:
    values = torch.arange(6.0).reshape(3, 2) + start
    return Holder(torch.arange(3) + int(start), Plain(values), Other(-values))


def test_a_state_within_a_state_counts_as_its_own(tmp_path: Path) -> None:
    state = holding(0)
    assert list(state.tensors()) == ["count", "inner.values", "other.values"]
    assert state.nbytes == 3 * 8 + 2 * 6 * 4
    state.save(tmp_path / "holder")
    back = Holder.load(tmp_path / "holder")
    assert differing(back, state) == []
    assert isinstance(back.inner, Plain)
    assert torch.equal(state.index_select(torch.tensor([2])).other.values, -torch.tensor([[4.0, 5.0]]))
    assert torch.equal(Holder.stack([state, state]).inner.values[1], state.inner.values)
    clone = state.clone()
    clone.inner.values.zero_()
    assert differing(clone, state) == ["inner.values"]


def test_a_file_whose_inner_state_does_not_fit_is_refused(tmp_path: Path) -> None:
    state = holding(0)
    dataclasses.replace(state, count=torch.zeros(3)).save(tmp_path / "holder")
    with pytest.raises(StateError, match="count"):
        Holder.load(tmp_path / "holder")


def test_marked_rows_are_taken_from_one_state_and_the_others_from_the_other() -> None:
    one, other = holding(0), holding(100)
    mixed = one.where(torch.tensor([True, False, True]), other)
    assert mixed.count.tolist() == [0, 101, 2]
    assert mixed.inner.values[:, 0].tolist() == [0.0, 102.0, 4.0]
    assert one.where(torch.tensor([True, False, True]), one).count is one.count
