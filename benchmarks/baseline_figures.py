"""The figures of the peer benchmark and how they are written down: means, bootstrap intervals, tables, the plot."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np

from benchmarks.recall import CUTS, evidence_recall
from benchmarks.speed import percentile
from memory_core.training.conversations import Question

RESAMPLES, SEED = 1_000, 20160
SHOWN = 10  # the cut that the intervals, the categories and the plot are about

P = ParamSpec("P")
R = TypeVar("R")
Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Interval(NamedTuple):
    """A mean over questions with its 95 % bootstrap interval, in percent."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


@dataclass(slots=True)
class Measured:
    """What one method did on one set: an entry a question, in the same order for every method."""

    categories: list[str] = field(default_factory=list)
    recalls: list[list[float]] = field(default_factory=list)  # at each of CUTS
    reciprocal_ranks: list[float] = field(default_factory=list)
    add_ms: list[float] = field(default_factory=list)
    recall_ms: list[float] = field(default_factory=list)
    bytes: int = 0
    turns: int = 0

    def count(self, question: Question, ranked: Sequence[str]) -> None:
        """Counts a question's ranking, the best first."""
        self.categories.append(question.category)
        self.recalls.append([evidence_recall(question.evidence, ranked, k) for k in CUTS])
        self.reciprocal_ranks.append(reciprocal_rank(question.evidence, ranked))

    def at(self, k: int) -> Values:
        """Each question's evidence recall@k, in percent."""
        return 100 * np.array(self.recalls)[:, CUTS.index(k)]

    @property
    def hit(self) -> float:
        """Questions whose first recollection is evidence, in percent."""
        return 100 * float(np.mean(np.array(self.reciprocal_ranks) == 1))

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of the first evidence, in percent; 0 where the recollections have none."""
        return 100 * float(np.mean(self.reciprocal_ranks))

    @property
    def bytes_a_turn(self) -> float:
        return self.bytes / self.turns

    @property
    def both_ms(self) -> float:
        """Median of an add and median of a recall, added."""
        return percentile(self.add_ms, 50) + percentile(self.recall_ms, 50)


def reciprocal_rank(evidence: frozenset[str], ranked: Sequence[str]) -> float:
    """1 / rank of the first turn that is evidence; 0 where there is none."""
    return next((1 / rank for rank, turn in enumerate(ranked, 1) if turn in evidence), 0.0)


def timed(call: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> tuple[R, float]:
    """What a call returns, and the milliseconds that it took."""
    began = time.perf_counter()
    value = call(*arguments, **named)
    return value, 1000 * (time.perf_counter() - began)


def bootstrap(values: Values, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """The mean of one value a question, with the percentile interval over resampled questions (Efron 1979).

    The seed fixes which questions each resample takes, so that methods, and the difference of two of them question by
    question, are compared on the same resamples.
    """
    chosen = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def by_category(measured: Measured, k: int = SHOWN) -> dict[str, tuple[Interval, int]]:
    """Recall@k and the number of questions of each category, the largest first."""
    names = np.array(measured.categories)
    found = {
        name: (bootstrap(measured.at(k)[names == name]), int((names == name).sum())) for name in sorted(set(names))
    }
    return dict(sorted(found.items(), key=lambda entry: -entry[1][1]))


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head, the first column is text and the others are figures."""
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def methods_table(methods: Mapping[str, Measured], against: str) -> str:
    """Every method's figures on one set; the difference is `against` minus the method, question by question."""
    head = ["method", *(f"R@{k}" for k in CUTS), "hit@1", "MRR", f"{against} − it, R@{SHOWN}"]
    rows = [[*head, "add p50 / p95, ms", "recall p50 / p95, ms", "bytes a turn"]]
    for name, measured in methods.items():
        gap = "" if name == against else str(bootstrap(methods[against].at(SHOWN) - measured.at(SHOWN)))
        recalls = [str(bootstrap(measured.at(k))) if k == SHOWN else f"{measured.at(k).mean():.1f}" for k in CUTS]
        times = [f"{percentile(ms, 50):.1f} / {percentile(ms, 95):.1f}" for ms in (measured.add_ms, measured.recall_ms)]
        quality = [*recalls, f"{measured.hit:.1f}", f"{measured.mrr:.1f}", gap]
        rows.append([name, *quality, *times, f"{measured.bytes_a_turn:,.0f}" if measured.bytes else "none"])
    return markdown(rows)


def categories_table(methods: Mapping[str, Measured]) -> str:
    """Recall@10 of every method in each category of one set."""
    found = {name: by_category(measured) for name, measured in methods.items()}
    first = next(iter(found.values()))
    rows = [[f"R@{SHOWN} by category", "questions", *found]]
    for category, (_, count) in first.items():
        rows.append([category, str(count), *(f"{of[category][0].mean:.1f}" for of in found.values())])
    return markdown(rows)


def best_other(methods: Mapping[str, Measured], one: str) -> str:
    """The method with the highest recall@10 but for that one."""
    return max((name for name in methods if name != one), key=lambda name: float(methods[name].at(SHOWN).mean()))


def write_between(page: Path, name: str, text: str, title: str) -> None:
    """Puts text between a page's `<!-- table:NAME -->` and `<!-- /table:NAME -->`; makes page and section if needed."""
    begin, end = f"<!-- table:{name} -->", f"<!-- /table:{name} -->"
    found = page.read_text(encoding="utf-8") if page.exists() else "# The science\n"
    if begin not in found:
        found = f"{found.rstrip()}\n\n## {title}\n\n{begin}\n{end}\n"
    before, _, rest = found.partition(begin)
    _, closed, after = rest.partition(end)
    if not closed:
        raise ValueError(f"{page} has {begin} without {end}")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def plot(sets: Mapping[str, Mapping[str, Measured]], path: Path) -> None:
    """Draws recall@10, with its interval, against the median of an add and a recall together; a panel a set."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "mneme"  # the same figures give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(sets), figsize=(5 * len(sets), 4), squeeze=False, layout="constrained")
    for panel, (name, methods) in zip(panels[0], sets.items(), strict=True):
        for method, measured in methods.items():
            mean, low, high = bootstrap(measured.at(SHOWN))
            panel.errorbar(measured.both_ms, mean, [[mean - low], [high - mean]], fmt="o", capsize=3, label=method)
        panel.set(title=name, xlabel="add + recall, median ms")
        panel.set_xlim(left=0)
    panels[0][0].set_ylabel(f"evidence recall@{SHOWN}, %")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right center")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
