"""What a memory holds: frozen dataclasses of tensors, handed in and handed back, never hidden in a module.

Every state shares the operations of `TensorState`; `EpisodicState` is the memory of one user of the assistant.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float, Int, Int8, jaxtyped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

State = TypeVar("State", bound="TensorState")  # typing.Self defeats the run-time check of annotations


class StateError(ValueError):
    """A state that cannot be used: a file of another kind or schema, or tensors whose shapes disagree."""


@dataclasses.dataclass(frozen=True)
class TensorState:
    """A frozen record of tensors. Subclasses only add tensor fields and raise `schema` when their meaning changes."""

    schema: ClassVar[int] = 1

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name, in order of declaration; the tensors themselves, not copies."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def _each(self: State, change: Callable[[Tensor], Tensor]) -> State:
        return dataclasses.replace(self, **{name: change(tensor) for name, tensor in self.tensors().items()})

    def detach(self: State) -> State:
        """The same values, cut from the graph that computed them."""
        return self._each(torch.Tensor.detach)

    def clone(self: State) -> State:
        """A copy that shares no storage with this state."""
        return self._each(torch.Tensor.clone)

    def to(self: State, device: torch.device | str) -> State:
        """This state on `device`; types are kept, so that addressing stays in fp32."""
        return self._each(lambda tensor: tensor.to(device))

    def index_select(self: State, index: Int[Tensor, " picked"]) -> State:
        """The picked members of a batch of states (see `stack`), as a batch."""
        return self._each(lambda tensor: tensor.index_select(0, index))

    @classmethod
    def stack(cls: type[State], states: Sequence[State]) -> State:
        """One state with a leading batch dimension out of several of equal shapes.

        Raises:
            StateError: no states, or states of different sizes.
        """
        if not states:
            raise StateError("stack: no states")
        columns = [[state.tensors()[field.name] for state in states] for field in dataclasses.fields(cls)]
        if any(tensor.shape != column[0].shape for column in columns for tensor in column):
            raise StateError("stack: states of different sizes; bring them to one size first")
        return cls(*(torch.stack(column) for column in columns))

    @property
    def nbytes(self) -> int:
        """Bytes that the tensors take."""
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def save(self, path: Path | str) -> None:
        """Writes the state as safetensors, with its kind and schema version."""
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.tensors().items()}
        save_file(tensors, str(path), {"state": type(self).__name__, "schema": str(self.schema)})

    @classmethod
    def load(cls: type[State], path: Path | str, device: torch.device | str = "cpu") -> State:
        """Reads what `save` wrote.

        Raises:
            StateError: not a safetensors file, or one of another state or schema version; nothing is half-read.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            with safe_open(str(path), "pt", str(device)) as file:
                found = file.metadata() or {}
                if (found.get("state"), found.get("schema")) != (cls.__name__, str(cls.schema)):
                    raise StateError(f"{path}: not a {cls.__name__} of schema {cls.schema}: {found}")
                if set(file.keys()) != set(names):
                    raise StateError(f"{path}: its tensors are not those of a {cls.__name__}")
                return cls(**_fitting(cls, {name: file.get_tensor(name) for name in names}, path))
        except SafetensorError as error:
            raise StateError(f"{path}: not a safetensors file ({error})") from None


def _fitting(kind: type[TensorState], tensors: dict[str, Tensor], path: Path | str) -> dict[str, Tensor]:
    with jaxtyped("context"):
        for field in dataclasses.fields(kind):
            if not isinstance(tensors[field.name], field.type):  # type: ignore[arg-type]
                raise StateError(f"{path}: {field.name} has a shape or type that does not fit the other tensors")
    return tensors


@dataclasses.dataclass(frozen=True)
class EpisodicState(TensorState):
    """One user's memory. `slots` counts the rows held now, which grow up to the memory's capacity as it fills.

    A free slot has source 0; the other sources are the numbers of messages in their user's log, from 1. They also
    tell the time: `clock` is the last number written, `touched` what it was when a slot was last written or read.
    Links are row-sparse: row j of `forward_*` lists the slots written after slot j, row i of `backward_*` those before
    slot i, both with their weight L[i, j] of the temporal link matrix. Unused places hold slot -1 and weight 0.
    """

    words: Int8[Tensor, "*batch slots facets word"]
    pieces: Int[Tensor, "*batch slots facets"]
    keys: Float[Tensor, "*batch slots word"]
    source: Int[Tensor, "*batch slots"]
    part: Int[Tensor, "*batch slots"]
    touched: Int[Tensor, "*batch slots"]
    usage: Float[Tensor, "*batch slots"]
    strength: Float[Tensor, "*batch slots"]
    reads: Int[Tensor, "*batch slots"]
    forward_slots: Int[Tensor, "*batch slots links"]
    forward_weights: Float[Tensor, "*batch slots links"]
    backward_slots: Int[Tensor, "*batch slots links"]
    backward_weights: Float[Tensor, "*batch slots links"]
    precedence_slots: Int[Tensor, "*batch links"]
    precedence_weights: Float[Tensor, "*batch links"]
    read_slots: Int[Tensor, "*batch read"]
    read_weights: Float[Tensor, "*batch read"]
    piece_counts: Int[Tensor, "*batch pieces"]
    clock: Int[Tensor, "*batch"]
    capacity: Int[Tensor, "*batch"]

    @property
    def slots(self) -> int:
        """Rows held now, used or free."""
        return self.source.shape[-1]

    @property
    def slots_used(self) -> int:
        """Slots that hold something."""
        return int((self.source > 0).sum())
