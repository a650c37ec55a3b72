"""What Hopfield networks hold: the classical load limit, the modern ones' capacity and retrieval error, and characters.

All figures are of `memory_core.hopfield`; the seeds draw the patterns and the cues.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from benchmarks.baseline_figures import markdown
from memory_core import hopfield
from memory_core.hopfield import AssociativeStore, ClassicalHopfield
from memory_core.tasks.completion import Completion

UNITS, LOADS = 1_000, (0.05, 0.08, 0.10, 0.12, 0.138, 0.15, 0.18)
DIMENSIONS, TURNED, MOST_PATTERNS, ASKED, RETRIEVED = (8, 16, 24, 32, 40), 1 / 8, 2**18, 200, 0.95
WIDTH, PATTERNS, BETAS, LIKENESSES = 64, 100, (0.1, 0.2, 0.4, 0.6, 0.8), (0.0, 0.3, 0.6, 0.8)
STORED, CUES, BETA = (2, 10, 30, 100, 300, 700, 3_000, 10_000, 30_000), 50, 1.0
SWEEPS = 30


@dataclass(frozen=True)
class Loaded:
    """The classical network at a load: mean overlap with the pattern it began from, and the share of wrong units."""

    load: float
    overlap: float
    wrong: float
    perfect: float  # the share of patterns without a wrong unit


@dataclass(frozen=True)
class Capacity:
    """The most patterns of `dimensions` units of which 95 % come back exactly from a cue with an eighth turned over."""

    dimensions: int
    patterns: int
    more: bool  # not even the most that were tried were too many


@dataclass(frozen=True)
class Errors:
    """One update's errors, their bounds, and beta times separation, an entry a pattern."""

    separation: list[float]
    error: list[float]
    bound: list[float]


@dataclass(frozen=True)
class Restored:
    """Characters from their upper halves: the share that came back exactly, and of the hidden pixels that are wrong."""

    stored: int
    network: str
    exact: float
    wrong: float


def load(at: float, seed: int, units: int = UNITS) -> Loaded:
    """Starts from each stored pattern and lets units change, one after the other, until none does."""
    generator = torch.Generator().manual_seed(seed)
    patterns = _random_signs(generator, round(at * units), units)
    ended, _ = ClassicalHopfield.hebbian(patterns).recall(patterns, SWEEPS, random=generator)
    overlaps = (ended * patterns).mean(1)
    return Loaded(at, float(overlaps.mean()), float((1 - overlaps).mean() / 2), float((overlaps == 1).float().mean()))


