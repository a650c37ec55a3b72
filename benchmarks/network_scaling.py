"""What a step and a sequence's training cost, as the memory grows from 64 words to a million: dense beside sparse.

A cell's cost is taken as a training step pays it, forward and backward. What a sequence pays once, however long it is
(a sparse memory is copied, and has one gradient of its size), is told apart: times are of sequences of two lengths.
They are CPU seconds of the one thread that works: what else the machine does changes them little.
"""

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.baseline_figures import markdown
from benchmarks.kept_bytes import Kept
from memory_core import addressing, lsh_index, models
from memory_core.recurrent import Recurrent
from memory_core.sparse_dnc import SparseDNCState

SIZES = (64, 256, 1_000, 4_096, 8_192, 16_384, 65_536, 100_000, 300_000, 1_000_000)
FLAT, LARGE = (1_000, 100_000), 65_536
SHAPE: dict[str, Any] = {"word": 32, "read_heads": 4}
WIDTH, CHUNK = 8, 65_536
DENSE_STEPS, SHORT, LONG, TRAINED = 4, 10, 50, 100
GIB = 2**30
ENOUGH = 2.0  # seconds of one measurement, after which it is not repeated
Timer = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """A network in a condition of its memory."""

    name: str
    member: str
    in_use: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def dense(self) -> bool:
        return self.member == "dnc"


DENSE = Case("dense DNC", "dnc")
UNLINKED = Case("dense DNC without links", "dnc", options={"links": False})
SPARSE = Case("sparse DNC, fresh memory", "sdnc")
SAM = Case("sparse access memory, fresh", "sam")
FULL = Case("sparse DNC, every slot in use, exact", "sdnc", in_use=True)
LISTED = Case("sparse DNC, every slot in use, shortlist", "sdnc", in_use=True, options={"approximate_above": 8_192})


@dataclass(frozen=True)
class Cost:
    """Of one case and size: milliseconds a step with all that a sequence pays (`step_ms`), and of one step more
    (`further_ms`, of sparse ones); what autograd keeps a step; the steps of the sequence that `step_ms` is of."""

    slots: int
    step_ms: float
    further_ms: float | None
    kept_bytes_a_step: float
    steps: int


@dataclass(frozen=True)
class Training:
    """What 100 training steps at 64k words keep: a case's bytes, and how they were come by."""

    case: str
    kept: float
    once: int
    how: str


def cases() -> list[Case]:
    """Those that can run here: the shortlist needs faiss."""
    listed = [LISTED] if importlib.util.find_spec("faiss") else []
    return [DENSE, UNLINKED, SPARSE, SAM, FULL, *listed]


def measure(chosen: Sequence[Case], bound_gib: float, repeats: int, seed: int) -> Iterator[tuple[Case, Cost]]:
    """Each case at each size; a dense one up to the last size whose sequence is expected to keep less than the bound.

    The least of `repeats`, fewer where they take long, is taken: other work on the machine disturbed it least.
    """
    for case in chosen:
        before: list[Cost] = []
        for slots in SIZES:
            if case.dense and before and expected(before, slots, DENSE_STEPS) > bound_gib * GIB:
                break
            cost = _cost(case, slots, repeats, seed)
            before.append(cost)
            yield case, cost


def expected(before: Sequence[Cost], slots: int, steps: int) -> float:
    """The bytes that a sequence over `slots` keeps, if they go on growing as between the last two sizes."""
    last = before[-1]
    growth = 2.0
    if len(before) > 1:
        ratio = last.slots / before[-2].slots
        growth = _log(last.kept_bytes_a_step / before[-2].kept_bytes_a_step) / _log(ratio)
    return float(last.kept_bytes_a_step * steps * (slots / last.slots) ** growth)


