"""Runs become rows, and only the marked place of the document changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from memory_core.training.results import ResultsError, gather, rewrite, table


def result(model: str = "dnc", seed: int = 1, solved: bool = True, sequences: int = 4_000) -> dict[str, Any]:
    return {
        "run": {"task": "copy", "model": model, "controller": None if model == "lstm" else "lstm", "seed": seed},
        "command": f"mneme train copy --model {model}",
        "solved": solved,
        "sequences": sequences,
        "seconds": 60.0 * seed,
        "restores": 0,
        "sizes": [{"bits": 0.4, "least": 0.0, "bit_error": 0.001 * seed * place} for place in range(5)],
    }


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_seeds_of_one_command_are_one_row() -> None:
    text = table([result(seed=3, sequences=9_000), result(seed=1), result(seed=2, solved=False), result("lstm")])
    head, rule, dnc, lstm = rows(text)
    assert len({len(head), len(rule), len(dnc), len(lstm)}) == 1
    of = dict(zip(head, dnc, strict=True))
    assert of["model"] == "dnc (lstm)"
    assert of["seeds"] == "1, 2, 3"
    assert of["solved"] == "2 of 3"
    assert of["sequences to solve"] == "6,500 (4,000–9,000)"
    assert of["seconds"] == "120"
    assert of["bit error 10×"] == "0.80 % (≤ 1.20)"
    assert of["command, then `--seed`"] == "`mneme train copy --model dnc`"
    assert lstm[1] == "lstm"


def test_rows_of_other_commands_stay(tmp_path: Path) -> None:
    document = tmp_path / "science.md"
    document.write_text("<!-- table:tasks -->\n<!-- /table:tasks -->\n")
    every = [result("sdnc"), result("lstm"), result(seed=1), result(seed=2)]
    rewrite(document, "tasks", lambda standing: table(every, standing))
    whole = document.read_text()
    rewrite(document, "tasks", lambda standing: table([every[1]], standing))
    assert document.read_text() == whole
    rewrite(document, "tasks", lambda standing: table([result("lstm", seed=5, sequences=7)], standing))
    assert [row[1:5] for row in rows(document.read_text())[3:-1]] == [
        ["dnc (lstm)", "1, 2", "2 of 2", "4,000 (4,000–4,000)"],
        ["lstm", "5", "1 of 1", "7"],
        ["sdnc (lstm)", "1", "1 of 1", "4,000"],
    ]


def test_what_no_seed_solved_has_no_sequences_to_solve() -> None:
    *_, row = rows(table([result(solved=False)]))
    assert row[3:5] == ["0 of 1", "–"]


def test_only_the_marked_section_is_rewritten(tmp_path: Path) -> None:
    document = tmp_path / "science.md"
    document.write_text("Before.\n<!-- table:tasks -->\nold\n<!-- /table:tasks -->\nAfter.\n")
    for text in ("new", "newer"):
        rewrite(document, "tasks", {"old": "new", "new": "newer"}.__getitem__)
        assert document.read_text() == f"Before.\n<!-- table:tasks -->\n{text}\n<!-- /table:tasks -->\nAfter.\n"


@pytest.mark.parametrize("text", ["", "<!-- table:tasks -->", "<!-- /table:tasks --> <!-- table:tasks -->"])
def test_a_document_without_the_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    document = tmp_path / "science.md"
    document.write_text(text)
    with pytest.raises(ResultsError, match="no place for the table"):
        rewrite(document, "tasks", lambda _: "new")
    assert document.read_text() == text


def test_results_are_found_wherever_they_lie(tmp_path: Path) -> None:
    for place in ("one", "deeper/two"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "result.json").write_text(json.dumps(result()))
    assert len(gather(tmp_path)) == 2


def test_no_results_and_damaged_ones_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no finished run"):
        gather(tmp_path)
    for text in ("{", "{}", "[]", '{"run": {"task": "copy"}, "sizes": []}'):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(ResultsError, match=r"result\.json is not the result"):
            gather(tmp_path)
