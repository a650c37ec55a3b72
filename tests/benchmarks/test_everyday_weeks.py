"""The simulated weeks: the same for a seed, and a question is about what was said last of its thing."""

from pathlib import Path

import pytest

from benchmarks.everyday_weeks import ASKED, TURNS, WEEKS, by_week, draw, weeks


def test_a_life_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert weeks(1) == weeks(1) != weeks(2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_question_is_about_the_last_statement_of_its_thing_that_was_not_deleted(seed: int) -> None:
    last: dict[str, str] = {}
    deleted: set[str] = set()
    days = weeks(seed)
    assert len(days) == 7 * WEEKS
    for day in days:
        for one in day.messages:
            if one.name is not None:
                thing = one.said.content.split(" is ")[0].split(" has changed")[0].lower()
                last[f"what is {thing}?"] = one.name
        deleted |= {day.deleted} if day.deleted else set()
        for question, told in day.asked:
            assert last[question.lower()] == told
            assert told not in deleted


def test_a_day_has_sixty_messages_in_order_and_later_ones_follow() -> None:
    days = weeks(1)
    times = [one.at for day in days for one in day.messages]
    assert {len(day.messages) for day in days} == {TURNS}
    assert times == sorted(times)
    assert [len(day.asked) for day in days[3:]] == [ASKED] * (len(days) - 3)
    assert any(one.said.role == "assistant" for one in days[-1].messages)


def test_places_are_counted_by_week() -> None:
    figures = by_week([[1, 4]] * 7 + [[None, 3]] * 7)
    assert [week["first"] for week in figures] == [0.5, 0.0]
    assert [week["in_three"] for week in figures] == [0.5, 0.5]
    assert [week["questions"] for week in figures] == [14, 14]


def test_the_plot_is_the_same_file_for_the_same_figures(tmp_path: Path) -> None:
    figures = by_week([[1, 4]] * 14)
    draw(figures, tmp_path / "one.svg")
    draw(figures, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