def training(seed: int) -> list[Training]:
    """What 100 steps at 64k words keep, of the dense DNC with links, without, and of the sparse DNC and SAM."""
    found = []
    for case in (SPARSE, SAM, UNLINKED):
        kept, state = _kept(case, LARGE, TRAINED, seed)
        once = 0 if case.dense else _once(state)
        found.append(Training(case.name, kept, once, "measured over 100 steps"))
    each = {slots: _grown(DENSE, slots, seed) for slots in (1_024, 2_048)}
    squared = (each[2_048] - 2 * each[1_024]) / (2_048**2 - 2 * 1_024**2)
    linear = (each[1_024] - squared * 1_024**2) / 1_024
    with_links = squared * LARGE**2 + linear * LARGE
    how = f"can't run: one link matrix is {4 * LARGE**2 / GIB:.0f} GiB; a N² + b N from 1,024 and 2,048 words"
    found.append(Training(DENSE.name, with_links, 0, how))
    return found


def costs_table(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Milliseconds a step, each case a column; in brackets those of one step more."""
    rows = [["words", *costs]]
    for slots in SIZES:
        cells = []
        for found in costs.values():
            cost = next((cost for cost in found if cost.slots == slots), None)
            further = f" ({cost.further_ms:.2f})" if cost and cost.further_ms is not None else ""
            cells.append(f"{cost.step_ms:.2f}{further}" if cost else "–")
        rows.append([f"{slots:,}", *cells])
    return markdown(rows)


def training_table(found: Sequence[Training]) -> str:
    """Bytes kept, those paid once a call, and how many times the sparse DNC's."""
    sparse = next(one for one in found if one.case == SPARSE.name)
    rows = [["100 steps at 65,536 words", "kept by autograd", "once a call", "kept, against the sparse DNC's", "how"]]
    for one in found:
        ratio = f"{one.kept / sparse.kept:,.1f}×"
        rows.append([one.case, mebibytes(one.kept), mebibytes(one.once) if one.once else "–", ratio, one.how])
    return markdown(rows)


def targets(costs: Mapping[str, Sequence[Cost]], found: Sequence[Training]) -> list[tuple[str, float, bool]]:
    """What is asked for: its name, the figure, and whether it is met."""
    asked: list[tuple[str, float, bool]] = []
    for name, of in costs.items():
        at = {cost.slots: cost for cost in of}
        if name in (DENSE.name, UNLINKED.name) or not set(FLAT) <= set(at):
            continue
        small, large = (at[slots] for slots in FLAT)
        ratio = large.step_ms / small.step_ms
        asked.append((f"≤ 2×, 1,000 to 100,000 words: {name}", ratio, ratio <= 2))
        if large.further_ms and small.further_ms:
            ratio = large.further_ms / small.further_ms
            asked.append((f"the same of one step more: {name}", ratio, ratio <= 2))
    if costs.get(DENSE.name):
        last = costs[DENSE.name][-1]
        for case in (SPARSE, FULL, LISTED):
            beside = next((cost for cost in costs.get(case.name, ()) if cost.slots == last.slots), None)
            if beside:
                ratio = last.step_ms / beside.step_ms
                asked.append(
                    (f"≥ 100× faster than the dense at {last.slots:,} words: {case.name}", ratio, ratio >= 100)
                )
    kept = {one.case: one for one in found}
    if SPARSE.name in kept:
        sparse = kept[SPARSE.name]
        for case in (DENSE, UNLINKED):
            ratio = kept[case.name].kept / sparse.kept
            asked.append((f"≥ 1,000× less kept than the {case.name}", ratio, ratio >= 1000))
            ratio = kept[case.name].kept / (sparse.kept + sparse.once)
            asked.append(("the same with what is paid once a call", ratio, ratio >= 1000))
    return asked


def plot(costs: Mapping[str, Sequence[Cost]], path: Path) -> None:
    """Milliseconds a step and bytes kept a step against words, all logarithmic."""
    from benchmarks.network_plots import figure

    with figure(path, 2) as (time_panel, bytes_panel):
        for name, of in costs.items():
            words = [cost.slots for cost in of]
            time_panel.plot(words, [cost.step_ms for cost in of], marker="o", markersize=3, label=name)
            bytes_panel.plot(words, [cost.kept_bytes_a_step for cost in of], marker="o", markersize=3)
        time_panel.set(xscale="log", yscale="log", xlabel="words", ylabel="ms a step, forward and backward")
        bytes_panel.set(xscale="log", yscale="log", xlabel="words", ylabel="bytes kept a step by autograd")
        time_panel.legend(fontsize="x-small")


def mebibytes(count: float) -> str:
    """In MiB, or GiB and TiB where there are many."""
    for unit, size in (("TiB", 2**40), ("GiB", GIB)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 2**20:.1f} MiB"


def filled(network: Recurrent[Any], state: SparseDNCState, seed: int) -> SparseDNCState:
    """The state of a memory in which every slot has been written, in random words."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(state.memory.shape, generator=generator)
    hashes = state.hashes
    if hashes.shape[-2]:
        directions = lsh_index.projections(memory.shape[-1])
        hashes = torch.cat([lsh_index.hashed(words, directions) for words in torch.split(memory, CHUNK, 1)], 1)
    return dataclasses.replace(
        state,
        memory=memory,
        hashes=hashes,
        inverse_lengths=addressing.inverse_length(memory),
        fresh=torch.full_like(state.fresh, memory.shape[1]),
    )


def _cost(case: Case, slots: int, repeats: int, seed: int) -> Cost:
    network, state = _network(case, slots, seed)
    lengths = (DENSE_STEPS,) if case.dense else (SHORT, LONG)
    most = lengths[-1]
    kept = _kept_by(network, state, most, seed) / most  # warms up, too
    times = {steps: _least(network, state, steps, repeats, seed) for steps in lengths}
    further = None if case.dense else 1000 * (times[LONG] - times[SHORT]) / (LONG - SHORT)
    return Cost(slots, 1000 * times[most] / most, further, kept, most)


def _least(network: Recurrent[Any], state: Any, steps: int, repeats: int, seed: int) -> float:
    found = [_seconds(network, state, steps, seed)]
    while len(found) < repeats and sum(found) < ENOUGH:
        found.append(_seconds(network, state, steps, seed))
    return min(found)


def _network(case: Case, slots: int, seed: int) -> tuple[Recurrent[Any], Any]:
    torch.manual_seed(seed)
    network = models.build(case.member, WIDTH, WIDTH, slots=slots, **SHAPE, **case.options)
    state = network.initial_state(1)
    return network, filled(network, state, seed) if case.in_use else state


def _sequence(steps: int, seed: int) -> torch.Tensor:
    return torch.rand(1, steps, WIDTH, generator=torch.Generator().manual_seed(seed))


def _seconds(network: Recurrent[Any], state: Any, steps: int, seed: int) -> float:
    sequence = _sequence(steps, seed)
    began = time.process_time()
    outputs, _ = network(sequence, state)
    outputs.sum().backward()
    return time.process_time() - began


def _kept_by(network: Recurrent[Any], state: Any, steps: int, seed: int) -> int:
    with Kept(network.parameters()) as kept:
        ended = network(_sequence(steps, seed), state)  # held, so that the graph is whole while it is counted
    found = kept.bytes
    del ended
    return found


def _kept(case: Case, slots: int, steps: int, seed: int) -> tuple[int, Any]:
    network, state = _network(case, slots, seed)
    return _kept_by(network, state, steps, seed), state


def _grown(case: Case, slots: int, seed: int) -> float:
    """What 100 steps keep, each step after the second keeping as much as the third and fourth."""
    two, four = (_kept(case, slots, steps, seed)[0] for steps in (2, 4))
    return four + (four - two) / 2 * (TRAINED - 4)


def _once(state: SparseDNCState) -> int:
    """The copy that a call makes of memory and tables, and the memory's gradient."""
    links = state.links
    tables = [state.inverse_lengths, state.hashes, state.accessed, links.slots, links.weights, links.followers]
    return 2 * state.memory.nbytes + sum(table.nbytes for table in tables)


def _log(ratio: float) -> float:
    return float(torch.tensor(ratio).log())
