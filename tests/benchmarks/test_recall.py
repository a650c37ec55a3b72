"""The recall benchmark's figures and its reading of the sets."""

import json
import lzma
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recall import (
    METHODS,
    MissingData,
    Question,
    Tally,
    bm25_scores,
    categories,
    evidence_recall,
    main,
    moment,
    ranking,
    read_conversations,
    standardised,
    table,
)

ROW = {
    "id": "conv",
    "turns": [
        {"id": "1", "session": "s1", "speaker": "Ann", "role": "user", "time": "1:56 pm on 8 May, 2023", "text": "Hi"},
        {"id": "2", "session": "s1", "speaker": "Ben", "role": "user", "time": "1:56 pm on 8 May, 2023", "text": "  "},
        {"id": "3", "session": "s2", "speaker": "Assistant", "role": "assistant", "time": None, "text": "Hello"},
    ],
    "questions": [
        {"id": "q1", "question": "Who?", "answer": "Ann", "evidence": ["1"], "category": "temporal", "asked_at": None},
        {"id": "q2", "question": "Why?", "answer": "", "evidence": [], "category": "temporal", "asked_at": None},
        {"id": "q3", "question": "How?", "answer": "", "evidence": ["1"], "category": "adversarial", "asked_at": None},
    ],
}


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


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1:56 pm on 8 May, 2023", datetime(2023, 5, 8, 13, 56, tzinfo=UTC)),
        ("12:09 am on 13 September, 2023", datetime(2023, 9, 13, 0, 9, tzinfo=UTC)),
        ("2021/08/20 (Fri) 00:45", datetime(2021, 8, 20, 0, 45, tzinfo=UTC)),
        ("2025-12-15 (Monday)", datetime(2025, 12, 15, tzinfo=UTC)),
        ("March-15-2024", datetime(2024, 3, 15, tzinfo=UTC)),
        (None, None),
    ],
)
def test_the_sets_times_are_read_as_utc(text: str | None, at: datetime | None) -> None:
    assert moment(text) == at


def test_a_time_in_no_known_form_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")


def test_blank_turns_and_questions_without_an_answer_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "recall").mkdir()
    with lzma.open(tmp_path / "recall" / "small.jsonl.xz", "wt") as file:
        file.write(json.dumps(ROW) + "\n")
    conversation = read_conversations(tmp_path, "small")[0]
    assert [turn.spoken for turn in conversation.turns] == ["Ann: Hi", "Hello"]
    assert [question.text for question in conversation.questions] == ["Who?"]


def test_a_missing_set_is_told_in_one_line_with_where_it_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"locomo-dev\.jsonl\.xz is missing.*https://"):
        read_conversations(tmp_path, "locomo-dev")
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
