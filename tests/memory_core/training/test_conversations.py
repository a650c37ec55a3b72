"""Reading the sets, and which conversations training may see."""

import json
import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory_core.training.conversations import BEAM_KEPT_BACK, EVALUATION_ONLY, MissingData, moment, read_conversations

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


def a_set(data: Path, name: str, *rows: dict[str, Any]) -> None:
    (data / "recall").mkdir()
    with lzma.open(data / "recall" / f"{name}.jsonl.xz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1:56 pm on 8 May, 2023", datetime(2023, 5, 8, 13, 56, tzinfo=UTC)),
        ("12:09 am on 13 September, 2023", datetime(2023, 9, 13, 0, 9, tzinfo=UTC)),
        ("2021/08/20 (Fri) 00:45", datetime(2021, 8, 20, 0, 45, tzinfo=UTC)),
        ("2025-12-15 (Monday)", datetime(2025, 12, 15, tzinfo=UTC)),
        ("March-15-2024", datetime(2024, 3, 15, tzinfo=UTC)),
        ("2023-05-30T00:00:00+00:00", datetime(2023, 5, 30, tzinfo=UTC)),
        (None, None),
    ],
)
def test_the_sets_times_are_read_as_utc(text: str | None, at: datetime | None) -> None:
    assert moment(text) == at


def test_a_time_in_no_known_form_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")


def test_blank_turns_and_questions_without_an_answer_are_left_out(tmp_path: Path) -> None:
    a_set(tmp_path, "small", ROW)
    conversation = read_conversations(tmp_path, "small")[0]
    assert [turn.spoken for turn in conversation.turns] == ["Ann: Hi", "Hello"]
    assert [question.text for question in conversation.questions] == ["Who?"]


def test_a_missing_set_is_told_in_one_line_with_where_it_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"locomo-dev\.jsonl\.xz is missing.*https://"):
        read_conversations(tmp_path, "locomo-dev")


def test_what_is_kept_back_of_beam_and_what_may_be_trained_on_share_no_conversation(tmp_path: Path) -> None:
    a_set(tmp_path, "beam-100k", *({**ROW, "id": str(place)} for place in range(14)))
    kept, trained, whole = (
        [conversation.id for conversation in read_conversations(tmp_path, name)]
        for name in ("beam-dev", "beam-train", "beam-100k")
    )
    assert kept == ["0", "5", "10"] == [str(place) for place in sorted(BEAM_KEPT_BACK)]
    assert not set(kept) & set(trained)
    assert sorted(kept + trained) == sorted(whole)
    assert "beam-dev" in EVALUATION_ONLY and "beam-train" not in EVALUATION_ONLY
