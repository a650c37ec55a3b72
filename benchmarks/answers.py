"""How often the assistant's replies contain what it was told: the figure that counts for whoever talks to it.

Everything goes through the HTTP interface, as an application would. A fresh user is told the facts of `facts.jsonl`
amid the everyday talk of `other_messages.txt`, over ten weeks; then each fact is asked for in a session of its own, in
other words. The questions and their replies become part of the memory on the way, as they do for a real user.
`facts_tuning.jsonl` is the set that the prompt was tuned on; `facts.jsonl` was held back for the figure. With
`--never-told` the questions of `never_told.jsonl`, which nothing that was told answers, are asked too.
"""

import argparse
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving import Server

HERE = Path(__file__).parent
WEEKS = 10
LAST_SAID = datetime(2026, 8, 10, 20, 0, tzinfo=UTC)
FIRST_ASKED = LAST_SAID + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a user tells once, or tells and later corrects (the newest of `told` counts), and a question for it."""

    kind: str
    told: tuple[str, ...]
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """One question's outcome: whether the fact was among the recollections, and whether the reply contains it."""

    kind: str
    question: str
    answers: tuple[str, ...]
    reply: str
    answered: bool
    recalled: bool
    recollections: tuple[str, ...]
    declined: bool
    seconds: float


def read_facts(path: Path) -> list[Fact]:
    """The facts of a JSON-lines file; `told` may be one string or, oldest first, a list."""
    facts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        told = [row["told"]] if isinstance(row["told"], str) else row["told"]
        facts.append(Fact(row["kind"], tuple(told), row["question"], tuple(row["answers"])))
    return facts


