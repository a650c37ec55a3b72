"""The contract of the recurrent members: `step(input, state) -> (output, state)`, and a sequence as steps.

Nothing is hidden in a module and nothing that the caller holds is changed: what a network remembers is in its state.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from memory_core.state import TensorState

BLANK = 1e-6  # every part of every word before it is written: small and constant learns fastest (Collier & Beel 2018)

State = TypeVar("State", bound=TensorState)
Step = Callable[[Tensor, State, Tensor | None], tuple[Tensor, State]]


class Recurrent(nn.Module, Generic[State]):
    """A network with a state. Members define `initial_state` and `step`; outputs are logits."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs

    def initial_state(self, batch: int, slots: int | None = None) -> State:
        """The state before the first step, the same for every row.

        Args:
            slots: of the memory; the configured number where None. No parameter depends on it, so a memory may be
                enlarged after training.
        """
        raise NotImplementedError

    def step(self, input: Float[Tensor, "batch inputs"], state: State) -> tuple[Float[Tensor, "batch outputs"], State]:
        """One step of time."""
        raise NotImplementedError

    def forward(
        self,
        sequence: Float[Tensor, "batch time inputs"],
        state: State | None = None,
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch time outputs"], State]:
        """Steps through a batch of sequences; in chunks, with the state handed on, it gives the same as at once.

        Args:
            state: `initial_state` where None.
            lengths: of each row, <= time; after it a row's state stays and its outputs are 0.
        """
        state = self.initial_state(len(sequence)) if state is None else state
        return unroll(self._step_where_running, self.outputs, sequence, state, lengths)

    def _step_where_running(self, input: Tensor, state: State, running: Tensor | None) -> tuple[Tensor, State]:
        output, after = self.step(input, state)
        return output, after if running is None else after.where(running, state)


def unroll(
    step: Step[State],
    outputs: int,
    sequence: Float[Tensor, "batch time inputs"],
    state: State,
    lengths: Int[Tensor, " batch"] | None,
) -> tuple[Float[Tensor, "batch time outputs"], State]:
    """A sequence in steps. `step` takes an input, a state and which rows still run (None: all of them)."""
    collected = [sequence.new_zeros(len(sequence), 0, outputs)]
    steps = sequence.transpose(0, 1).contiguous()  # a step's layout must not tell how long the sequence is: a compiled
    for time, input in enumerate(steps.unbind(0)):  # step would be compiled anew for every length
        running: Bool[Tensor, " batch"] | None = None if lengths is None else lengths > time
        output, state = step(input, state, running)
        output = output if running is None else output.masked_fill(~running.unsqueeze(1), 0.0)
        collected.append(output.unsqueeze(1))
    return torch.cat(collected[1:] or collected, 1), state
