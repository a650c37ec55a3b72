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

import httpx

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


# Other ways to name a time, each with the day that it means, from `NOW`: a Thursday, 18 June 2026. None is above.
OTHERWISE = (
    ("the week before last", -13), ("the weekend before last", -12), ("two Fridays ago", -13), ("a week ago today", -7),
    ("a week ago Monday", -10), ("at the beginning of May", -46), ("in early April", -75), ("in mid-March", -95),
    ("at the end of February", -112), ("in late January", -142), ("in the first week of June", -15),
    ("in the last week of May", -21), ("the day before yesterday", -2), ("on Tues", -2), ("in Nov", -210),
    ("in Dec 2025", -185), ("last Sept", -275), ("on 10-02-2026", -128), ("on 7.4.", -72), ("2d ago", -2),
    ("several days ago", -5), ("these past few weeks", -12), ("in the second half of April", -52), ("earlier today", 0),
    ("at Whitsun", -24), ("on Good Friday", -76), ("around the 12th", -6), ("in 11/2025", -210), ("in Q1 2025", -480),
    ("the night before last", -2), ("in the summer of 2025", -330), ("since the start of the month", -12),
)  # fmt: skip
TO_COME = (
    ("the week after next", 13), ("the weekend after next", 17), ("on Saturday week", 9), ("a week from Friday", 8),
    ("two weeks from tomorrow", 15), ("ten days from now", 10), ("at the end of next week", 9), ("next weekend", 10),
    ("at the beginning of July", 16), ("in the middle of next month", 27), ("on the first Monday of August", 46),
    ("on the last Friday of the month", 8), ("over the holidays", 192), ("later today", 0), ("in early September", 79),
    ("in mid-October", 120), ("in three months' time", 92), ("on Black Friday", 162),
    ("before the end of the month", 6), ("tomorrow evening", 1),
    ("next spring", 270), ("in Nov", 150), ("on 7.8.", 50), ("in the first week of July", 15),
)  # fmt: skip
PLANNED = (
    "{0}: the next appointment is {1}, in room {2}.",
    "I have put down {0} for {1}, number {2} on the list.",
    "It is settled, {0} is the matter {1}, it takes {2} hours.",
)
ASKED_AHEAD = ("What is there about {0} {1}?", "{1}, what will be with {0}?", "What do I have to do about {0} {1}?")


WIDE = ("in Q1 2025", "in the summer of 2025", "next spring")  # more than a month
OTHERS_APART = (-300, -190, -100, -35, 35, 100, 190)  # days from the one meant


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


def otherwise(seed: int) -> list[Dated]:
    """For each of `OTHERWISE` a subject, what was said of it on the day meant and on others: those have no question."""
    choose = random.Random(f"{seed} otherwise")
    said = []
    for subject, (words, far) in zip(choose.sample(SUBJECTS, len(OTHERWISE)), OTHERWISE, strict=True):
        saying, question = choose.choice(SAID), choose.choice(ASKED).format(subject, words)
        for apart in (0, *_apart(words)):
            if far + apart <= 0:
                at = NOW + timedelta(days=far + apart) - timedelta(minutes=choose.randint(5, 300))
                content = saying.format(subject, choose.randint(2, 99))
                said.append(Dated(content, at, "" if apart else question[0].upper() + question[1:], words))
    return said


def to_come(seed: int) -> list[Dated]:
    """For each of `TO_COME` a subject, and what was told of the day meant and of others, some weeks ago."""
    choose = random.Random(f"{seed} to come")
    said = []
    for subject, (words, far) in zip(choose.sample(SUBJECTS, len(TO_COME)), TO_COME, strict=True):
        saying, question = choose.choice(PLANNED), choose.choice(ASKED_AHEAD).format(subject, words)
        for apart in (0, *_apart(words)):
            day, at = NOW + timedelta(days=far + apart), NOW - timedelta(minutes=choose.randint(4, 60) * 24 * 60)
            told = saying.format(subject, f"on {day:%-d %B %Y}", choose.randint(2, 99))
            said.append(Dated(told, at, "" if apart else question[0].upper() + question[1:], words))
    return said


def _apart(words: str) -> tuple[int, ...]:
    return tuple(days for days in OTHERS_APART if abs(days) > 90 or words not in WIDE)


def measure(seeds: Sequence[int]) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    places: dict[str, list[int]] = {"dated": [], "by an event": [], "otherwise": [], "to come": []}
    wrong: dict[str, int] = {}
    with Server() as server, server.client() as client:
        for seed in seeds:
            dated = material(seed)
            events, by_event = by_events(dated, seed)
            asked = _asked("dated", f"seed-{seed}", dated)
            asked += [("by an event", f"seed-{seed}", place, *question) for place, question in by_event.items()]
            _tell(client, f"seed-{seed}", list(messages(dated, events, seed)))
            for kind, said in (("otherwise", otherwise(seed)), ("to come", to_come(seed))):
                name = f"seed-{seed}-{kind[:2]}"
                _tell(client, name, list(messages(said, [], seed)))
                asked += _asked(kind, name, said)
            for kind, name, place, question, words in asked:
                user = f"/v1/users/{name}"
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


def _asked(kind: str, user: str, said: Sequence[Dated]) -> list[tuple[str, str, int, str, str]]:
    return [(kind, user, place, one.question, one.words) for place, one in enumerate(said) if one.question]


def _tell(client: httpx.Client, user: str, told: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(told), BATCH):
        body = {"session_id": "told", "messages": told[start : start + BATCH]}
        client.post(f"/v1/users/{user}/messages", json=body).raise_for_status()


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
