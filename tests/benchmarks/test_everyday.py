"""Everyday use: the cases are well formed and apart, and an outcome is right only if all that is expected holds."""

from pathlib import Path

import pytest

from benchmarks.everyday import APART, Outcome, by_kind, mistakes, table, total
from benchmarks.everyday_cases import (
    NOW,
    TABLE,
    TUNING,
    BadCase,
    Case,
    Expect,
    Said,
    program_log,
    read_cases,
    read_chatter,
    timeline,
)

FILES = (TABLE, TUNING)


def case(expect: Expect, said: dict[str, Said] | None = None) -> Case:
    said = said or {"right": Said(content="I have a red boat."), "other": Said(content="I had a blue boat.")}
    return Case(kind="boats", said=said, query="Which boat do I have?", expect=expect)


def found(*names: str, confidence: float = 0.9, weight: float = 0.5) -> dict[str, object]:
    recalled = [{"message_id": f"id-{name}", "content": f"about {name}", "weight": weight} for name in names]
    return {"recalled": recalled, "confidence": confidence}


NAMES = {"id-right": "right", "id-other": "other"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_kind_has_twelve_cases_and_no_case_stands_twice(path: Path) -> None:
    cases = read_cases(path)
    counts = {kind: sum(one.kind == kind for one in cases) for kind in {one.kind for one in cases}}
    assert len(counts) >= 25
    assert min(counts.values()) >= 12, counts
    keys = [one.model_dump_json() for one in cases]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_expected_is_said_after_it_is_asked(path: Path) -> None:
    for one in read_cases(path):
        times = [said.at for said in one.said.values() if said.at is not None]
        assert all(at < one.asked_at for at in times), one.query


def test_messages_stand_among_the_chatter_in_order_and_alike_for_a_seed() -> None:
    chatter = read_chatter(tuning=True)
    said = {
        "first": Said(content="One."),
        "asked": Said(content="Two?", times=3),
        "near": Said(content="3", directly=True),
    }
    one = case(Expect(first=["first"]), said)
    timed = timeline(one, chatter, 1)
    assert [each.name for each in timed if each.name] == ["first", "asked", "asked", "asked", "near"]
    assert len(timed) == len(chatter["en"]) + 5
    assert [each.at for each in timed] == sorted(each.at for each in timed)
    assert timed[-1].at < NOW
    place = [each.name for each in timed].index("near")
    assert timed[place - 1].name == "asked"
    assert timed == timeline(one, chatter, 1) != timeline(one, chatter, 2)


def test_the_two_files_have_the_same_kinds_and_no_message_in_common() -> None:
    table_cases, tuning = read_cases(TABLE), read_cases(TUNING)
    assert {one.kind for one in table_cases} == {one.kind for one in tuning}
    stated = [{said.content for one in cases for said in one.said.values()} for cases in (table_cases, tuning)]
    assert all(len(text) < 5 for text in stated[0] & stated[1])  # a mere emoji says nothing


def test_the_texts_that_must_not_be_found_are_not_in_the_chatter() -> None:
    for path in FILES:
        chatter = [text for texts in read_chatter(path == TUNING).values() for text in texts]
        for one in read_cases(path):
            assert not one.expect.nowhere or not any(one.expect.nowhere in text for text in chatter), one.query


def test_cases_of_the_same_messages_ask_one_memory_and_others_another() -> None:
    one, other = case(Expect(first=["right"])), case(Expect(confident=True))
    assert one.memory == other.memory
    assert one.memory != case(Expect(first=["right"]), {"right": Said(content="A boat.")}).memory


def test_a_log_before_the_query_is_as_long_as_wanted_and_the_same_each_time() -> None:
    assert program_log(0, "seed") == ""
    assert len(program_log(5000, "seed")) >= 5000
    assert program_log(500, "seed") == program_log(500, "seed") != program_log(500, "other")


def test_the_chatter_of_the_two_files_differs() -> None:
    assert not set(read_chatter(tuning=True)["en"]) & set(read_chatter(tuning=False)["en"])


@pytest.mark.parametrize(
    ("expect", "answer", "right"),
    [
        (Expect(first=["right"]), found("right", "other"), True),
        (Expect(first=["right"]), found("other", "right"), False),
        (Expect(first=["right"]), found(), False),
        (Expect(in_three=["right"]), found("other", "x", "right"), True),
        (Expect(in_three=["right"]), found("other", "x", "y", "right"), False),
        (Expect(before=[("right", "other")]), found("x", "right"), True),
        (Expect(before=[("right", "other")]), found("other", "right"), False),
        (Expect(before=[("right", "other")]), found("x"), False),
        (Expect(nowhere="other"), found("right"), True),
        (Expect(nowhere="other"), found("right", "other"), False),
        (Expect(confident=True), found("right", confidence=0.5), False),
        (Expect(confident=False), found("right", confidence=0.5), True),
        (Expect(recalled_at_most=1), found("right", "other"), False),
        (Expect(weighed=True), found("right", weight=0.0), False),
        (Expect(first=["right"], confident=True), found("right", confidence=0.5), False),
    ],
)
def test_a_case_is_right_only_if_all_that_it_expects_holds(
    expect: Expect, answer: dict[str, object], right: bool
) -> None:
    assert (mistakes(case(expect), answer, NAMES) == []) is right


def test_confidence_may_not_rise_by_asking_and_is_compared_with_another_querys() -> None:
    assert mistakes(case(Expect(rise_at_most=0.02)), found("right", confidence=0.9), NAMES, earlier=0.7)
    assert not mistakes(case(Expect(rise_at_most=0.02)), found("right", confidence=0.7), NAMES, earlier=0.7)
    assert mistakes(case(Expect(more_confident_than="Boats?")), found("right", confidence=0.7), NAMES, lower=0.8)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"kind": "boats", "said": {"a": "I row."}, "query": "Do I row?", "expect": {"first": "b"}}', "called b"),
        ('{"kind": "boats", "said": {"a": "I row."}, "query": "Do I row?", "expect": {}}', "nothing is expected"),
        ('{"kind": "boats", "said": {"a": "I row."}, "query": "Do I row?"', "line 1"),
        ('["boats"]', "JSON object"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(BadCase, match=says):
        read_cases(path)


def test_an_unknown_kind_is_told_with_those_that_there_are() -> None:
    with pytest.raises(BadCase, match="no such kind: boats; there are asked_once"):
        read_cases(TUNING, ["boats"])


def test_what_is_told_apart_is_not_in_the_sum() -> None:
    outcomes = [
        Outcome(kind, "en", "?", wrong, [], 0.5) for kind, wrong in (("boats", ""), ("boats", "no"), (APART[0], "no"))
    ]
    assert total(by_kind(outcomes)) == (1, 2)
    assert "| boats | 1 | 2 |" in table(outcomes)
    assert "(50.0%)" in table(outcomes)
