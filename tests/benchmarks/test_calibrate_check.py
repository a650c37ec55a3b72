"""What the assistant's second confidence is fitted to, and what a fit gives."""

import pytest

from benchmarks.calibrate_check import ABSENT, ANSWERED, NEAR_MISS, Told, conversations, fit, table


def test_each_user_tells_what_is_asked_for_and_never_what_is_absent() -> None:
    every = list(conversations())
    kinds = [question.category for one in every for question in one.questions]
    assert {kind: kinds.count(kind) for kind in (ANSWERED, NEAR_MISS, ABSENT)} == {
        ANSWERED: 100, NEAR_MISS: 106, ABSENT: 33,
    }  # fmt: skip
    for one in every:
        said = {turn.id for turn in one.turns}
        assert all(question.evidence <= said for question in one.questions)
        assert len({turn.text for turn in one.turns}) == len(one.turns)


def test_a_fit_is_surer_where_model_and_memory_are_and_declines_what_they_deny() -> None:
    found = [Told(ANSWERED, 0.9, 2.0 + place / 10) for place in range(20)]
    found += [Told(NEAR_MISS, 0.9, -2.0 + place / 10) for place in range(20)]
    found += [Told(ANSWERED, 0.8, -0.5), Told(ABSENT, 0.3, 0.5)]
    calibration = fit(found)
    assert calibration.confidence(3.0, 0.9) > 0.9 > 0.5 > calibration.confidence(-3.0, 0.9)
    assert calibration.confidence(1.0, 0.9) > calibration.confidence(1.0, 0.2)
    assert calibration.known == pytest.approx(0.2 * calibration.odds, abs=0.01)
    assert "declined of 1 absent" in table(found, calibration, 0.72)
