"""The speed benchmark's figures and its material."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import made_up, material, percentile, report, targets


def figures(**changed: Any) -> dict[str, Any]:
    def level(slots: int, milliseconds: float) -> dict[str, Any]:
        times = {"p50": milliseconds, "p95": 2 * milliseconds}
        return {"slots_used": slots, "remember_ms": times, "recall_ms": times, "storage_bytes_a_message": 80_000.0}

    measured: dict[str, Any] = {
        "material": "made-up sentences",
        "calls": 100,
        "turns": 50,
        "levels": {1_000: level(1_003, 10.0), 10_000: level(10_001, 20.0)},
        "import_messages_a_second": 150.0,
        "turn_overhead_ms": {"p50": 30.0, "p95": 40.0, "encode": 8.0},
        "many_users": {"users": 16, "calls_a_second": 60.0, "p95_ms": 400.0},
        "resident_mib_at_start": 500.0,
        "resident_mib": 900.0,
        "peak_mib": 950.0,
        "message_bytes": {"file": 9_000.0, "wal": 60_000.0},
        "user_bytes": 40 * 2**20,
        "user_slots": 4_100,
    }
    return measured | changed


@pytest.mark.parametrize(("percent", "value"), [(50, 5.0), (95, 10.0), (100, 10.0), (1, 1.0), (90, 9.0)])
def test_a_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], percent) == value


def test_targets_say_what_is_met_and_what_is_missed() -> None:
    assert {target.name: target.met for target in targets(figures())} == {
        "remember p50 at 1,000 slots": True,
        "remember p50, 10,000 : 1,000": False,
        "recall p50 at 1,000 slots": True,
        "recall p50, 10,000 : 1,000": False,
        "import, 1,000 messages a call": True,
        "turn without generating, p50": True,
        "resident memory": True,
    }
    slow = targets(figures(import_messages_a_second=119.0, resident_mib=1_500.0))
    assert [target.name for target in slow if not target.met][-2:] == [
        "import, 1,000 messages a call",
        "resident memory",
    ]


def test_the_report_names_material_targets_and_sizes() -> None:
    text = report(figures())
    assert text.startswith("material: made-up sentences")
    assert "missed" in text and "met" in text
    assert "40.0 MiB at 4,100 slots" in text


def test_a_partial_run_reports_what_it_measured() -> None:
    some = figures(levels={100: figures()["levels"][1_000]})
    del some["user_bytes"], some["import_messages_a_second"]
    assert len(list(targets(some))) == 2
    assert "a user in the database" not in report(some)


def test_without_the_data_set_sentences_are_made_up_and_the_report_says_so(tmp_path: Path) -> None:
    chosen = material(tmp_path)
    assert "made-up" in chosen.source and "realmem.jsonl.xz is missing" in chosen.source
    assert chosen.messages and chosen.questions


def test_made_up_messages_have_about_thirty_words_and_hardly_repeat() -> None:
    messages, questions = made_up(500, 50)
    lengths = [len(text.split()) for text in messages]
    assert 25 < sum(lengths) / len(lengths) < 50
    assert len(set(messages)) > 490
    assert all(question.endswith("?") for question in questions)
    assert made_up(500, 50) == (messages, questions)
