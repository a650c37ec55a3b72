"""The demo's scenario, and how its claims are judged."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.demo import SCENARIO, Claim, Outcome, ScenarioError, check, check_list, read_scenario, why

MESSAGES = {"dog": "m1", "step-2": "m2"}


def recollection(message_id: str, weight: float, **modes: float) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "weight": weight,
        "modes": {"content": 0.0, "forward": 0.0, "backward": 0.0} | modes,
    }


TURN = {
    "reply": "His name is Biscuit.",
    "recalled": [
        recollection("m2", 0.6, content=0.2, forward=0.4),
        recollection("m1", 0.3, content=0.3),
    ],
}


def written(tmp_path: Path, *sessions: dict[str, Any]) -> Path:
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"sessions": list(sessions)}))
    return path


def session(at: str = "2026-03-02T18:00:00+01:00", *turns: dict[str, Any]) -> dict[str, Any]:
    return {"id": "s", "at": at, "title": "t", "turns": list(turns)}


def test_the_packaged_scenario_is_four_sessions_at_least_a_week_apart() -> None:
    sessions = read_scenario(SCENARIO)
    assert len(sessions) == 4
    days = [(later.at.date() - earlier.at.date()).days for earlier, later in pairwise(sessions)]
    assert min(days) >= 7


def test_the_packaged_scenario_claims_content_and_both_directions_in_time() -> None:
    claims = [claim for each in read_scenario(SCENARIO) for turn in each.turns for claim in turn.claims]
    assert {claim.mostly for claim in claims} == {None, "forward", "backward"}
    assert any(claim.replies for claim in claims)


@pytest.mark.parametrize(
    ("claim", "complaint"),
    [
        ({"claim": "c", "recalls": ["cat"]}, "not said before"),
        ({"claim": "c"}, "either"),
        ({"claim": "c", "recalls": ["dog"], "replies": ["x"]}, "either"),
        ({"claim": "c", "recalls": ["dog"], "mostly": "sideways"}, "no read mode"),
        ({"claim": "c", "recall": ["dog"]}, "recall"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(tmp_path: Path, claim: dict[str, Any], complaint: str) -> None:
    turns: list[dict[str, Any]] = [{"id": "dog", "say": "A dog."}, {"say": "A dog?", "claims": [claim]}]
    with pytest.raises(ScenarioError, match=complaint):
        read_scenario(written(tmp_path, session("2026-03-02T18:00:00+01:00", *turns)))


def test_sessions_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="does not come after"):
        read_scenario(written(tmp_path, session(), session()))


@pytest.mark.parametrize(
    ("claim", "passed"),
    [
        (Claim("c", recalls=("step-2",)), True),
        (Claim("c", recalls=("dog",)), False),
        (Claim("c", recalls=("dog",), within=2), True),
        (Claim("c", recalls=("dog", "step-2")), True),
        (Claim("c", recalls=("step-2",), mostly="forward"), True),
        (Claim("c", recalls=("step-2",), mostly="content"), False),
    ],
)
def test_a_claim_about_the_memory_is_judged_by_rank_and_mode(claim: Claim, passed: bool) -> None:
    outcome = check(claim, TURN, MESSAGES)
    assert (outcome.passed, outcome.decides) == (passed, True)


def test_a_message_that_was_not_recalled_fails_whatever_the_rank() -> None:
    outcome = check(Claim("c", recalls=("dog",), within=100), {"reply": "", "recalled": []}, MESSAGES)
    assert not outcome.passed
    assert outcome.found == "not recalled at all"


def test_a_claim_about_the_reply_does_not_decide() -> None:
    assert check(Claim("c", replies=("Rex", "biscuit")), TURN, MESSAGES) == Outcome(
        "c", True, decides=False, found="His name is Biscuit."
    )
    assert not check(Claim("c", replies=("Rex",)), TURN, MESSAGES).passed


def test_a_recollection_is_explained_by_the_shares_of_its_modes() -> None:
    assert why(recollection("m", 0.5, forward=0.4, content=0.1)) == "weight 0.500: content 20 %, forward 80 %"


def test_the_check_list_keeps_memory_and_replies_apart() -> None:
    outcomes = [Outcome("said", False, decides=False, found="Hm."), Outcome("found", True, decides=True)]
    lines = check_list(outcomes).splitlines()
    assert [line.strip() for line in lines] == [
        "What the memory recalls and keeps:",
        "[passed] found",
        "What the language model replies:",
        "[FAILED] said (Hm.)",
    ]
