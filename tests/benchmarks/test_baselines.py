"""The peer benchmark's figures, intervals, tables and order of calls, none of which needs a peer."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import baseline_speed
from benchmarks.baseline_adapters import MEM0, MNEME, PEERS, Opened, size_of
from benchmarks.baseline_figures import (
    Measured,
    best_other,
    bootstrap,
    by_category,
    categories_table,
    methods_table,
    reciprocal_rank,
    write_between,
)
from benchmarks.baselines import WARM_UP, as_data, converse
from memory_core.training.conversations import Conversation, Question, Turn

TURNS = [Turn(str(number), "s", "user", "Ann", None, f"text {number}") for number in range(2 * WARM_UP)]


def asked(*evidence: str, category: str = "single") -> Question:
    return Question("?", frozenset(evidence), category, None)


def measured(*ranked: list[str], category: str = "single") -> Measured:
    found = Measured(add_ms=[10.0, 20.0], recall_ms=[5.0], bytes=3_000, turns=2)
    for one in ranked:
        found.count(asked("a", category=category), one)
    return found


class Last:
    """A memory that recalls what was added last, and writes down how it was used."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ids: list[str] = []
        self.closed = False

    def add(self, turn: Turn) -> None:
        self.calls.append("add")
        self.ids.append(turn.id)

    def recall(self, question: Question, k: int) -> list[str]:
        self.calls.append("recall")
        return self.ids[::-1][:k]

    def bytes_on_disk(self) -> int:
        return 100 + 10 * len(self.ids)

    def close(self) -> None:
        self.closed = True


def test_a_conversation_is_added_whole_before_its_questions_and_warm_up_is_not_timed() -> None:
    memory, found = Last(), Measured()
    conversation = Conversation("c", TURNS, [asked(TURNS[-1].id), asked(TURNS[-2].id)])
    with Opened(memory) as one:
        converse(one, conversation, found)
    assert memory.calls == ["add"] * len(TURNS) + ["recall"] * 4
    assert memory.closed
    assert (len(found.add_ms), len(found.recall_ms)) == (len(TURNS) - WARM_UP, 2)
    assert found.reciprocal_ranks == [1.0, 0.5]
    assert found.bytes_a_turn == 10


def test_hit_and_reciprocal_rank_look_at_the_first_evidence() -> None:
    assert reciprocal_rank(frozenset("ac"), ["b", "c", "a"]) == 0.5
    assert reciprocal_rank(frozenset("x"), ["a"]) == 0
    found = measured(["a"], ["b", "a"], ["b"], ["b"])
    assert (found.hit, found.mrr) == (25, 37.5)
    assert found.at(1).tolist() == [100, 0, 0, 0]


def test_the_interval_of_equal_values_is_a_point_and_of_others_holds_the_mean() -> None:
    assert bootstrap(np.full(50, 40.0)) == (40, 40, 40)
    values = np.random.default_rng(1).random(400) * 100
    interval = bootstrap(values)
    assert interval.low < interval.mean < interval.high
    expected = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.high - interval.mean == pytest.approx(expected, rel=0.15)
    assert bootstrap(values) == interval


def test_a_difference_is_paired_by_question() -> None:
    values = np.random.default_rng(2).random(100) * 100
    assert bootstrap((values + 5) - values) == pytest.approx((5, 5, 5))


def test_the_tables_have_a_line_for_each_method_and_each_category() -> None:
    methods = {MNEME: measured(["a"], ["a"]), MEM0: measured(["a"], ["b"]), "none": measured(["b"], ["b"])}
    lines = methods_table(methods, MNEME).splitlines()
    assert lines[2].startswith(
        f"| {MNEME} | 100.0 | 100.0 | 100.0 [100.0, 100.0] | 100.0 | 100.0 | 100.0 |  | 10.0 / 20.0"
    )
    assert "| 50.0 [0.0, 100.0] |" in lines[3] and lines[3].endswith("| 1,500 |")
    assert len({line.count("|") for line in lines}) == 1
    assert best_other(methods, MNEME) == MEM0
    assert categories_table(methods).splitlines()[2] == "| single | 2 | 100.0 | 50.0 | 0.0 |"