def contains(reply: str, answers: Iterable[str]) -> bool:
    """Whether any of the answers stands in the reply as a word or words of its own, whatever the case."""
    plain = reply.lower().replace("’", "'")
    return any(re.search(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", plain) for answer in answers)


_DECLINES = re.compile(
    r"\b(?:not|n't|never|no)\b[^.!?]{0,40}\b(?:remember|recall|told|tell|mention\w*|know|sure|notes?|information|records?|"
    r"say|said|aware|memory|details|hold|have any)\b",
    re.IGNORECASE,
)


def declines(reply: str) -> bool:
    """Whether a reply says that it doesn't know, in any of the usual ways."""
    return _DECLINES.search(reply.replace("’", "'").replace("n't", " n't")) is not None


def conversation(facts: Sequence[Fact], others: Sequence[str], seed: int) -> list[dict[str, str]]:
    """Facts and other messages shuffled and dated over the weeks; a correction comes after what it corrects."""
    shuffle = random.Random(seed)
    placed = [(shuffle.random(), text) for text in others]
    for fact in facts:
        placed += zip(sorted(shuffle.random() for _ in fact.told), fact.told, strict=True)
    placed.sort()
    step = timedelta(weeks=WEEKS) / len(placed)
    begin = LAST_SAID - timedelta(weeks=WEEKS)
    return [
        {"role": "user", "content": text, "occurred_at": (begin + step * number).isoformat(timespec="seconds")}
        for number, (_, text) in enumerate(placed, start=1)
    ]


def tell(client: httpx.Client, user: str, messages: Sequence[dict[str, str]]) -> None:
    """Imports the conversation as the user's first session."""
    for start in range(0, len(messages), 500):
        body = {"session_id": "told", "messages": messages[start : start + 500]}
        client.post(f"/v1/users/{user}/messages", json=body).raise_for_status()


def ask(
    client: httpx.Client, user: str, number: int, fact: Fact, remarks: Sequence[str], options: argparse.Namespace
) -> ParsedQuery:
    """Asks for one fact in a session of its own, after some small talk in it."""
    body = {
        "user_id": user,
        "session_id": f"asked-{number}",
        "temperature": 0,
        "max_tokens": options.max_tokens,
        "k": options.k,
        "occurred_at": (FIRST_ASKED + timedelta(minutes=number)).isoformat(),
    }
    for remark in remarks:
        client.post("/v1/chat", json=body | {"message": remark}).raise_for_status()
    begin = time.perf_counter()
    turn: dict[str, Any] = client.post("/v1/chat", json=body | {"message": fact.question}).raise_for_status().json()
    seconds = time.perf_counter() - begin
    if options.forget:
        for message in (turn["user_message_id"], turn["reply_message_id"]):
            client.delete(f"/v1/users/{user}/messages/{message}").raise_for_status()
    recollections = tuple(recollection["content"] for recollection in turn["recalled"])
    return ParsedQuery(
        kind=fact.kind,
        question=fact.question,
        answers=fact.answers,
        reply=turn["reply"],
        answered=contains(turn["reply"], fact.answers),
        recalled=bool(fact.told) and fact.told[-1] in recollections,
        recollections=recollections,
        declined=declines(turn["reply"]),
        seconds=round(seconds, 3),
    )


def table(asked: Sequence[ParsedQuery]) -> str:
    """The outcomes by kind, and in total, as text."""
    kinds = dict.fromkeys(outcome.kind for outcome in asked)
    rows = [(kind, [outcome for outcome in asked if outcome.kind == kind]) for kind in kinds]
    lines = [f"{'kind':<14}{'n':>5}{'recalled':>12}{'answered':>12}{'declined':>12}"]
    for kind, outcomes in [*rows, ("total", list(asked))]:
        recalled = 100 * sum(outcome.recalled for outcome in outcomes) / len(outcomes)
        answered = 100 * sum(outcome.answered for outcome in outcomes) / len(outcomes)
        declined = 100 * sum(outcome.declined for outcome in outcomes) / len(outcomes)
        lines.append(f"{kind:<14}{len(outcomes):>5}{recalled:>10.1f} %{answered:>10.1f} %{declined:>10.1f} %")
    median = sorted(outcome.seconds for outcome in asked)[len(asked) // 2]
    return "\n".join([*lines, f"median seconds a turn: {median:.2f}"])


@contextmanager
def client_of(url: str | None) -> Iterator[httpx.Client]:
    """A client of a running service, or of one that is started for the while."""
    if url:
        with httpx.Client(base_url=url, timeout=300) as client:
            yield client
    else:
        with Server() as server, server.client() as client:
            yield client


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--url", help="the service to measure; by default one is started, with GENERATOR")
    parser.add_argument("--never-told", action="store_true", help="ask what was never told too: it should be declined")
    parser.add_argument("--facts", type=Path, default=HERE / "facts.jsonl")
    parser.add_argument("--others", type=Path, default=HERE / "other_messages.txt")
    parser.add_argument("--out", type=Path, help="where to write the transcripts, one JSON line a question")
    parser.add_argument("--k", type=int, default=8, help="recollections a turn")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--seed", type=int, default=7, help="order in which things are told")
    parser.add_argument("--remarks", type=int, default=0, help="small talk in each session before its question")
    parser.add_argument("--forget", action="store_true", help="forget each question and its reply before the next one")
    parser.add_argument("--keep", action="store_true", help="leave the user in the service instead of erasing it")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its table."""
    options = _options(arguments)
    facts = read_facts(options.facts)
    questions = (HERE / "never_told.jsonl").read_text(encoding="utf-8").splitlines() if options.never_told else []
    unknown = [Fact("never told", (), json.loads(line)["question"], ()) for line in questions]
    others = options.others.read_text(encoding="utf-8").splitlines()
    user = f"benchmark-{uuid.uuid4().hex[:12]}"
    asked: list[ParsedQuery] = []
    try:
        with client_of(options.url) as client:
            tell(client, user, conversation(facts, others, options.seed))
            try:
                chosen = random.Random(options.seed)
                for number, fact in enumerate([*facts, *unknown]):
                    remarks = chosen.sample(others, options.remarks)
                    asked.append(ask(client, user, number, fact, remarks, options))
                    print(f"\r{number + 1}/{len(facts) + len(unknown)} asked", end="", file=sys.stderr, flush=True)
            finally:
                if not options.keep:
                    client.delete(f"/v1/users/{user}")
    except httpx.HTTPStatusError as error:
        sys.exit(f"\n{error.request.url} answered {error.response.status_code}: {error.response.text[:300]}")
    except httpx.HTTPError as error:
        sys.exit(f"\n{options.url}: {type(error).__name__}: {error}")
    finally:
        if options.out and asked:
            rows = (json.dumps(asdict(outcome), ensure_ascii=False) for outcome in asked)
            options.out.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    print(file=sys.stderr)
    print(table([outcome for outcome in asked if outcome.kind != "never told"]))
    if unknown:
        print(table([outcome for outcome in asked if outcome.kind == "never told"]))


if __name__ == "__main__":
    main()
