"""A written conversation over four sessions, weeks apart, with a real server that is restarted between them.

Each turn is printed with what the memory recalled and why: the weight, and its share by read mode. Claims about what is
recalled decide the exit status; claims about the reply are shown too, but that depends on the language model.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving import Server, told_in_one_line

SCENARIO = Path(__file__).with_name("demo_scenario.json")
USER = "nora"
MODES = ("content", "forward", "backward")
BETWEEN_TURNS = timedelta(minutes=1)
_WIDTH = 110


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message says where it is wrong."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What must come of a turn: a recollection among the first `within`, or one of `replies` in the reply.

    Attributes:
        recalls: turns by their ids, any of which will do.
        mostly: the read mode that must have the greatest share of that recollection.
    """

    claim: str
    recalls: tuple[str, ...] = ()
    within: int = 1
    mostly: str | None = None
    replies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that is said, under an id if a claim speaks of it."""

    say: str
    id: str | None
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """A sitting; its turns are a minute apart."""

    id: str
    at: datetime
    title: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a claim holds, what was found, and whether the exit status hangs on it."""

    claim: str
    passed: bool
    decides: bool
    found: str = ""


def read_scenario(path: Path) -> list[Session]:
    """The sessions of a scenario.

    Raises:
        ScenarioError: it says something unknown, or a claim names a turn that was not said before.
    """
    try:
        return _sessions(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{path}: {type(error).__name__}: {error}") from error


def _sessions(scenario: Mapping[str, Any]) -> list[Session]:
    sessions: list[Session] = []
    said: set[str] = set()
    for row in scenario["sessions"]:
        turns = []
        for told in row["turns"]:
            turns.append(
                Turn(told["say"], told.get("id"), tuple(_claim(claim, said) for claim in told.get("claims", ())))
            )
            said.add(told.get("id", ""))
        at = datetime.fromisoformat(row["at"])
        if sessions and at <= sessions[-1].at:
            raise ValueError(f"session {row['id']} does not come after the one before it")
        sessions.append(Session(row["id"], at, row["title"], tuple(turns)))
    return sessions


def _claim(row: Mapping[str, Any], said: set[str]) -> Claim:
    values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in row.items()}
    claim = Claim(**values)
    if bool(claim.recalls) == bool(claim.replies):
        raise ValueError(f"the claim {claim.claim!r} must have either `recalls` or `replies`")
    if claim.mostly not in (None, *MODES):
        raise ValueError(f"the claim {claim.claim!r} names no read mode: {claim.mostly!r}")
    unknown = [name for name in claim.recalls if name not in said]
    if unknown:
        raise ValueError(f"the claim {claim.claim!r} speaks of {unknown[0]!r}, which was not said before")
    return claim


def check(claim: Claim, turn: Mapping[str, Any], messages: Mapping[str, str]) -> Outcome:
    """Whether a claim holds for a turn's reply object.

    Args:
        messages: the message ids of the scenario's turns by their own ids.
    """
    if claim.replies:
        passed = any(word.lower() in turn["reply"].lower() for word in claim.replies)
        return Outcome(claim.claim, passed, decides=False, found=turn["reply"])
    wanted = {messages[name] for name in claim.recalls}
    ranks = [rank for rank, one in enumerate(turn["recalled"], 1) if one["message_id"] in wanted]
    if not ranks:
        return Outcome(claim.claim, False, decides=True, found="not recalled at all")
    best = turn["recalled"][ranks[0] - 1]
    found = f"at rank {ranks[0]}, {why(best)}"
    as_claimed = claim.mostly is None or claim.mostly == max(MODES, key=lambda mode: float(best["modes"][mode]))
    return Outcome(claim.claim, ranks[0] <= claim.within and as_claimed, decides=True, found=found)


