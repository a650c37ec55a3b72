"""How often a reply is right: written turns of conversation, each with checks that can fail.

A probe is a user of its own: what they told weeks before, amid other talk, and then a session of turns. The checks are
of the last turn: words of which one must stand in the reply, words that must not, that it declines to know, its
language and its length. They are crude and favour nobody; `--show` prints what failed, to be read.

`probes_tuning.jsonl` is what the prompt was written against; `probes.jsonl` was kept apart for the figures.
"""

import argparse
import json
import random
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.assistant.phrases import language_of
from benchmarks.answers import client_of, contains, declines
from benchmarks.serving import told_in_one_line

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 26, 18, 0, tzinfo=UTC)
LONGEST_REPLY = 128
_OTHERS = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """A probe's last turn, what it recalled, and which of its checks failed."""

    kind: str
    said: str
    reply: str
    recalled: tuple[str, ...]
    failed: tuple[str, ...]


def failures(reply: str, turn: Mapping[str, Any]) -> Iterator[str]:
    """The checks of a turn that its reply doesn't pass."""
    plain = reply.replace("’", "'")
    if turn.get("any") and not any(word.lower() in plain.lower() for word in turn["any"]):
        yield f"none of {', '.join(turn['any'])}"
    for word in turn.get("none", ()):
        if contains(plain, [word]) or (not word.isascii() and word.lower() in plain.lower()):
            yield f"has {word}"
    if turn.get("declines") and not declines(reply):
        yield "does not decline"
    if turn.get("declines") is False and declines(reply):
        yield "declines"
    if len(plain.split()) > turn.get("most_words", 120):
        yield "too long"
    if turn.get("one_sentence") and len(re.findall(r"[.!?](?:\s|$)", plain.strip())) > 1:
        yield "more than one sentence"
    if "language" in turn and language_of([plain]) != turn["language"]:
        yield f"not in {turn['language']}"
    if not plain.strip():
        yield "empty"


def told_messages(probe: Mapping[str, Any], others: Sequence[str], seed: int) -> list[dict[str, str]]:
    """What the user told before, amid other talk, oldest first."""
    chosen = random.Random(seed)
    placed: list[tuple[float, str, dict[str, str]]] = [
        (chosen.uniform(3, 90), text, {}) for text in chosen.sample(others, _OTHERS)
    ]
    for number, told in enumerate(probe["told"]):
        row: dict[str, Any] = {"say": told} if isinstance(told, str) else told
        days = row.get("days", 30 - number)
        more: dict[str, str] = {name: str(row[name]) for name in ("role", "speaker") if name in row}
        placed.append((days - row.get("gap", 0) / 1440, str(row["say"]), more))
    placed.sort(key=lambda one: -one[0])
    return [
        {"role": "user", "content": text, "occurred_at": (NOW - timedelta(days=days)).isoformat(), **more}
        for days, text, more in placed
    ]


def run(client: httpx.Client, probe: Mapping[str, Any], others: Sequence[str], seed: int) -> Outcome:
    """Tells, then talks; the user is erased afterwards."""
    user = f"probe-{uuid.uuid4().hex[:12]}"
    told = told_messages(probe, others, seed)
    client.post(f"/v1/users/{user}/messages", json={"session_id": "told", "messages": told}).raise_for_status()
    try:
        for number, turn in enumerate(probe["turns"]):
            body = {
                "user_id": user,
                "session_id": "now",
                "message": turn["say"],
                "occurred_at": (NOW + timedelta(minutes=number)).isoformat(),
                "temperature": 0,
                "max_tokens": LONGEST_REPLY,
            }
            answer = client.post("/v1/chat", json=body).raise_for_status().json()
    finally:
        client.delete(f"/v1/users/{user}")
    recalled = tuple(one["content"] for one in answer["recalled"])
    return Outcome(probe["kind"], turn["say"], answer["reply"], recalled, tuple(failures(answer["reply"], turn)))


def table(outcomes: Sequence[Outcome]) -> str:
    """How many were right, by kind and in all."""
    lines = [f"{'kind':<16}{'n':>4}{'right':>7}"]
    kinds = dict.fromkeys(outcome.kind for outcome in outcomes)
    for kind in [*kinds, None]:
        chosen = [outcome for outcome in outcomes if kind in (None, outcome.kind)]
        lines.append(f"{kind or 'all':<16}{len(chosen):>4}{sum(not outcome.failed for outcome in chosen):>7}")
    right = 100 * sum(not outcome.failed for outcome in outcomes) / len(outcomes)
    return "\n".join([*lines, f"right: {right:.1f} %"])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probes", description=__doc__)
    parser.add_argument("--probes", type=Path, default=HERE / "probes.jsonl")
    parser.add_argument("--others", type=Path, default=HERE / "other_messages.txt")
    parser.add_argument("--url", help="a running service; by default one is started, with the environment's GENERATOR")
    parser.add_argument("--kind", help="only these, with commas")
    parser.add_argument("--show", choices=["failed", "all"], help="print replies")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the probes and prints the table."""
    options = _options(arguments)
    probes = [json.loads(line) for line in options.probes.read_text(encoding="utf-8").splitlines()]
    if options.kind:
        probes = [probe for probe in probes if probe["kind"] in options.kind.split(",")]
    others = options.others.read_text(encoding="utf-8").splitlines()
    outcomes = []
    with told_in_one_line(), client_of(options.url) as client:
        for number, probe in enumerate(probes):
            outcome = run(client, probe, others, number)
            outcomes.append(outcome)
            if options.show == "all" or (options.show and outcome.failed):
                mark = "; ".join(outcome.failed) or "right"
                print(
                    f"[{outcome.kind}] {outcome.said}\n    {' '.join(outcome.reply.split())}\n    -> {mark}",
                    flush=True,
                )
    print(table(outcomes))


if __name__ == "__main__":
    main()
