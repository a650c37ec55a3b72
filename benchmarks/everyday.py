"""How well the memory serves everyday use: asking again, brother beside sister, time zones, updates, other scripts …

Every case has a user of its own: its messages are remembered among chatter, then its query is put to `memory/recall`,
over HTTP, of a server that the benchmark starts. A case is right when all that it expects holds. Cases for tuning and
cases for the table are different files, with different facts and words. Kinds of `APART` are not counted in the sum.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.settings import Settings
from benchmarks.everyday_cases import TABLE, TUNING, BadCase, Case, Timed, read_cases, read_chatter, timeline
from benchmarks.everyday_service import Refused, Service, serving
from benchmarks.serving import told_in_one_line

K = 20
SEED = 1
APART = ("across_languages",)
DOUBTED_BELOW: float = Settings.model_fields["doubt_below"].default


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went; `wrong` says what does not hold, and is empty where all does."""

    kind: str
    language: str
    query: str
    wrong: str
    recalled: list[str]
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """A memory that a case's messages are in: its user, their names by id, and the confidence before the askings."""

    user: str
    names: dict[str, str]
    earlier: float | None


async def tell(service: Service, case: Case, user: str, timed: Sequence[Timed]) -> Told:
    """Remembers what a case says and does what it does.

    Raises:
        Refused: the service answers otherwise than the case expects.
    """
    earlier: dict[str, Any] = {}
    if any(one.said.again for one in timed):
        await service.tell(f"{user}-unasked", [one for one in timed if not one.said.again])
        earlier = await service.recall(f"{user}-unasked", case.cue, case.asked_at, K, {})
    names = await service.tell(user, timed)
    for action in case.then:
        await service.act(user, action, case.said, names)
    return Told(user, names, earlier.get("confidence"))


async def ask(service: Service, case: Case, told: Told) -> Outcome:
    """Puts a case's query to the memory and compares."""
    found = await service.recall(told.user, case.cue, case.asked_at, K, case.request)
    other = case.expect.more_confident_than
    lower = await service.recall(told.user, other, case.asked_at, K, {}) if other else {}
    wrong = mistakes(case, found, told.names, told.earlier, lower.get("confidence"))
    recalled = [_told(one, told.names) for one in found["recalled"]]
    return Outcome(case.kind, case.language, case.query, "; ".join(wrong), recalled, found["confidence"])


def _told(one: dict[str, Any], names: dict[str, str]) -> str:
    return f"{names.get(one['message_id'], '-')}: {one['content'][:70]}"


def mistakes(
    case: Case,
    found: dict[str, Any],
    names: dict[str, str],
    earlier: float | None = None,
    lower: float | None = None,
) -> list[str]:
    """What the case expects and does not hold; `earlier` and `lower` are the confidences that it is compared with."""
    expect, confidence = case.expect, found["confidence"]
    order = list(dict.fromkeys(names.get(one["message_id"], one["message_id"]) for one in found["recalled"]))
    places = {name: place for place, name in enumerate(order, 1)}
    wrong = []
    if expect.first and not set(expect.first) & set(order[:1]):
        wrong.append(f"{' or '.join(expect.first)} should be first, is {_place(places, *expect.first)}")
    wrong += [
        f"{name} should be in the first three, is {_place(places, name)}"
        for name in expect.in_three
        if places.get(name, K + 1) > 3
    ]
    wrong += [
        f"{one} ({_place(places, one)}) should stand before {other} ({_place(places, other)})"
        for one, other in expect.before
        if one not in places or places.get(other, K + 1) < places[one]
    ]
    if expect.nowhere and any(expect.nowhere in one["content"] for one in found["recalled"]):
        wrong.append(f"{expect.nowhere!r} should not be found any more")
    if expect.confident is not None and (confidence >= DOUBTED_BELOW) != expect.confident:
        wrong.append(
            f"confidence {confidence:.2f} should be {'at least' if expect.confident else 'below'} {DOUBTED_BELOW}"
        )
    if lower is not None and lower >= confidence:
        wrong.append(f"confidence {confidence:.2f} should be above the {lower:.2f} of {expect.more_confident_than!r}")
    if expect.rise_at_most is not None and confidence - (earlier or 0.0) > expect.rise_at_most:
        wrong.append(f"confidence rose from {earlier:.2f} to {confidence:.2f}")
    if expect.recalled_at_most is not None and len(found["recalled"]) > expect.recalled_at_most:
        wrong.append(f"{len(found['recalled'])} recalled, should be at most {expect.recalled_at_most}")
    if expect.weighed and not all(one["weight"] > 0 for one in found["recalled"]):
        wrong.append("recalled with a weight of 0")
    return wrong


