"""What a memory holds: frozen dataclasses of tensors, handed in and handed back, never hidden in a module.

Every state shares the operations of `TensorState`; `EpisodicState` is the memory of one user of the assistant, the
others stand beside the networks whose states they are.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Int8, UInt8, jaxtyped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

State = TypeVar("State", bound="TensorState")  # typing.Self defeats the run-time check of annotations


class StateError(ValueError):
    """A state that cannot be used: a file of another kind or schema, or tensors whose shapes disagree."""


@dataclasses.dataclass(frozen=True)
class TensorState:
    """A frozen record of tensors. Subclasses only add fields and raise `schema` when their meaning changes.

    A field is a tensor or a state itself, whose fields then count as this one's: `controller.carried`.
    """

    schema: ClassVar[int] = 1

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, in order of declaration; themselves, not copies."""
        found: dict[str, Tensor] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            inner = {"": value} if isinstance(value, Tensor) else value.tensors()
            found |= {f"{field.name}.{name}" if name else field.name: tensor for name, tensor in inner.items()}
        return found

    def _each(self: State, change: Callable[[str, Tensor], Tensor]) -> State:
        return self._of({name: change(name, tensor) for name, tensor in self.tensors().items()})

    @classmethod
    def _of(cls: type[State], tensors: Mapping[str, Tensor]) -> State:
        """The state of these tensors, named as `tensors` names them."""
        return cls(**{field.name: _value(field.name, field.type, tensors) for field in dataclasses.fields(cls)})

    def detach(self: State) -> State:
        """The same values, cut from the graph that computed them."""
        return self._each(lambda _, tensor: tensor.detach())

    def clone(self: State) -> State:
        """A copy that shares no storage with this state."""
        return self._each(lambda _, tensor: tensor.clone())

    def to(self: State, device: torch.device | str) -> State:
        """This state on `device`; types are kept, so that addressing stays in fp32."""
        return self._each(lambda _, tensor: tensor.to(device))

    def index_select(self: State, index: Int[Tensor, " picked"]) -> State:
        """The picked members of a batch of states (see `stack`), as a batch."""
        return self._each(lambda _, tensor: tensor.index_select(0, index))

    def where(self: State, rows: Bool[Tensor, " batch"], other: State) -> State:
        """The marked rows of a batch from this state, the others from `other`; a tensor they share stays as it is."""
        others = other.tensors()

        def merged(name: str, tensor: Tensor) -> Tensor:
            if tensor is others[name]:
                return tensor
            return torch.where(rows.reshape(-1, *[1] * (tensor.dim() - 1)), tensor, others[name])

        return self._each(merged)

    @classmethod
    def stack(cls: type[State], states: Sequence[State]) -> State:
        """One state with a leading batch dimension out of several of equal shapes.

        Raises:
            StateError: no states, or states of different sizes.
        """
        if not states:
            raise StateError("stack: no states")
        each = [state.tensors() for state in states]
        columns = {name: [tensors[name] for tensors in each] for name in each[0]}
        if any(tensor.shape != column[0].shape for column in columns.values() for tensor in column):
            raise StateError("stack: states of different sizes; bring them to one size first")
        return cls._of({name: torch.stack(column) for name, column in columns.items()})

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
        kinds = _kinds(cls)
        try:
            with safe_open(str(path), "pt", str(device)) as file:
                found = file.metadata() or {}
                if (found.get("state"), found.get("schema")) != (cls.__name__, str(cls.schema)):
                    raise StateError(f"{path}: not a {cls.__name__} of schema {cls.schema}: {found}")
                if set(file.keys()) != set(kinds):
                    raise StateError(f"{path}: its tensors are not those of a {cls.__name__}")
                # Copied into memory of their own: how a file's tensors are aligned may change a product's last bit.
                return cls._of(_fitting(kinds, {name: file.get_tensor(name).clone() for name in kinds}, path))
        except SafetensorError as error:
            raise StateError(f"{path}: not a safetensors file ({error})") from None


