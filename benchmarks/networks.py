"""The figures of the memory-augmented networks that no training run gives: `python -m benchmarks.networks`.

Three parts, each by itself or all of them: `scaling` (time and memory against the number of words), `peer` (beside
pytorch-dnc) and `hopfield`. Each writes its section of `docs/science.md` and its plot. The tasks' table is the training
runs', gathered by `mneme table`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import dnc_baseline as peer
from benchmarks import network_hopfield as hopfield
from benchmarks import network_scaling as scaling
from benchmarks.baseline_figures import markdown, write_between
from memory_core.tasks import TaskError, load_characters

PARTS = ("scaling", "peer", "hopfield")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all unless said")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/omniglot"), help="has omniglot_28.npz")
    parser.add_argument("--peer", type=Path, default=Path(".peer-dnc"), help="the folder with the package dnc")
    parser.add_argument("--document", type=Path, default=Path("docs/science.md"), help="whose sections are rewritten")
    parser.add_argument("--machine", default="", help="what else the reader should know of the machine")
    parser.add_argument("--gib", type=float, default=6.0, help="what a dense network's sequence may keep")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of networks, patterns and sequences")
    parser.add_argument(
        "--updates", type=int, default=1_500, help="of training beside the peer, at most; 0 leaves it out"
    )
    chosen = parser.parse_args(arguments)
    parts = chosen.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    for part in parts:
        try:
            title, text = {"scaling": _scaling, "peer": _peer, "hopfield": _hopfield}[part](chosen)
        except (peer.MissingPeer, TaskError) as error:
            sys.exit(f"benchmarks.networks {part}: {error}")
        write_between(chosen.document, part, text, title)
        print(f"{part}: in {chosen.document}")


def _caption(part: str, said: argparse.Namespace, seeds: str, more: str) -> str:
    condition = f"; {said.machine}" if said.machine else ""
    return f"`python -m benchmarks.networks {part}`, {seeds}, one thread{condition}. {more}\n"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _scaling(said: argparse.Namespace) -> tuple[str, str]:
    costs: dict[str, list[scaling.Cost]] = {}
    for case, cost in scaling.measure(scaling.cases(), said.gib, repeats=3, seed=said.seeds[0]):
        costs.setdefault(case.name, []).append(cost)
        print(f"{case.name}, {cost.slots:,} words: {cost.step_ms:.2f} ms a step")
    trained = scaling.training(said.seeds[0])
    scaling.plot(costs, said.document.parent / "figures" / "scaling.svg")
    shape = ", ".join(f"{name.replace('_', ' ')} {size}" for name, size in scaling.SHAPE.items())
    how = (
        f"Batch 1, {shape}, one write head, an LSTM of 100 units, fp32. CPU milliseconds a step, forward and backward,"
        f" the least of up to 3: dense over {scaling.DENSE_STEPS} steps, while that keeps at most {said.gib:g} GiB;"
        f" sparse over {scaling.LONG} steps, with the copy of memory and tables that a call makes once, and in brackets"
        f" one step more, out of {scaling.LONG} and {scaling.SHORT} steps. The shortlist is faiss's, from 8,192 slots"
        " in use on. What autograd keeps is each storage once, without parameters. What a call pays once is the copy"
        " and the memory's gradient."
    )
    met = [["target", "measured", ""]]
    met += [
        [name, f"{ratio:,.2f}×", "met" if good else "missed"] for name, ratio, good in scaling.targets(costs, trained)
    ]
    text = [
        _caption("scaling", said, _seeds(said.seeds[:1]), how),
        scaling.costs_table(costs),
        "",
        scaling.training_table(trained),
        "",
        markdown(met),
        "",
        "![CPU time and kept bytes a step against the number of words](figures/scaling.svg)",
    ]
    return "Time and memory against the number of words", "\n".join(text)


def _peer(said: argparse.Namespace) -> tuple[str, str]:
    found: dict[str, list[peer.Learnt]] = {name: [] for name in (peer.OURS, peer.DEAF, peer.PEER, peer.ALONE)}
    for seed in said.seeds if said.updates else ():
        deaf = peer.ours(seed, feedback=False)
        for network in (peer.ours(seed), deaf, peer.peer(seed, said.peer), peer.alone(seed)):
            found[network.name].append(peer.learn(network, seed, said.updates))
            print(f"{network.name}, seed {seed}: {found[network.name][-1]}")
    task = peer.TASK
    how = (
        f"pytorch-dnc is `dnc` {peer.version(said.peer)} of PyPI. Copy of up to {task.full} vectors of {task.bits}"
        f" bits, {peer.BATCH} sequences an update, RMSprop as `memory_core.training` has it, at most {said.updates:,}"
        f" updates; LSTM of {peer.HIDDEN}, {peer.SLOTS} words of {peer.WORD}, {peer.HEADS} read head. Solved: held"
        f" sequences of full size below {task.solved_below} bits a bit, looked at every {peer.EVERY} updates. Times are"
        " CPU milliseconds a step of a sequence, optimiser included, the fastest seed."
    )
    networks = [peer.ours(said.seeds[0]), peer.peer(said.seeds[0], said.peer)]
    text = [
        _caption("peer", said, _seeds(said.seeds), how),
        *([peer.learning_table(found), ""] if said.updates else ["Not trained in this run (`--updates 0`).", ""]),
        peer.correctness_table(networks),
    ]
    return "Beside pytorch-dnc", "\n".join(text)


def _hopfield(said: argparse.Namespace) -> tuple[str, str]:
    images = load_characters(said.data)
    loads = [[hopfield.load(at, seed) for at in hopfield.LOADS] for seed in said.seeds]
    capacities = [[hopfield.capacity(units, seed) for units in hopfield.DIMENSIONS] for seed in said.seeds]
    errors = hopfield.one_step_errors(said.seeds[0])
    restored = [hopfield.characters(images, seed) for seed in said.seeds]
    hopfield.plot(said.document.parent / "figures" / "hopfield.svg", loads, capacities, errors)
    grown = hopfield.growth([one for run in capacities for one in run])
    text = [
        _caption("hopfield", said, _seeds(said.seeds), "Random patterns of −1 and 1."),
        f"**Classical, Hebbian, {hopfield.UNITS:,} units.** Recall begins at the stored patterns and goes on, one unit"
        " after the other, until nothing changes. The theory's limit is 0.138 N, with an overlap of 0.97 there (Amit,"
        " Gutfreund & Sompolinsky 1985, for infinitely many units).",
        "",
        hopfield.loads_table(loads),
        "",
        "**Modern, β = 1.** The most patterns, doubled again and again, of which 95 % of 200 cues with an eighth of the"
        f" units turned over come back exactly. They grow as {grown:.2f}^N; counting signal against noise,"
        " (e^¾ / cosh 1)^N = 1.37^N is expected of large N.",
        "",
        hopfield.capacities_table(capacities),
        "",
        f"**One update of the modern network.** {hopfield.PATTERNS} patterns of {hopfield.WIDTH} units and one length,"
        " more and more alike; β from 0.1 to 0.8, doubles, the first seed; β Δ is β times the separation. The bound is"
        " that of theorem 5 of Ramsauer et al. 2020; it says little where no fixed point is near a pattern. In the"
        " last column each error is held against its own bound; the columns before are over all patterns.",
        "",
        hopfield.errors_table(errors),
        "",
        "![overlap against load, patterns against units, error against separation](figures/hopfield.svg)",
        "",
        "**Characters of 28 × 28 pixels (Omniglot) from their upper halves.** The lower half is unknown (0); up to"
        f" {hopfield.CUES} of those stored are asked for. Exact: every pixel of the character; wrong pixels: of its"
        f" lower half. Classical recall sets one unit after the other; the modern network has β = {hopfield.BETA:g}.",
        "",
        hopfield.characters_table(restored),
    ]
    return "Hopfield networks", "\n".join(text)


if __name__ == "__main__":
    main()
