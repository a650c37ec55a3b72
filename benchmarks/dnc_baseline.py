"""The DNC beside pytorch-dnc (`dnc` on PyPI): the same copy task and training, and what each does with its state.

Both have an LSTM of one layer, the same words, slots and heads, are given the same batches in the same order, and are
trained by the same `Learner`. The peer lies in a folder of its own, which `make bench-networks` fills.
"""

import copy
import dataclasses
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.baseline_figures import markdown
from memory_core.controllers import ControllerConfig, Plain, PlainConfig
from memory_core.dnc import DNC, DNCConfig, DNCState
from memory_core.tasks import Batch, Copy
from memory_core.training.learner import Learner, Training

TASK = Copy(bits=4, full=5)
HIDDEN, SLOTS, WORD, HEADS = 64, 16, 16, 1
BATCH, HELD, EVERY = 16, 100, 25
OURS, PEER, ALONE = "memory_core.DNC", "pytorch-dnc", "the LSTM alone"
DEAF = "memory_core.DNC without read feedback"
Run = Callable[[Tensor, Any], tuple[Tensor, Any]]


class MissingPeer(RuntimeError):
    """The peer's package is not where it is looked for."""


@dataclass(frozen=True)
class Network:
    """A network to be compared: how a sequence goes through it, and where its controller and last reads are."""

    name: str
    module: nn.Module
    run: Run  # batch-first sequence and state (None: the first) to logits and state
    controller: nn.Module  # its first argument is the input with the previous reads at its end
    reads: Callable[[Any], Tensor]  # of a state


@dataclass(frozen=True)
class Learnt:
    """One seed's training; `updates` is None where the task was not solved."""

    seed: int
    updates: int | None
    excess: float
    step_ms: float


class _Deaf(DNC):
    """A DNC whose controller is never given what was read, as the peer's is not."""

    def step(self, input: Tensor, state: DNCState) -> tuple[Tensor, DNCState]:
        return super().step(input, dataclasses.replace(state, reads=torch.zeros_like(state.reads)))


def ours(seed: int, *, feedback: bool = True) -> Network:
    """A DNC of the paper, as this project builds it; or one without feedback, to tell what that is worth."""
    torch.manual_seed(seed)
    config = DNCConfig(slots=SLOTS, word=WORD, read_heads=HEADS, controller=ControllerConfig("lstm", HIDDEN))
    network = (DNC if feedback else _Deaf)(TASK.inputs, TASK.outputs, config)
    name = OURS if feedback else DEAF
    return Network(name, network, network, network.controller, lambda state: state.reads.flatten(1))