def _value(name: str, kind: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not _is_state(kind):
        return tensors[name]
    return kind._of({inner.removeprefix(f"{name}."): t for inner, t in tensors.items() if inner.startswith(f"{name}.")})


def _is_state(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, TensorState)


def _kinds(state: type[TensorState]) -> dict[str, Any]:
    """The annotation of every tensor that a state holds, those of the states within it too."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(state):
        inner = _kinds(field.type) if _is_state(field.type) else {"": field.type}  # type: ignore[arg-type]
        found |= {f"{field.name}.{name}" if name else field.name: kind for name, kind in inner.items()}
    return found


def _fitting(kinds: dict[str, Any], tensors: dict[str, Tensor], path: Path | str) -> dict[str, Tensor]:
    with jaxtyped("context"):
        for name, kind in kinds.items():
            if not isinstance(tensors[name], kind):
                raise StateError(f"{path}: {name} has a shape or type that does not fit the other tensors")
    return tensors


@dataclasses.dataclass(frozen=True)
class EpisodicState(TensorState):
    """One user's memory, a row a slot, or a part of one: while there are free slots, row and slot have the same number;
    in a memory that is full, rows share slots, row r being in slot r modulo `capacity`. The rows held grow as it fills.

    A free row has source 0; the other sources are the numbers of messages in their user's log, from 1. They also
    tell the time: `clock` is the last number written, `touched` what it was when a row was last written or read.
    `said_at` is when what a row holds was said, in seconds since 1970; 0 where that is not known. From `event_from` to
    `event_to` is the time that it tells of, both 0 where it names none. `sentence` is the direction of the mean facet
    of all that was said there, stopwords included, in whole numbers; `meaning` is that of the multilingual encoder's
    vector, without parts where there is none. `foreign_share` tells how far the first encoder was never taught such
    text. `standing` is the probability that it holds until
    revoked. `feature_bits` has a bit a feature (see `message_features`); `speaker_tokens` are the token ids of the
    speaker's name, then -1.
    Links are row-sparse: row j of `forward_*` lists the rows written after row j, row i of `backward_*` those before
    row i, both with their weight L[i, j] of the temporal link matrix. Unused places hold -1 and weight 0.
    """

    schema: ClassVar[int] = 5

    words: UInt8[Tensor, "*batch slots facets bytes"]
    token_ids: Int[Tensor, "*batch slots facets"]
    keys: Float[Tensor, "*batch slots word"]
    sentence: Int8[Tensor, "*batch slots word"]
    meaning: Int8[Tensor, "*batch slots meaning"]
    source: Int[Tensor, "*batch slots"]
    part: Int[Tensor, "*batch slots"]
    touched: Int[Tensor, "*batch slots"]
    said_at: Int[Tensor, "*batch slots"]
    event_from: Int[Tensor, "*batch slots"]
    event_to: Int[Tensor, "*batch slots"]
    feature_bits: Int[Tensor, "*batch slots"]
    speaker_tokens: Int[Tensor, "*batch slots voice"]
    usage: Float[Tensor, "*batch slots"]
    strength: Float[Tensor, "*batch slots"]
    standing: Float[Tensor, "*batch slots"]
    foreign_share: Float[Tensor, "*batch slots"]
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
    def rows(self) -> int:
        """Rows held now, used or free."""
        return self.source.shape[-1]

    def rows_of(self, slot: int) -> Int[Tensor, " used"]:
        """The rows in use that share a slot, in order; `slot` is below the capacity."""
        capacity = int(self.capacity)
        return (self.source[slot::capacity] > 0).nonzero().squeeze(1) * capacity + slot

    @property
    def slots_used(self) -> int:
        """Slots that hold something."""
        used = (self.source > 0).nonzero().squeeze(1)
        return len(used) if self.rows <= int(self.capacity) else len(torch.unique(used % self.capacity))