def why(recollection: Mapping[str, Any]) -> str:
    """A recollection's weight, and the share of each read mode in it."""
    weight = recollection["weight"]
    shares = {mode: round(100 * recollection["modes"][mode] / weight) if weight else 0 for mode in MODES}
    return f"weight {weight:.3f}: " + ", ".join(f"{mode} {share} %" for mode, share in shares.items() if share)


def play(server: Server, sessions: Sequence[Session], shown: int, max_tokens: int) -> Iterator[Outcome]:
    """Plays the sessions, the server restarted between them, and gives the outcome of each claim."""
    messages: dict[str, str] = {}
    before: dict[str, Any] | None = None
    for number, session in enumerate(sessions, 1):
        if number > 1:
            print(f"\n[the server (process {server.pid}) is stopped and started again]", flush=True)
            server.restart()
        with server.client() as client:
            if before is not None:
                now = _memory(client)
                yield Outcome(
                    f"the memory is the same after restart {number - 1}", now == before, decides=True, found=str(now)
                )
            print(f"\n=== Session {number}, {session.at:%A %d %B %Y}: {session.title} ===")
            for place, turn in enumerate(session.turns):
                reply = _say(client, session, turn, session.at + place * BETWEEN_TURNS, max_tokens)
                if turn.id is not None:
                    messages[turn.id] = reply["user_message_id"]
                _show(turn, reply, shown)
                for claim in turn.claims:
                    outcome = check(claim, reply, messages)
                    print(f"          {_mark(outcome)} {outcome.claim}")
                    yield replace(outcome, claim=f"session {number}: {outcome.claim}")
            before = _memory(client)


def _say(client: httpx.Client, session: Session, turn: Turn, at: datetime, max_tokens: int) -> dict[str, Any]:
    body = {
        "user_id": USER,
        "session_id": session.id,
        "message": turn.say,
        "occurred_at": at.isoformat(),
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    reply: dict[str, Any] = client.post("/v1/chat", json=body).raise_for_status().json()
    return reply


def _memory(client: httpx.Client) -> dict[str, Any]:
    summary = client.get(f"/v1/users/{USER}/memory").raise_for_status().json()
    return {name: summary[name] for name in ("version", "slots_used", "fingerprint")}


def _show(turn: Turn, reply: Mapping[str, Any], shown: int) -> None:
    print(f"\n  Nora    {turn.say}")
    print(f"  Mneme   {_line(reply['reply'], 400)}")
    for one in reply["recalled"][:shown]:
        who = "Nora" if one["role"] == "user" else "Mneme"
        print(f"          · {one['occurred_at'][:10]} {who}: {_line(one['content'], 80)}")
        print(f"            {why(one)}")
    sys.stdout.flush()


def _line(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[:most].rstrip()} …"


def _mark(outcome: Outcome) -> str:
    return "[passed]" if outcome.passed else "[FAILED]"


def check_list(outcomes: Sequence[Outcome]) -> str:
    """All claims, those about replies apart."""
    lines = []
    for title, decides in (("What the memory recalls and keeps", True), ("What the language model replies", False)):
        lines.append(f"{title}:")
        for outcome in (one for one in outcomes if one.decides == decides):
            told = "" if outcome.passed else f" ({_line(outcome.found, _WIDTH)})"
            lines.append(f"  {_mark(outcome)} {outcome.claim}{told}")
    return "\n".join(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--scenario", type=Path, default=SCENARIO, help="what is said (default: %(default)s)")
    parser.add_argument("--shown", type=int, default=3, help="recollections shown a turn (default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=60, help="longest reply (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Plays the scenario; exit status 1 where a claim about the memory fails."""
    options = _options(arguments)
    with told_in_one_line(ScenarioError):
        sessions = read_scenario(options.scenario)
        with Server() as server:
            outcomes = list(play(server, sessions, options.shown, options.max_tokens))
    print(f"\n{check_list(outcomes)}")
    if not all(outcome.passed for outcome in outcomes if outcome.decides):
        sys.exit(1)


if __name__ == "__main__":
    main()