def peer(seed: int, folder: Path, **options: Any) -> Network:
    """The peer's DNC; its outputs are as wide as its inputs, and the first of them are taken.

    Raises:
        MissingPeer: the folder holds no such package.
    """
    package = _package(folder)
    torch.manual_seed(seed)
    network = package.DNC(
        TASK.inputs, HIDDEN, num_hidden_layers=1, nr_cells=SLOTS, cell_size=WORD, read_heads=HEADS, **options
    )

    def run(sequence: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, after = network(sequence, (None, None, None) if state is None else state)
        return outputs[..., : TASK.outputs], after

    return Network(PEER, network, run, network.lstm_layer_0, lambda state: state[2])


def alone(seed: int) -> Network:
    """The controller without a memory, which tells how much of the task needs one."""
    torch.manual_seed(seed)
    network = Plain(TASK.inputs, TASK.outputs, PlainConfig(ControllerConfig("lstm", HIDDEN)))
    return Network(ALONE, network, network, network.controller, lambda state: state.memory.flatten(1))


def version(folder: Path) -> str:
    """The peer's version, as its metadata has it."""
    return next((found.version for found in distributions(path=[str(folder)]) if found.name == "dnc"), "unknown")


def learn(network: Network, seed: int, updates: int) -> Learnt:
    """Trains until held sequences cost less than the task's limit, or for so many updates; CPU time, one thread."""
    learner = Learner(network.module, Training(), seed)
    held = TASK.sample(torch.Generator().manual_seed(10**6 + seed), HELD, TASK.full, exactly=True)
    steps, spent, excess = 0, 0.0, float("inf")
    while learner.step < updates:
        began = time.process_time()
        batch = TASK.sample(learner.generator, BATCH, TASK.full)
        learner.update(lambda _, batch=batch: _loss(network, batch))  # type: ignore[misc]
        spent += time.process_time() - began
        steps += batch.inputs.shape[1]
        if learner.step % EVERY == 0:
            network.module.eval()
            with torch.no_grad():
                excess = float((held.cost(network.run(held.inputs, None)[0]) / held.counted).mean())
            if excess < TASK.solved_below:
                return Learnt(seed, learner.step, excess, 1000 * spent / steps)
    return Learnt(seed, None, excess, 1000 * spent / steps)


def reads_fed_back(network: Network, steps: int = 6) -> float:
    """The share of steps, after a sequence's first, at which the controller is given what was read in the step before.

    The reads are those that the network hands out when it is led through the same steps one at a time, from one state.
    """
    _, state = network.run(_sequence(1), None)
    sequence, alone = _sequence(steps), copy.deepcopy(state)
    expected = []
    for time_step in range(steps - 1):
        _, alone = network.run(sequence[:, time_step : time_step + 1], copy.deepcopy(alone))
        expected.append(network.reads(alone))
    seen: list[Tensor] = []
    handle = network.controller.register_forward_hook(lambda _, given, __: seen.append(given[0].flatten(1)))
    try:
        network.run(sequence, copy.deepcopy(state))
    finally:
        handle.remove()
    width = HEADS * WORD
    same = [torch.allclose(now[:, -width:], before) for now, before in zip(seen[1:], expected, strict=True)]
    return sum(same) / len(same)


def unlike_in_steps(network: Network, steps: int = 6) -> float:
    """The greatest difference of outputs between a sequence at once and one step at a time, from the same state."""
    _, state = network.run(_sequence(1), None)
    sequence, alone = _sequence(steps), copy.deepcopy(state)
    at_once, _ = network.run(sequence, copy.deepcopy(state))
    outputs = []
    for time_step in range(steps):
        output, alone = network.run(sequence[:, time_step : time_step + 1], copy.deepcopy(alone))
        outputs.append(output)
    return float((at_once - torch.cat(outputs, 1)).abs().max())


def state_changed(network: Network) -> bool:
    """Whether a call changes the state that its caller holds."""
    _, state = network.run(_sequence(3), None)
    before = copy.deepcopy(state)
    network.run(_sequence(3), state)
    return not _alike(before, state)


def unlike_again(network: Network) -> float:
    """The greatest difference of outputs between two calls with the same input and no state."""
    return float((network.run(_sequence(3), None)[0] - network.run(_sequence(3), None)[0]).abs().max())


def batch_stays_first(network: Network) -> bool:
    """Whether batch-first input gives batch-first output: changing a row of the batch changes that row alone."""
    sequence = _sequence(5).repeat(3, 1, 1)
    other = torch.cat([sequence[:1] + 1.0, sequence[1:]])
    _, state = network.run(sequence[:, :1], None)
    one, two = (network.run(each, copy.deepcopy(state))[0] for each in (sequence, other))
    changed = (one != two).flatten(1).any(1) if one.shape[:2] == (3, 5) else torch.zeros(3)
    return changed.tolist() == [True, False, False]


def correctness_table(networks: Sequence[Network]) -> str:
    """What each network does with reads, state and order."""
    rows = [["", *(network.name for network in networks)]]
    claims: list[tuple[str, Callable[[Network], str]]] = [
        ("steps of a sequence whose controller is given the step before's reads", lambda n: f"{reads_fed_back(n):.0%}"),
        ("outputs at once and in single steps differ by at most", lambda n: f"{unlike_in_steps(n):.1e}"),
        ("two calls with the same input and no state differ by at most", lambda n: f"{unlike_again(n):.1e}"),
        ("a call changes the state that its caller holds", lambda n: "yes" if state_changed(n) else "no"),
        ("batch-first input gives batch-first output", lambda n: "yes" if batch_stays_first(n) else "no"),
    ]
    with torch.no_grad():
        rows += [[claim, *(of(network) for network in networks)] for claim, of in claims]
    return markdown(rows)


def learning_table(found: dict[str, list[Learnt]]) -> str:
    """Updates and sequences to solve, seed by seed, and the time a step."""
    rows = [["", "solved", "updates to solve, each seed", "bits a bit at the end", "CPU ms a step", "against ours"]]
    fastest = {name: min(one.step_ms for one in runs) for name, runs in found.items()}
    for name, runs in found.items():
        solved = [one for one in runs if one.updates]
        updates = ", ".join("not" if one.updates is None else f"{one.updates:,}" for one in runs)
        ends = ", ".join(f"{one.excess:.3f}" for one in runs)
        ratio = f"{fastest[name] / fastest[OURS]:.2f}×"
        rows.append([name, f"{len(solved)} of {len(runs)}", updates, ends, f"{fastest[name]:.2f}", ratio])
    return markdown(rows)


def _package(folder: Path) -> Any:
    if not (folder / "dnc").is_dir():
        raise MissingPeer(f"there is no package dnc in {folder}: `make bench-networks` puts it there")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module("dnc")


def _loss(network: Network, batch: Batch) -> Tensor:
    """Bits a counted bit."""
    return batch.cost(network.run(batch.inputs, None)[0]).sum() / batch.counted.sum()


def _sequence(steps: int) -> Tensor:
    return torch.rand(1, steps, TASK.inputs, generator=torch.Generator().manual_seed(steps))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return all(_alike(a, b) for a, b in zip(one, other, strict=True))
    return all(_alike(part, getattr(other, name)) for name, part in vars(one).items())