def capacity(dimensions: int, seed: int, most: int = MOST_PATTERNS) -> Capacity:
    """Stores twice as many again and again, with beta 1, until too few of up to 200 cues come back to their pattern."""
    generator = torch.Generator().manual_seed(seed)
    held, count = 1, 2
    while count <= most:
        patterns = _random_signs(generator, count, dimensions)
        wanted = patterns[:ASKED].repeat(max(1, ASKED // count), 1)  # the same ones again while there are few
        places = torch.rand(wanted.shape, generator=generator).topk(round(TURNED * dimensions)).indices
        cues = wanted.scatter(1, places, -wanted.gather(1, places))
        ended, _ = hopfield.retrieve(cues, patterns, 1.0, steps=5, tolerance=1e-3)
        if float((ended.sign() == wanted).all(1).float().mean()) < RETRIEVED:
            return Capacity(dimensions, held, False)
        held, count = count, 2 * count
    return Capacity(dimensions, held, True)


def growth(found: Sequence[Capacity]) -> float:
    """c of patterns ~ c^dimensions: least squares over logarithms, without those that reached the most tried."""
    points = [(one.dimensions, math.log(one.patterns)) for one in found if not one.more]
    across, up = mean(x for x, _ in points), mean(y for _, y in points)
    slope = sum((x - across) * (y - up) for x, y in points) / sum((x - across) ** 2 for x, _ in points)
    return math.exp(slope)


def one_step_errors(seed: int, betas: Iterable[float] = BETAS) -> Errors:
    """Cues are the patterns, of one length, more and more alike; double precision.

    The bound is 2 (N - 1) M exp(-beta (Delta - 2 M max(|xi - x|, |x* - x|))), x* being the fixed point near x, where
    the first term is 0. Source: Ramsauer et al. 2020, theorem 5.
    """
    generator = torch.Generator().manual_seed(seed)
    found = Errors([], [], [])
    for likeness in LIKENESSES:
        drawn = torch.randn(PATTERNS, WIDTH, generator=generator, dtype=torch.float64)
        common = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
        mixed = math.sqrt(1 - likeness) * drawn + math.sqrt(likeness) * common
        patterns = mixed / mixed.norm(dim=1, keepdim=True) * math.sqrt(WIDTH)
        separation, longest = hopfield.separation(patterns), math.sqrt(WIDTH)
        for beta in betas:
            after, _ = hopfield.update(patterns, patterns, beta)
            fixed, _ = hopfield.retrieve(patterns, patterns, beta, steps=200, tolerance=1e-12)
            away = (fixed - patterns).norm(dim=1)
            exponent = -beta * (separation - 2 * longest * away)
            found.separation.extend((beta * separation).tolist())
            found.error.extend((after - patterns).norm(dim=1).tolist())
            found.bound.extend((2 * (PATTERNS - 1) * longest * exponent.exp()).tolist())
    return found


def characters(images: Tensor, seed: int) -> list[Restored]:
    """Each network holds the same characters and is shown the upper halves of the same of them."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    task = Completion(images, "half")
    found = []
    for stored in STORED:
        if stored > len(images):
            break
        patterns = images[order[:stored]].float() * 2 - 1
        wanted = patterns[:CUES]
        cues = task.damaged(generator, wanted)
        networks = {"modern": _modern(patterns, cues), "Hebbian": _classical("hebbian", patterns, cues, generator)}
        if stored < images.shape[1]:
            networks["pseudo-inverse"] = _classical("pseudo_inverse", patterns, cues, generator)
        for name, ended in networks.items():
            same = ended == wanted
            hidden = same[:, images.shape[1] // 2 :]
            found.append(Restored(stored, name, float(same.all(1).float().mean()), float((~hidden).float().mean())))
    return found


def loads_table(runs: Sequence[Sequence[Loaded]]) -> str:
    """Means over the seeds, and the worst seed's overlap."""
    rows = [["load P / N", "overlap (least)", "wrong units", "patterns without a wrong unit"]]
    for of in zip(*runs, strict=True):
        overlap = f"{mean(one.overlap for one in of):.3f} ({min(one.overlap for one in of):.3f})"
        wrong, perfect = mean(one.wrong for one in of), mean(one.perfect for one in of)
        rows.append([f"{of[0].load:g}", overlap, f"{wrong:.2%}", f"{perfect:.1%}"])
    return markdown(rows)


def capacities_table(runs: Sequence[Sequence[Capacity]]) -> str:
    """The patterns of each seed beside what 0.138 N would be."""
    rows = [["units N", "patterns retrieved, each seed", "0.138 N"]]
    for of in zip(*runs, strict=True):
        counts = ", ".join(f"{'≥ ' if one.more else ''}{one.patterns:,}" for one in of)
        rows.append([str(of[0].dimensions), counts, f"{0.138 * of[0].dimensions:.1f}"])
    return markdown(rows)


def errors_table(found: Errors) -> str:
    """Errors and bounds in ranges of beta times separation."""
    rows = [["β Δ", "patterns", "median error", "greatest error", "least bound", "errors above their bound"]]
    edges = (-math.inf, 2, 5, 10, 15, 20, 30, math.inf)
    entries = list(zip(found.separation, found.error, found.bound, strict=True))
    for low, high in itertools.pairwise(edges):
        chosen = [(error, bound) for separation, error, bound in entries if low <= separation < high]
        if chosen:
            errors = sorted(error for error, _ in chosen)
            above = sum(error > bound for error, bound in chosen)
            figures = (errors[len(errors) // 2], errors[-1], min(bound for _, bound in chosen))
            name = f"{low:g} to {high:g}".replace("-inf to", "below").replace(" to inf", " and more")
            rows.append([name, str(len(chosen)), *(f"{figure:.1e}" for figure in figures), str(above)])
    return markdown(rows)


def characters_table(runs: Sequence[Sequence[Restored]]) -> str:
    """Restored exactly, and wrong pixels of the hidden half, means over the seeds."""
    names = ("Hebbian", "pseudo-inverse", "modern")
    rows = [["characters stored", *(f"{name}: exact / wrong pixels" for name in names)]]
    for stored in dict.fromkeys(one.stored for run in runs for one in run):
        cells = []
        for name in names:
            of = [one for run in runs for one in run if (one.stored, one.network) == (stored, name)]
            cells.append(f"{mean(o.exact for o in of):.0%} / {mean(o.wrong for o in of):.1%}" if of else "–")
        rows.append([f"{stored:,}", *cells])
    return markdown(rows)


def plot(
    path: Path, loads: Sequence[Sequence[Loaded]], capacities: Sequence[Sequence[Capacity]], errors: Errors
) -> None:
    """Overlap against load, patterns against units, and one update's error against beta times separation."""
    from benchmarks.network_plots import figure

    with figure(path, 3) as (overlap, many, error):
        across = [one.load for one in loads[0]]
        overlap.plot(across, [mean(one.overlap for one in of) for of in zip(*loads, strict=True)], marker="o")
        overlap.axvline(0.138, linestyle=":", color="grey")
        overlap.set(xlabel="patterns / units", ylabel="overlap after recall", title="classical, Hebbian")
        units = [one.dimensions for one in capacities[0]]
        many.plot(units, [mean(o.patterns for o in of) for of in zip(*capacities, strict=True)], "o-", label="modern")
        many.plot(units, [0.138 * each for each in units], ":", color="grey", label="0.138 N")
        many.set(yscale="log", xlabel="units", ylabel="patterns retrieved", title="capacity")
        many.legend()
        error.scatter(errors.separation, errors.error, s=2, label="error", rasterized=True)
        bounds = sorted(zip(errors.separation, errors.bound, strict=True))
        error.scatter(*zip(*bounds, strict=True), s=2, label="bound", rasterized=True)
        error.set(yscale="log", ylim=(1e-16, 1e5), xlabel="β Δ", ylabel="|f(ξ) − x|", title="one update, modern")
        error.legend()


def _classical(rule: str, patterns: Tensor, cues: Tensor, generator: torch.Generator) -> Tensor:
    network: ClassicalHopfield = getattr(ClassicalHopfield, rule)(patterns)
    return network.recall(cues, SWEEPS, random=generator)[0]


def _modern(patterns: Tensor, cues: Tensor) -> Tensor:
    store = AssociativeStore(BETA)
    state = store.write(store.initial_state(1, *patterns.shape), patterns.unsqueeze(0))
    return store.read(state, cues.unsqueeze(0))[0][0].sign()


def _random_signs(generator: torch.Generator, count: int, units: int) -> Tensor:
    return torch.randint(0, 2, (count, units), generator=generator).float() * 2 - 1
