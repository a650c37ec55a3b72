"""How many bytes autograd keeps of a forward pass for the backward one: each storage once, parameters left out."""

from collections.abc import Iterable
from typing import Self

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class Kept(saved_tensors_hooks):
    """Counts while it is open. A tensor that shares another's storage adds nothing; a view counts its whole storage.

    >>> with Kept(network.parameters()) as kept:
    ...     outputs, state = network(sequence)
    >>> kept.bytes
    """

    def __init__(self, apart: Iterable[Tensor] = ()) -> None:
        self._apart = {tensor.untyped_storage().data_ptr() for tensor in apart}
        self._storages: dict[int, int] = {}
        super().__init__(self._note, lambda tensor: tensor)

    def __enter__(self) -> Self:  # type: ignore[override]  # PyTorch's own hands nothing back
        super().__enter__()
        return self

    @property
    def bytes(self) -> int:
        return sum(self._storages.values())

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._apart:  # as long as the graph lives, so do these addresses
            self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor
