"""How well a memory is addressed by time: dated questions about subjects that came up again and again.

Somebody speaks of each of forty subjects at six times within two years, in the same words but for a detail, among other
messages. Every question names a subject and a time ("last week", "in March", "three days ago"), so that wording alone
cannot tell which of the six is meant. Some of the times are also named by an event that was told of, on its day or
ahead of it ("two days before the trip to Rome", "on my birthday"). Counted is how often the right message is first, and
in the first three.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.serving import Server, told_in_one_line
from benchmarks.speed import made_up

NOW = datetime(2026, 6, 18, 19, 0, tzinfo=UTC)  # a Thursday
OTHERS = 400
BATCH = 500
SUBJECTS = (
    "the garden", "my sister", "the old car", "piano lessons", "the new job", "our neighbour", "the bicycle", "my back",
    "the kitchen", "the cat", "swimming", "the tax return", "Spanish", "the allotment", "my brother Ben", "the roof",
    "photography", "the choir", "baking bread", "the dentist", "my thesis", "the band", "chess", "the boat", "running",
    "the bees", "my landlord", "the heating", "pottery", "the book club", "our holiday", "the allergy", "the printer",
    "the flat in Leeds", "my uncle", "the greenhouse", "the phone contract", "the museum job", "sewing", "the puppy",
)  # fmt: skip
SAID = (
    "About {0}: I finally had some good news today, number {1} on my list.",
    "I want to tell you about {0}. It cost me {1} pounds this time.",
    "There is something new with {0}, it took {1} hours and then it worked out.",
    "You know, {0} kept me busy again, {1} calls and a letter.",
)
ASKED = (
    "What did I tell you {1} about {0}?",
    "{1}, I said something about {0}. What was it?",
    "Remember what I told you about {0} {1}?",
)


EVENTS = (
    "my birthday", "the trip to Rome", "Nora's wedding", "the school reunion", "my driving test", "the marathon",
    "our anniversary", "the concert in Hull", "my operation", "the interview in Bath", "the village fair",
    "my graduation", "the sailing course", "the office party", "Max's christening", "the flower show",
)  # fmt: skip
BESIDE = (("two days before {0}", -2), ("the day after {0}", 1), ("three days after {0}", 3), ("a week before {0}", -7))
ON = ("my birthday", "our anniversary", "Nora's wedding", "my graduation", "Max's christening")
TOLD = "Today is the day of {0}, at last."
TOLD_AHEAD = "It is settled now: {0} is on {1:%-d %B}."


class Time(NamedTuple):
    """A way to name a time, and a moment that it means."""

    words: str
    at: datetime


class Dated(NamedTuple):
    """What is said at a time, and the question that means it."""

    content: str
    at: datetime
    question: str
    words: str


def times(choose: random.Random) -> list[Time]:
    """Six times before `NOW`, far enough apart that each name means one of them."""

    def ago(days: int) -> datetime:
        return NOW - timedelta(days=days, minutes=choose.randint(0, 500))

    monday = NOW - timedelta(days=NOW.weekday())
    days = choose.choice([("yesterday", 1), ("the day before yesterday", 2), ("three days ago", 3)])
    last_week = monday - timedelta(days=choose.randint(1, 7), minutes=choose.randint(0, 500))
    weeks = choose.choice([("three weeks ago", 3), ("four weeks ago", 4)])
    month = choose.choice([("in March", 3), ("in February", 2), ("in January", 1)])
    before = choose.choice([("in October", 10), ("in September", 9), ("in November 2025", 11)])
    day = datetime(2024, choose.randint(7, 12), choose.randint(1, 28), 12, tzinfo=UTC)
    return [
        Time(days[0], ago(days[1])),
        Time("last week", last_week),
        Time(weeks[0], monday - timedelta(weeks=weeks[1] - 1, days=choose.randint(1, 7))),
        Time(month[0], datetime(2026, month[1], choose.randint(1, 28), 12, tzinfo=UTC)),
        Time(before[0], datetime(2025, before[1], choose.randint(1, 28), 12, tzinfo=UTC)),
        Time(f"on {day:%-d %B %Y}", day),
    ]


def material(seed: int) -> list[Dated]:
    """All that is said of the subjects, and how it is asked for."""
    choose = random.Random(seed)
    said = []
    for subject in SUBJECTS:
        saying = choose.choice(SAID)
        for words, at in times(choose):
            question = choose.choice(ASKED).format(subject, words)
            content = saying.format(subject, choose.randint(2, 99))
            said.append(Dated(content, at, question[0].upper() + question[1:], words))
    return said


def by_events(said: Sequence[Dated], seed: int) -> tuple[list[tuple[datetime, str]], dict[int, tuple[str, str]]]:
    """What tells of the events, and by the place of what was said about then: the question, its words for the time."""
    choose = random.Random(seed)
    told, questions = [], {}
    within_a_year = [place for place, one in enumerate(said) if timedelta(days=40) < NOW - one.at < timedelta(days=330)]
    for event, place in zip(EVENTS, choose.sample(within_a_year, len(EVENTS)), strict=True):
        words, days = ("on {0}", 0) if event in ON else choose.choice(BESIDE)
        at, named = said[place].at - timedelta(days=days), words.format(event)
        ahead = choose.random() < 0.5
        told.append(
            (at - timedelta(days=choose.randint(9, 30)), TOLD_AHEAD.format(event, at))
            if ahead
            else (at, TOLD.format(event))
        )
        question = said[place].question
        start = question.lower().index(said[place].words.lower())
        question = question[:start] + named + question[start + len(said[place].words) :]
        questions[place] = question[0].upper() + question[1:], words.format("an event")
    return told, questions


def messages(dated: Sequence[Dated], events: Sequence[tuple[datetime, str]], seed: int) -> Iterator[dict[str, Any]]:
    """Everything that is remembered, in the order of time; what a question means is named by its place."""
    choose = random.Random(seed)
    every = [(one.at, one.content, str(place)) for place, one in enumerate(dated)]
    every += [(at, text, f"event-{number}") for number, (at, text) in enumerate(events)]
    for number, text in enumerate(made_up(OTHERS, 0)[0]):
        every.append((NOW - timedelta(minutes=choose.randint(600, 700 * 24 * 60)), text, f"other-{number}"))
    for at, content, external in sorted(every):
        yield {"role": "user", "content": content, "occurred_at": at.isoformat(), "external_id": external}


def measure(seeds: Sequence[int]) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    places: dict[str, list[int]] = {"dated": [], "by an event": []}
    wrong: dict[str, int] = {}
    with Server() as server, server.client() as client:
        for seed in seeds:
            dated, user = material(seed), f"/v1/users/seed-{seed}"
            events, by_event = by_events(dated, seed)
            told = list(messages(dated, events, seed))
            for start in range(0, len(told), BATCH):
                body = {"session_id": "told", "messages": told[start : start + BATCH]}
                client.post(f"{user}/messages", json=body).raise_for_status()
            asked = [("dated", place, one.question, one.words) for place, one in enumerate(dated)]
            asked += [("by an event", place, *question) for place, question in by_event.items()]
            for kind, place, question, words in asked:
                query = {"query": question, "asked_at": NOW.isoformat(), "k": 20}
                reply = client.post(f"{user}/memory/recall", json=query).raise_for_status().json()
                found = [each["external_id"] for each in reply["recalled"]]
                places[kind].append(found.index(str(place)) if str(place) in found else len(found))
                if places[kind][-1] >= 3:
                    wrong[words] = wrong.get(words, 0) + 1
    return {
        "seeds": list(seeds),
        "kinds": {
            kind: {
                "questions": len(each),
                "first": sum(place == 0 for place in each) / len(each),
                "in_three": sum(place < 3 for place in each) / len(each),
            }
            for kind, each in places.items()
        },
        "missed": dict(sorted(wrong.items(), key=lambda each: -each[1])),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.times", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args(arguments)
    with told_in_one_line():
        figures = measure(options.seeds)
    print(f"seeds {figures['seeds']}, each over {OTHERS} other messages")
    for kind, of in figures["kinds"].items():
        print(
            f"{of['questions']} questions {kind}: the right message first {of['first']:.1%}, in the first three "
            f"{of['in_three']:.1%} (target 90%)"
        )
    print("not in the first three, by the words for the time:", figures["missed"] or "none")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
