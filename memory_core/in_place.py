"""A memory read and written in place, whose training costs what is touched and not what is held.

Plain autograd keeps a copy of the memory at every step. Here one memory lives through a sequence: each operation
takes it and hands it on, so that every version has one successor. Backward walks the same chain with one gradient
of the memory's size: a read adds its rows to it, a write takes its rows out of it. What Rae et al. 2016 (section 3.4)
roll back is the memory's content; since a step's few rows are kept as they were read, rolling back the gradient is
enough, and the last memory stays whole for whoever holds it.

The chain must not fork: hand on the memory that an operation returns, and `seal` the last one before a caller sees it.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from memory_core.addressing import across


def fetch(
    memory: Float[Tensor, "batch slots word"], slots: Int[Tensor, "batch entries"]
) -> tuple[Float[Tensor, "batch slots word"], Float[Tensor, "batch entries word"]]:
    """The memory, and its words at `slots`."""
    handed_on, words = _Fetch.apply(memory, slots)  # type: ignore[no-untyped-call]
    return handed_on, words


def store(
    memory: Float[Tensor, "batch slots word"],
    slots: Int[Tensor, "batch entries"],
    words: Float[Tensor, "batch entries word"],
    place: Int[Tensor, "batch entries"],
) -> Float[Tensor, "batch slots word"]:
    """The memory with other words at `slots`, changed in place.

    Args:
        place: for each entry the first one of the same slot, whose word it is that counts.
    """
    handed_on: Tensor = _Store.apply(memory, slots, words, place)  # type: ignore[no-untyped-call]
    return handed_on


def seal(memory: Float[Tensor, "batch slots word"]) -> Float[Tensor, "batch slots word"]:
    """The end of a chain: what is done with this memory's gradient elsewhere no longer reaches into the chain."""
    sealed: Tensor = _Seal.apply(memory)  # type: ignore[no-untyped-call]
    return sealed


class _Fetch(Function):
    @staticmethod
    def forward(ctx: Any, memory: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        ctx.mark_dirty(memory)  # not changed, but handed on: its next version is this operation's
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(slots)
        ctx.shape = memory.shape
        return memory, memory.gather(1, across(slots, memory))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_memory: Tensor | None, of_words: Tensor | None) -> tuple[Tensor | None, None]:
        (slots,) = ctx.saved_tensors
        if of_words is not None:
            of_memory = of_words.new_zeros(ctx.shape) if of_memory is None else of_memory
            of_memory.scatter_add_(1, across(slots, of_memory), of_words)
        return of_memory, None


class _Store(Function):
    @staticmethod
    def forward(ctx: Any, memory: Tensor, slots: Tensor, words: Tensor, place: Tensor) -> Tensor:
        ctx.mark_dirty(memory)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(slots, place)
        return memory.scatter_(1, across(slots, memory), words.gather(1, across(place, memory)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_memory: Tensor | None) -> tuple[Tensor | None, None, Tensor | None, None]:
        if of_memory is None:
            return None, None, None, None
        slots, place = ctx.saved_tensors
        rows = across(slots, of_memory)
        first = place == torch.arange(place.shape[1], device=place.device)
        of_words = of_memory.gather(1, rows) * first.unsqueeze(-1)
        return of_memory.scatter_(1, rows, 0.0), None, of_words, None


class _Seal(Function):
    @staticmethod
    def forward(ctx: Any, memory: Tensor) -> Tensor:
        ctx.mark_dirty(memory)
        return memory

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_memory: Tensor) -> Tensor:
        return of_memory.clone()
