"""The recall benchmark's figures."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.recall import (
    METHODS,
    Tally,
    bm25_scores,
    categories,
    evidence_recall,
    main,
    ranking,
    standardised,
    table,
)
from memory_core.training.conversations import Question


def asked(category: str, *evidence: str) -> Question:
    return Question("?", frozenset(evidence), category, None)


def test_evidence_recall_is_the_share_of_the_evidence_among_the_first_k() -> None:
    ranked = ["a", "b", "c", "d"]
    assert evidence_recall(frozenset("ad"), ranked, 1) == 0.5
    assert evidence_recall(frozenset("ad"), ranked, 4) == 1.0
    assert evidence_recall(frozenset("xb"), ranked, 20) == 0.5
    assert evidence_recall(frozenset("x"), ranked, 20) == 0.0


def test_a_set_is_the_mean_over_its_questions_not_over_its_evidence() -> None:
    tally = Tally()
    tally.add(asked("one", "a"), ["a"])
    tally.add(asked("two", "b", "c", "d"), ["x", "y"])
    assert tally.means() == [50.0] * 4
    assert tally.means("one") == [100.0] * 4
    assert categories(tally) == {"one": 1, "two": 1}


def test_the_table_has_a_line_for_each_method_and_category() -> None:
    tallies = {name: Tally() for name in METHODS}
    for tally in tallies.values():
        tally.add(asked("temporal", "a", "b"), ["a"])
    lines = table(tallies).splitlines()
    assert [line.split("  ")[0] for line in lines[1 : len(METHODS) + 1]] == list(METHODS)
    assert lines[-1].split() == ["temporal", "50.0", "50.0", "50.0", "50.0", "1"]


def test_without_its_data_the_benchmark_ends_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(tmp_path)])
    assert "\n" not in str(ended.value)


def test_bm25_stems_and_survives_a_query_of_stop_words() -> None:
    scores = bm25_scores(["She was adopting a beagle", "It rained all day"], ["adopted beagles", "the and of"])
    assert scores[0, 0] > scores[0, 1] == 0
    assert not scores[1].any()


def test_standardised_rows_mix_on_equal_terms() -> None:
    rows = standardised(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [5.0, 5.0, 5.0]], dtype=np.float32))
    assert rows[0] == pytest.approx(rows[1])
    assert rows[0].std() == pytest.approx(1)
    assert not rows[2].any()


def test_a_ranking_begins_with_the_greatest_score_and_the_earlier_turn() -> None:
    assert ranking(np.array([0.1, 0.9, 0.9, 0.5], dtype=np.float32), ["a", "b", "c", "d"]) == ["b", "c", "d", "a"]
