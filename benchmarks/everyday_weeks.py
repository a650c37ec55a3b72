"""Four simulated weeks of one user: does recall hold while facts, repeated questions, updates and deletions pile up?

About sixty messages a day, by a fixed seed: chatter, things of the user and of six other people (their car, allergy,
phone number …: the same form for each, so that only the owner tells them apart), changes of such things, questions that
were asked before, each with the assistant's reply, and deletions. At the end of each day twelve things told so far, of
whatever age, are asked for; a question is right when the last statement is among the first three recollections.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.everyday_cases import NOW, Action, Said, Timed, read_chatter
from benchmarks.everyday_service import Refused, Service, serving
from benchmarks.network_plots import figure
from benchmarks.serving import PROJECT, told_in_one_line

WEEKS, TURNS, ASKED = 4, 60, 12
FACTS, UPDATES, REPEATED = 5, 2, 8  # a day
DELETED_EVERY = 3  # days
PICTURE = PROJECT / "docs" / "figures" / "weeks.svg"
OWNERS = ("my", "my sister's", "my brother's", "Leonie's", "Mr Hoffmann's", "my boss's", "Farid's")
THINGS: dict[str, tuple[str, ...]] = {
    "phone number": ("0151 555 {}", "0171 555 {}"),
    "favourite colour": ("turquoise", "ochre", "lilac", "crimson", "olive"),
    "car": ("a Volvo estate", "a red Fiat", "an old Saab", "a Mini", "a Dacia"),
    "doctor": ("Dr Osei", "Dr Lindner", "Dr Kapoor", "Dr Moreau", "Dr Sato"),
    "favourite dish": ("lasagne", "goulash", "pad thai", "pierogi", "paella"),
    "shoe size": ("38", "39", "41", "43", "45"),
    "dog": ("a beagle", "a poodle", "a whippet", "a corgi", "a setter"),
    "bedtime": ("half past nine", "ten", "eleven", "midnight", "one in the morning"),
    "street": ("Mill Lane", "Harbour Road", "Elm Grove", "Station Hill", "Quay Street"),
    "instrument": ("the oboe", "the banjo", "the harp", "the drums", "the viola"),
    "favourite film": ("Alien", "Amélie", "Vertigo", "Paddington", "Stalker"),
    "holiday destination": ("Crete", "Tromsø", "Lisbon", "Kyoto", "Malta"),
    "allergy": ("peanuts", "pollen", "penicillin", "cat hair", "shellfish"),
    "door code": ("{}", "{}#", "A{}"),
    "favourite author": ("Woolf", "Borges", "Morrison", "Calvino", "Lem"),
    "mattress": ("too soft", "brand new", "made of straw", "from a sale", "very hard"),
    "team": ("Hibernian", "Werder", "Ajax", "Torino", "Rayo"),
    "tax adviser": ("Ms Yilmaz", "Mr Petit", "Ms Novak", "Mr Ruiz", "Ms Holm"),
    "bicycle": ("a tandem", "a folding bike", "a racing bike", "a cargo bike", "a unicycle"),
    "landlord": ("Mr Abernathy", "Mrs Kowal", "Mr Duarte", "Mrs Finch", "Mr Bloch"),
}


@dataclass
class Thing:
    """Something of somebody: what is said of it, and which message said it last."""

    owner: str
    name: str
    value: str
    told: str = ""
    day: int = 0
    updated: bool = False

    @property
    def statement(self) -> str:
        return f"{self.owner[0].upper()}{self.owner[1:]} {self.name} is {self.value}."

    @property
    def update(self) -> str:
        return f"{self.owner[0].upper()}{self.owner[1:]} {self.name} has changed, it is {self.value} now."

    @property
    def question(self) -> str:
        return f"What is {self.owner} {self.name}?"

    @property
    def reply(self) -> str:
        owner = self.owner.replace("my ", "your ") if self.owner != "my" else "your"
        return f"{owner[0].upper()}{owner[1:]} {self.name} is {self.value}."


@dataclass(frozen=True, slots=True)
class Day:
    """What is said on a day, in order; what is deleted at its end; and what is asked then: question and message."""

    messages: list[Timed]
    deleted: str | None
    asked: list[tuple[str, str]]


@dataclass
class Life:
    """The weeks as they unfold from a seed."""

    chance: random.Random
    fresh: list[tuple[str, str]]
    chatter: list[str]
    known: list[Thing] = field(default_factory=list)
    said: int = 0

    def value(self, name: str, but: str = "") -> str:
        """A value for a thing, other than `but`."""
        values = [text.format(self.chance.randint(1000, 9999)) for text in THINGS[name]]
        return self.chance.choice([value for value in values if value != but])

    def day(self, day: int) -> Day:
        """The next day of this life."""
        asked_again = self.chance.sample(self.known, min(REPEATED, len(self.known)))
        parts: list[list[tuple[Thing | None, Said]]] = []
        for owner, name in [self.fresh.pop() for _ in range(min(FACTS, len(self.fresh)))]:
            thing = Thing(owner, name, self.value(name), day=day)
            self.known.append(thing)
            parts.append([(thing, Said(content=thing.statement))])
        settled = [thing for thing in self.known if thing.day < day]
        for thing in self.chance.sample(settled, min(UPDATES, len(settled))):
            thing.value, thing.updated, thing.day = self.value(thing.name, thing.value), True, day
            parts.append([(thing, Said(content=thing.update))])
        for thing in asked_again:
            reply = thing.reply if self.chance.random() < 0.7 else "I don't remember you telling me that."
            parts.append(
                [(None, Said(content=thing.question)), (None, Said(content=reply, role="assistant", directly=True))]
            )
        many = TURNS - sum(map(len, parts))
        parts += [[(None, Said(content=text))] for text in self.chance.choices(self.chatter, k=many)]
        self.chance.shuffle(parts)
        morning = _beginning() + timedelta(days=day, hours=7)
        messages = []
        for place, (told, said) in enumerate([one for part in parts for one in part]):
            message: str | None = None
            if told is not None:
                self.said += 1
                told.told = message = f"fact-{self.said}"
            messages.append(Timed(name=message, at=morning + timedelta(minutes=14 * place), said=said))
        deleted = None
        if day % DELETED_EVERY == DELETED_EVERY - 1:
            gone = self.chance.choice([thing for thing in self.known if not thing.updated])
            self.known.remove(gone)
            deleted = gone.told
        asked = self.chance.sample(self.known, min(ASKED, len(self.known)))
        return Day(messages, deleted, [(thing.question, thing.told) for thing in asked])


def _beginning() -> datetime:
    return (NOW - timedelta(days=7 * WEEKS)).replace(hour=0)


def weeks(seed: int, days: int = 7 * WEEKS) -> list[Day]:
    """A life, a day at a time; the same for a seed."""
    chance = random.Random(seed)
    fresh = [(owner, name) for owner in OWNERS for name in THINGS]
    chance.shuffle(fresh)
    life = Life(chance, fresh, read_chatter(tuning=False)["en"])
    return [life.day(day) for day in range(days)]


async def places(service: Service, user: str, days: Sequence[Day]) -> list[list[int | None]]:
    """For each day and question, the place of the last statement among the recollections."""
    names: dict[str, str] = {}
    found = []
    for number, day in enumerate(days):
        names |= await service.tell(user, day.messages)
        if day.deleted is not None:
            await service.act(user, Action(delete=day.deleted), {}, names)
        at, one_day = day.messages[-1].at + timedelta(minutes=5), []
        for question, told in day.asked:
            reply = await service.recall(user, question, at, 20, {})
            order = [names.get(one["message_id"]) for one in reply["recalled"]]
            one_day.append(order.index(told) + 1 if told in order else None)
        found.append(one_day)
        print(f"day {number + 1} of {len(days)}", file=sys.stderr, flush=True)
    return found


def by_week(found: Sequence[Sequence[int | None]]) -> list[dict[str, Any]]:
    """Questions of each week, how many had the statement first, and how many in the first three."""
    figures = []
    for start in range(0, len(found), 7):
        each = [place for day in found[start : start + 7] for place in day]
        counts = {cut: sum(place is not None and place <= cut for place in each) for cut in (1, 3)}
        figures.append({"questions": len(each), "first": counts[1] / len(each), "in_three": counts[3] / len(each)})
    return figures


def draw(figures: Sequence[dict[str, Any]], path: Path) -> None:
    """The plot, as SVG. Needs matplotlib, which comes with the extra `train`."""
    numbers = range(1, len(figures) + 1)
    with figure(path, 1) as (axes,):
        for key, label in (("in_three", "in the first three"), ("first", "first")):
            axes.plot(numbers, [100 * week[key] for week in figures], marker="o", label=label)
        axes.set(xlabel="week", ylabel="right, in percent", ylim=(0, 102), xticks=list(numbers))
        axes.legend()


async def _run(seeds: Sequence[int], in_process: bool) -> list[dict[str, Any]]:
    found: list[list[int | None]] = [[] for _ in range(7 * WEEKS)]
    async with serving(in_process) as service:
        for seed in seeds:
            for day, each in zip(found, await places(service, f"life-{seed}", weeks(seed)), strict=True):
                day += each
    return by_week(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the weeks, prints the figures by week and draws them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everyday_weeks", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="a life each (default: %(default)s)")
    parser.add_argument("--in-process", action="store_true", help="without a server: faster, the same routes")
    parser.add_argument("--plot", type=Path, default=PICTURE, help="where the plot goes (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    options = parser.parse_args(arguments)
    with told_in_one_line(Refused):
        figures = asyncio.run(_run(options.seeds, options.in_process))
    print("| week | questions | first | in the first three |\n| ---: | ---: | ---: | ---: |")
    for number, week in enumerate(figures, 1):
        print(f"| {number} | {week['questions']} | {week['first']:.1%} | {week['in_three']:.1%} |")
    draw(figures, options.plot)
    if options.out:
        options.out.write_text(
            json.dumps({"seeds": options.seeds, "weeks": figures}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