def _place(places: dict[str, int], *names: str) -> str:
    return str(min((places[name] for name in names if name in places), default=f"not in {K}"))


async def run(cases: Sequence[Case], tuning: bool, in_process: bool, seed: int) -> list[Outcome]:
    """Runs cases one after the other over one service; those of the same messages ask one memory."""
    chatter = read_chatter(tuning)
    outcomes: list[Outcome] = []
    memories: dict[str, Told] = {}
    async with serving(in_process) as service:
        for number, case in enumerate(cases):
            try:
                if case.memory not in memories:
                    user = f"{case.kind}-{number}"
                    memories[case.memory] = await tell(service, case, user, timeline(case, chatter, seed))
                outcomes.append(await ask(service, case, memories[case.memory]))
            except Refused as refused:
                outcomes.append(Outcome(case.kind, case.language, case.query, str(refused), [], None))
            if number + 1 == len(cases) or cases[number + 1].kind != case.kind:
                print(f"{number + 1} of {len(cases)} cases", file=sys.stderr, flush=True)
    return outcomes


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """Right and all cases of each kind, in the order of the file."""
    counts: dict[str, tuple[int, int]] = {}
    for one in outcomes:
        right, every = counts.get(one.kind, (0, 0))
        counts[one.kind] = right + (not one.wrong), every + 1
    return counts


def total(counts: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Right and all cases, but for those told apart."""
    counted = [pair for kind, pair in counts.items() if kind not in APART]
    return sum(right for right, _ in counted), sum(every for _, every in counted)


def table(outcomes: Sequence[Outcome]) -> str:
    """The kinds with their counts, as Markdown."""
    counts = by_kind(outcomes)
    lines = ["| kind | right | of |", "| --- | ---: | ---: |"]
    for kind, (right, every) in counts.items():
        lines.append(f"| {kind.replace('_', ' ')}{' (apart)' if kind in APART else ''} | {right} | {every} |")
    right, every = total(counts)
    lines.append(f"| **all** | **{right}** | **{every}** ({right / max(every, 1):.1%}) |")
    return "\n".join(lines)


def failures(outcomes: Sequence[Outcome]) -> str:
    """Each wrong case with what does not hold and what came first."""
    lines = []
    for one in outcomes:
        if one.wrong:
            sure = "" if one.confidence is None else f", confidence {one.confidence:.2f}"
            lines.append(f"\n{one.kind} ({one.language}): {one.query[-100:]}\n  {one.wrong}{sure}")
            lines += [f"    {place}. {told}" for place, told in enumerate(one.recalled[:4], 1)]
    return "\n".join(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everyday", description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="the cases for tuning, not those for the table")
    parser.add_argument(
        "--kinds", type=lambda text: text.split(","), default=[], help="only these, with commas between"
    )
    parser.add_argument("--in-process", action="store_true", help="without a server: faster, the same routes")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="where messages stand in the chatter (default: %(default)s)"
    )
    parser.add_argument("--show", action="store_true", help="list what went wrong")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its table."""
    options = _options(arguments)
    began = time.perf_counter()
    with told_in_one_line(BadCase, Refused):
        cases = read_cases(TUNING if options.tuning else TABLE, options.kinds)
        outcomes = asyncio.run(run(cases, options.tuning, options.in_process, options.seed))
    seconds = time.perf_counter() - began
    if options.show:
        print(failures(outcomes), end="\n\n")
    print(table(outcomes))
    print(f"\nseed {options.seed}, {seconds:.0f} s")
    if options.out:
        right, every = total(by_kind(outcomes))
        figures = {
            "cases": "tuning" if options.tuning else "table",
            "seed": options.seed,
            "seconds": seconds,
            "kinds": {kind: {"right": right, "of": every} for kind, (right, every) in by_kind(outcomes).items()},
            "right": right,
            "of": every,
            "outcomes": [asdict(one) for one in outcomes],
        }
        options.out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
