"""What the assistant answers of stories, one kind of bAbI's questions after the other, and what the story reader does.

Everything goes through the HTTP interface. A fresh user is told a story sentence by sentence, as messages of a minute
each; then the question is asked in a session of its own by `POST /v1/chat`, and of the reader by `POST /v1/answer`. The
stories are the first short ones of the official test files; nothing may be tuned on them.
"""

import argparse
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.answers import client_of, contains
from benchmarks.serving import told_in_one_line
from memory_core.stories import babi

TOLD = datetime(2026, 8, 10, 20, 0, tzinfo=UTC)
_DIRECTIONS = {"n": "north", "s": "south", "e": "east", "w": "west"}


@dataclass(frozen=True, slots=True)
class Question:
    """A story as it was written, and a question after its end."""

    kind: str
    sentences: tuple[str, ...]
    question: str
    answers: tuple[str, ...]  # every word of the answer


def own() -> Question:
    """A story that needs more than words that match: his and her book are one."""
    told = ("John went to school.", "He forgot his book.", "Mary gave him her book.")
    return Question("our own", told, "Who gave John the book?", ("mary",))


def questions(text: str, kind: str, most: int) -> Iterator[Question]:
    """The questions of a file whose stories have at most so many sentences before them, the first of each story."""
    sentences: list[str] = []
    asked = False
    for line in text.splitlines():
        mark, _, rest = line.strip().partition(" ")
        if mark == "1":
            sentences, asked = [], False
        if "\t" not in rest:
            sentences.append(rest)
        elif not asked and len(sentences) <= most:
            question, answer, *_ = rest.split("\t")
            asked = True
            yield Question(kind, tuple(sentences), question.strip(), tuple(answer.lower().split(",")))


def right(reply: str, answers: Sequence[str]) -> bool:
    """Whether a reply has every word of the answer, directions also in full."""
    return all(contains(reply, (answer, _DIRECTIONS.get(answer, answer))) for answer in answers)


def ask(client: httpx.Client, one: Question) -> tuple[str, str]:
    """What the assistant replies, and what the reader answers; an empty text where it does not know the words."""
    user = f"stories-{uuid.uuid4().hex[:12]}"
    messages = [
        {"role": "user", "content": text, "occurred_at": (TOLD + timedelta(minutes=number)).isoformat()}
        for number, text in enumerate(one.sentences)
    ]
    try:
        told = {"session_id": "told", "messages": messages}
        client.post(f"/v1/users/{user}/messages", json=told).raise_for_status()
        turn = {
            "user_id": user, "session_id": "asked", "message": one.question, "temperature": 0, "max_tokens": 48,
            "occurred_at": (TOLD + timedelta(hours=1)).isoformat(),
        }  # fmt: skip
        reply = client.post("/v1/chat", json=turn).raise_for_status().json()["reply"]
    finally:
        client.delete(f"/v1/users/{user}")
    read = client.post("/v1/answer", json={"story": list(one.sentences), "question": one.question})
    return reply, "" if read.status_code == 422 else read.raise_for_status().json()["answer"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Asks, and prints a line a kind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stories", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the bAbI tasks")
    parser.add_argument("--url", help="the service to ask; by default one is started, with GENERATOR")
    parser.add_argument("--each", type=int, default=5, help="questions of each kind")
    parser.add_argument("--most", type=int, default=20, help="sentences of a story")
    parser.add_argument("--show", action="store_true", help="every question with its replies")
    options = parser.parse_args(arguments)
    try:
        files = babi.read(options.data)
    except babi.MissingStories as error:
        sys.exit(str(error))
    kinds = [[own()]]
    for task, name in babi.TASKS.items():
        found = questions(files.test[task], f"{task} {name}", options.most)
        kinds.append([one for one, _ in zip(found, range(options.each), strict=False)])
    total, chat, reader = 0, 0, 0
    print(f"{'right of':<34}{'n':>4}{'chat':>6}{'reader':>8}", flush=True)
    with told_in_one_line(httpx.TransportError), client_of(options.url) as client:
        for asked in filter(None, kinds):
            outcomes = [(one, *ask(client, one)) for one in asked]
            said = sum(right(reply, one.answers) for one, reply, _ in outcomes)
            read = sum(answer == ", ".join(one.answers) for one, _, answer in outcomes)
            print(f"{asked[0].kind:<34}{len(asked):>4}{said:>6}{read:>8}", flush=True)
            if options.show:
                for one, reply, answer in outcomes:
                    print(f"    {one.question} {', '.join(one.answers)} | {reply!r} | {answer}")
            total, chat, reader = total + len(asked), chat + said, reader + read
    print(f"{'all':<34}{total:>4}{chat:>6}{reader:>8}")


if __name__ == "__main__":
    main()
