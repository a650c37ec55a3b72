"""How fast an add and a recall are: Mneme beside mem0 in one run, and Mneme as its memory grows.

The calls of both, or of all sizes, are made in turns, so that whatever else the machine does meets all of them alike.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Any

from benchmarks.baseline_adapters import MEM0, MNEME, PEERS, Memory, Mneme, Opened, Pooled
from benchmarks.baseline_figures import markdown, timed
from benchmarks.serving import Server
from benchmarks.speed import BATCH, WARM_UP, Disk, K, Material, Talker, material, spread
from memory_core.encoder import Encoder
from memory_core.training.conversations import Question, Turn

MEMORIES = 1_000
MEM0_AS_WE = "mem0, its encoder as Mneme runs it"
ALLOWED = 0.7  # of mem0's add + recall, at the median
MOST_SLOTS = 100_000
_FIRST_SAID = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

Spreads = dict[str, dict[str, float]]


def beside_mem0(options: argparse.Namespace) -> dict[str, Any]:
    """p50 and p95 of add and recall at `MEMORIES` memories, each added by itself, and the ratio of medians.

    mem0 has its encoder in torch, as its own embedder does, and once more as Mneme has it.
    """
    chosen = material(options.data)
    with (
        tempfile.TemporaryDirectory(prefix="mneme-peer-", ignore_cleanup_errors=True) as folder,
        Server() as server,
        server.client() as client,
        Opened(Mneme(client, Disk(server), "speed")) as ours,
        Opened(PEERS[MEM0](Path(folder) / "torch", Pooled(Encoder(graph=False)))) as theirs,
        Opened(PEERS[MEM0](Path(folder) / "graph", Pooled(Encoder()))) as quicker,
    ):
        memories = {MNEME: ours.memory, MEM0: theirs.memory, MEM0_AS_WE: quicker.memory}
        spoken = {name: _turns(chosen) for name in memories}
        for name, memory in memories.items():
            for _ in range(MEMORIES):
                memory.add(next(spoken[name]))
        asked = cycle(Question(text, frozenset(), "", None) for text in chosen.questions)
        spreads = in_turns(
            {name: _add_and_recall(memory, spoken[name], asked) for name, memory in memories.items()},
            options.calls,
        )
    medians = {name: one["add"]["p50"] + one["recall"]["p50"] for name, one in spreads.items()}
    return {
        "material": chosen.source,
        "memories": MEMORIES,
        "calls": options.calls,
        "ms": spreads,
        "ratio": medians[MNEME] / medians[MEM0],
        "ratio_as_we": medians[MNEME] / medians[MEM0_AS_WE],
    }


def as_it_grows(options: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """p50 and p95 of Mneme's add and recall at each size, messages imported a second, and bytes on disk a message."""
    chosen = material(options.data)
    settings = {"SLOTS": min(MOST_SLOTS, max(options.sizes) + 1_000), "CACHE_MB": 8_192}  # all stay in memory
    found: dict[int, dict[str, Any]] = {}
    with Server(settings) as server, server.client() as client:
        disk = Disk(server)
        talkers = {size: Talker(client, f"of-{size}", chosen) for size in options.sizes}
        for size, talker in talkers.items():
            before = disk.settled_bytes()
            talker.fill(size)
            found[size] = {"bytes_a_slot": (disk.settled_bytes() - before) / talker.slots_used}
            if talker.imported:
                found[size]["import_messages_a_second"] = talker.imported / talker.import_seconds
        pairs = {str(size): (talker.remember, talker.recall) for size, talker in talkers.items()}
        for size, spreads in in_turns(pairs, options.calls).items():
            found[int(size)] |= spreads
    return found


def in_turns(
    pairs: Mapping[str, tuple[Callable[[], float], Callable[[], float]]], calls: int, warm_up: int = WARM_UP
) -> dict[str, Spreads]:
    """Adds and recalls with each in turn; each function makes one call and returns its milliseconds."""
    took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pairs}
    for _ in range(warm_up + calls):
        for name, (add, recall) in pairs.items():
            took[name][0].append(add())
            took[name][1].append(recall())
    return {
        name: {"add": spread(added[warm_up:]), "recall": spread(recalled[warm_up:])}
        for name, (added, recalled) in took.items()
    }


def speed_table(figures: Mapping[str, Any]) -> str:
    """Both methods, and whether the ratio is within what is allowed."""
    rows = [["", "add p50 / p95, ms", "recall p50 / p95, ms", "add + recall p50, ms"]]
    for name, one in figures["ms"].items():
        rows.append([name, *_cells(one), f"{one['add']['p50'] + one['recall']['p50']:.1f}"])
    met = "met" if figures["ratio"] <= ALLOWED else "missed"
    return (
        f"At {figures['memories']:,} memories, {figures['calls']} calls of each kind made in turns. "
        f"Material: {figures['material']}."
        f"\n\n{markdown(rows)}\n\n"
        f"Mneme takes {figures['ratio']:.2f} times what mem0 takes (target: at most {ALLOWED}; {met}), and"
        f" {figures['ratio_as_we']:.2f} times what mem0 would take if it ran the encoder as Mneme does."
    )


def sizes_table(figures: Mapping[int, Mapping[str, Any]]) -> str:
    """A line a size."""
    rows = [["memories", "add p50 / p95, ms", "recall p50 / p95, ms", f"import, {BATCH:,} a call", "bytes a slot"]]
    for size, one in figures.items():
        speed = one.get("import_messages_a_second")
        imported = f"{speed:.0f}/s" if speed else ""
        rows.append([f"{size:,}", *_cells(one), imported, f"{one['bytes_a_slot']:,.0f}"])
    return markdown(rows)


def _cells(one: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    return [f"{one[call]['p50']:.1f} / {one[call]['p95']:.1f}" for call in ("add", "recall")]


def _turns(chosen: Material) -> Iterator[Turn]:
    for number, text in zip(count(), cycle(chosen.messages), strict=False):
        yield Turn(str(number), "told", "user", None, _FIRST_SAID + timedelta(minutes=17 * number), text)


def _add_and_recall(
    memory: Memory, spoken: Iterator[Turn], asked: Iterator[Question]
) -> tuple[Callable[[], float], Callable[[], float]]:
    return lambda: timed(memory.add, next(spoken))[1], lambda: timed(memory.recall, next(asked), K)[1]