def test_categories_are_told_apart_the_largest_first() -> None:
    found = measured(["b"])
    for ranked in (["a"], ["b"]):
        found.count(asked("a", category="multi"), ranked)
    assert [(name, interval.mean, count) for name, (interval, count) in by_category(found).items()] == [
        ("multi", 50, 2),
        ("single", 0, 1),
    ]


def test_all_figures_can_be_written_as_json() -> None:
    results = {"set": {MNEME: measured(["a"], ["b"]), MEM0: measured(["a"], ["a"])}}
    assert json.loads(json.dumps(as_data(results)))["set"][MEM0]["difference@10"]["mean"] == -50


def test_a_page_keeps_what_stands_around_a_table(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "page.md"
    write_between(page, "one", "first", "Title")
    page.write_text(page.read_text() + "\nAfterwards.\n")
    write_between(page, "two", "other", "Other")
    write_between(page, "one", "second", "Title")
    text = page.read_text()
    assert "<!-- table:one -->\nsecond\n<!-- /table:one -->\n\nAfterwards." in text
    assert text.count("## Title") == 1 and "other" in text and "first" not in text


def test_a_table_without_its_end_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table:one -->\nprecious\n")
    with pytest.raises(ValueError, match="without"):
        write_between(page, "one", "text", "Title")
    assert "precious" in page.read_text()


def test_calls_are_made_in_turns_and_the_first_ones_are_not_counted() -> None:
    order: list[str] = []

    def call(name: str, took: Iterator[float]) -> float:
        order.append(name)
        return next(took)

    slow, fast = iter([1000.0, 1000.0, 4.0, 6.0, 4.0, 6.0]), iter([1.0] * 6)
    spreads = baseline_speed.in_turns(
        {
            "slow": (lambda: call("slow", slow), lambda: call("slow", slow)),
            "fast": (lambda: call("fast", fast), lambda: call("fast", fast)),
        },
        calls=2,
        warm_up=1,
    )
    assert order == ["slow", "slow", "fast", "fast"] * 3
    assert spreads["slow"] == {"add": {"p50": 4, "p95": 4}, "recall": {"p50": 6, "p95": 6}}


def test_the_speed_table_says_whether_the_target_is_met() -> None:
    one = {"add": {"p50": 5.0, "p95": 6.0}, "recall": {"p50": 2.0, "p95": 3.0}}
    figures = {"memories": 1_000, "calls": 9, "material": "made-up", "ms": {MNEME: one, MEM0: one}}
    figures |= {"ratio": 0.7, "ratio_as_we": 0.9}
    assert "0.90 times" in baseline_speed.speed_table(figures)
    assert "0.70 times" in baseline_speed.speed_table(figures) and "; met)" in baseline_speed.speed_table(figures)
    assert "; missed)" in baseline_speed.speed_table(figures | {"ratio": 0.71})
    table = baseline_speed.sizes_table({100: {**one, "bytes_a_slot": 9_000.0}})
    assert table.splitlines()[-1] == "| 100 | 5.0 / 6.0 | 2.0 / 3.0 |  | 9,000 |"


def test_bm25_finds_what_was_just_added_and_says_what_it_would_keep(tmp_path: Path) -> None:
    memory = PEERS["BM25"](tmp_path, None)  # type: ignore[arg-type]
    with Opened(memory) as one:
        memory.add(Turn("1", "s", "user", "Ann", None, "We adopted a beagle"))
        memory.add(Turn("2", "s", "user", "Ben", None, "It rained all day"))
        question = Question("Who was adopting beagles?", frozenset(), "", None)
        assert memory.recall(question, 1) == ["1"]
        assert one.grown() == size_of(tmp_path) > 0
