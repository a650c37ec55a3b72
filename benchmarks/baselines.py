"""Mneme beside what people keep memories in today, in one run, on one machine, with one encoder.

Every turn of a conversation is added and every question is asked, one at a time, through each one's public interface;
`baseline_adapters` has the peers and says how each is used. Evidence recall is counted as `benchmarks.recall` does.
Tables and plot go into `docs/science.md`. It runs in `.venv-peers`, which `scripts/install peers` makes.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from benchmarks import baseline_figures, baseline_speed
from benchmarks.baseline_adapters import MNEME, PACKAGES, PEERS, Memory, Mneme, Opened, Pooled
from benchmarks.baseline_figures import SHOWN, Measured, bootstrap, by_category, timed
from benchmarks.offline import stay_here
from benchmarks.recall import CUTS
from benchmarks.serving import PROJECT, Server, told_in_one_line
from benchmarks.speed import Disk, spread
from memory_core.encoder import Encoder
from memory_core.training.conversations import BEAM_KEPT_BACK, DATA, Conversation, MissingData, read_conversations

SETS = ("locomo-dev", "longmemeval-pooled-dev", "beam-dev")
SLOTS = 16_384  # enough that no conversation's memory is full: a long message takes several
WARM_UP = 5
TITLE = "Beside what people use today"
HOW = f"""\
Every method has the same all-MiniLM-L6-v2, run by onnxruntime in half of torch's time: Mneme its token states, the
others its pooled vectors, which end after 256 word pieces as sentence-transformers' do, so that of a very long turn the
others see the beginning alone. Mneme's memory
has room for every turn (SLOTS={SLOTS}). Every peer is given
`speaker: text` where the speaker has a name, Mneme the same in two fields. Mneme is called over HTTP, the others in
the benchmark's process; calls are made one at a time, encoder included. mem0 is used without its model call
(`infer=False`), as installed by default and with its optional keyword part. LangGraph's store is the one in memory.
BM25 has no add: its index is made anew for each turn, and its bytes are those of the saved index, texts and vectors.
Brackets are 95 % bootstrap intervals over questions; MRR is of the first evidence in the top 20."""
Results = dict[str, dict[str, Measured]]


@contextmanager
def opened(method: str, user: str, server: tuple[httpx.Client, Disk], pooled: Pooled) -> Iterator[Opened]:
    """A method's empty memory for one conversation, in a folder that goes away with it."""
    with tempfile.TemporaryDirectory(prefix="mneme-peer-", ignore_cleanup_errors=True) as folder:
        memory: Memory = Mneme(*server, user) if method == MNEME else PEERS[method](Path(folder), pooled)
        with Opened(memory) as one:
            yield one


def converse(one: Opened, conversation: Conversation, measured: Measured) -> None:
    """Adds the turns and asks the questions; the first few of both are made without being timed."""
    for number, turn in enumerate(conversation.turns):
        _, took = timed(one.memory.add, turn)
        if number >= WARM_UP:
            measured.add_ms.append(took)
    for question in conversation.questions[:WARM_UP]:
        one.memory.recall(question, max(CUTS))
    for question in conversation.questions:
        ranked, took = timed(one.memory.recall, question, max(CUTS))
        measured.recall_ms.append(took)
        measured.count(question, ranked)
    measured.bytes += one.grown()
    measured.turns += len(conversation.turns)


def recall_on(sets: Mapping[str, Sequence[Conversation]], pooled: Pooled) -> tuple[Results, str]:
    """What every method does on every set; and the fingerprint of Mneme's weights."""
    results: Results = {name: {method: Measured() for method in (MNEME, *PEERS)} for name in sets}
    with Server({"SLOTS": SLOTS}) as server, server.client() as client:
        fingerprint = client.get("/version").raise_for_status().json()["fingerprint"]
        for name, conversations in sets.items():
            for number, conversation in enumerate(conversations, 1):
                for method, measured in results[name].items():
                    _progress(f"{name}, {number} of {len(conversations)} ({len(conversation.turns)} turns): {method}")
                    with opened(method, f"{name}-{number}", (client, Disk(server)), pooled) as one:
                        converse(one, conversation, measured)
    return results, str(fingerprint)


def as_data(results: Results) -> dict[str, Any]:
    """All figures, for other programs."""

    def of(measured: Measured, ours: Measured) -> dict[str, Any]:
        return {
            "recall": {k: float(measured.at(k).mean()) for k in CUTS},
            f"recall@{SHOWN}": bootstrap(measured.at(SHOWN))._asdict(),
            f"difference@{SHOWN}": bootstrap(ours.at(SHOWN) - measured.at(SHOWN))._asdict(),
            "hit@1": measured.hit,
            "mrr": measured.mrr,
            "add_ms": spread(measured.add_ms),
            "recall_ms": spread(measured.recall_ms),
            "bytes_a_turn": measured.bytes_a_turn,
            "categories": {
                category: {"questions": count, **interval._asdict()}
                for category, (interval, count) in by_category(measured).items()
            },
        }

    return {
        name: {method: of(measured, methods[MNEME]) for method, measured in methods.items()}
        for name, methods in results.items()
    }


def page(results: Results, fingerprint: str, figure: str) -> str:
    """The text between the markers of the page."""
    installed = "; ".join(
        f"{method}: {', '.join(f'{package} {version(package)}' for package in packages)}"
        for method, packages in PACKAGES.items()
    )
    parts = [
        f"`make bench-peers` gives these figures; they are of one run on {machine()}.",
        HOW,
        f"Mneme's weights: `{fingerprint[:12]}`. {installed}.",
        f"![Evidence recall against the time of an add and a recall]({figure})",
    ]
    for name, methods in results.items():
        ours, best = methods[MNEME], baseline_figures.best_other(methods, MNEME)
        gap = bootstrap(ours.at(SHOWN) - methods[best].at(SHOWN))
        parts += [
            f"### {name}: {len(ours.categories)} questions about {ours.turns:,} turns",
            f"Mneme's recall@{SHOWN} less that of the best other, {best}: {gap} points.",
            baseline_figures.methods_table(methods, MNEME),
            baseline_figures.categories_table(methods),
        ]
    if "beam-dev" in results:
        kept = ", ".join(str(place) for place in sorted(BEAM_KEPT_BACK))
        parts.append(
            f"beam-dev is conversations {kept} (from 0) of BEAM, which no training sees"
            " (`memory_core/training/conversations.py`)."
        )
    return "\n\n".join(parts)


def machine() -> str:
    """The machine in words."""
    return f"{os.cpu_count()} {platform.machine()} cores, {platform.system()}, Python {platform.python_version()}"


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs what was asked for, writes it into the page, prints it, and returns all figures."""
    sets = {name: read_conversations(options.data, name)[: options.limit] for name in options.sets}
    figures: dict[str, Any] = {"machine": machine()}
    if sets:
        results, figures["fingerprint"] = recall_on(sets, Pooled(Encoder()))
        figures["sets"] = as_data(results)
        drawing = options.page.parent / "figures" / "peers.svg"
        baseline_figures.plot(results, drawing)
        text = page(results, figures["fingerprint"], f"figures/{drawing.name}")
        _written(options.page, "peers", text, TITLE)
    if options.speed:
        figures["speed"] = baseline_speed.beside_mem0(options)
        _written(options.page, "peer-speed", baseline_speed.speed_table(figures["speed"]), "Speed beside mem0")
    if options.sizes:
        figures["sizes"] = baseline_speed.as_it_grows(options)
        _written(options.page, "sizes", baseline_speed.sizes_table(figures["sizes"]), "Speed as a memory grows")
    return figures


def _written(to: Path, name: str, text: str, title: str) -> None:
    print(f"{text}\n")
    baseline_figures.write_between(to, name, text, title)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    add(
        "--sets",
        nargs="*",
        default=SETS,
        metavar="SET",
        help="data sets (default: %(default)s)",
    )
    add("--limit", type=int, help="take only so many conversations of each")
    add("--speed", action="store_true", help="add and recall beside mem0 at 1,000 memories")
    add("--sizes", type=int, nargs="+", default=(), metavar="N", help="Mneme's add and recall at so many memories")
    add("--calls", type=int, default=150, help="timed calls of a kind, of --speed and --sizes (default: %(default)s)")
    add("--page", type=Path, default=PROJECT / "docs" / "science.md", help="where it is written (default: %(default)s)")
    add("--json", type=Path, help="also write the figures there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    options = _options(arguments)
    stay_here()
    try:
        with told_in_one_line(MissingData):
            figures = measure(options)
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: the peers are in an environment of their own, which `make bench-peers` makes and uses")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
