"""How often recall is right in many languages: `make bench-languages`, over HTTP, no language model.

Each language's facts of `languages.txt` are told among chatter in the same language, in an order that a seed fixes.
Each is asked in its own language, in English, and in the next language of the file; some are asked of a memory that
holds all languages too. A second memory of each language lacks half of the facts: its confidence says that it does.
"""

import argparse
import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.everyday_service import Refused, Service, serving
from benchmarks.serving import told_in_one_line
from memory_core.training.calibration import auroc
from memory_core.training.language_facts import ENGLISH, FactsError, Language, read

TABLE = Path(__file__).with_name("languages.txt")
SEED = 20
CUTS = (1, 5)
_BEGAN = datetime(2026, 11, 2, 8, tzinfo=UTC)
_SAID_AT_ONCE = 100


class Asked(NamedTuple):
    """A question put to a memory."""

    kind: str
    language: str
    query: str
    fact: str | None


class Outcome(NamedTuple):
    """Where the fact came, from 1; 0 where it did not, or there is none; and the confidence."""

    asked: Asked
    rank: int
    confidence: float


async def remember(service: Service, user: str, texts: Sequence[str], drawn: random.Random) -> None:
    """Tells a user's memory the texts, two hours apart, in an order of its own."""
    order = drawn.sample(list(texts), len(texts))
    messages = [
        {"role": "user", "content": text, "occurred_at": (_BEGAN + timedelta(hours=2 * place)).isoformat()}
        for place, text in enumerate(order)
    ]
    for start in range(0, len(messages), _SAID_AT_ONCE):
        body = {"session_id": "s", "messages": messages[start : start + _SAID_AT_ONCE]}
        await service.call("POST", f"/v1/users/{user}/messages", body)


async def ask(service: Service, user: str, asked: Asked) -> Outcome:
    """Recalls, and finds the fact's place."""
    body = {"query": asked.query, "k": 20}
    reply = await service.call("POST", f"/v1/users/{user}/memory/recall", body)
    found = [one["content"] for one in reply["recalled"]]
    return Outcome(asked, found.index(asked.fact) + 1 if asked.fact in found else 0, reply["confidence"])


async def measure(service: Service, sections: dict[str, Language], drawn: random.Random) -> list[Outcome]:
    """All questions of all memories."""
    outcomes = []
    tongues = list(sections)
    everything = []
    for place, tongue in enumerate(tongues):
        here, after = sections[tongue], sections[tongues[(place + 1) % len(tongues)]]
        told = [*(fact.text for fact in here.facts.values()), *here.chatter]
        everything += told
        await remember(service, tongue, told, drawn)
        missing = list(here.facts)[::2]
        kept = [fact.text for name, fact in here.facts.items() if name not in missing]
        await remember(service, f"{tongue}-half", [*kept, *here.chatter], drawn)
        for name, fact in here.facts.items():
            outcomes.append(await ask(service, tongue, Asked("within", tongue, fact.question, fact.text)))
            if tongue != ENGLISH:
                query = sections[ENGLISH].facts[name].question
                outcomes.append(await ask(service, tongue, Asked("in English", tongue, query, fact.text)))
                there = sections[ENGLISH].facts[name].text
                outcomes.append(await ask(service, ENGLISH, Asked("of English", tongue, fact.question, there)))
                outcomes.append(
                    await ask(service, tongue, Asked("in another", tongue, after.facts[name].question, fact.text))
                )
            if name in missing:
                outcomes.append(await ask(service, f"{tongue}-half", Asked("never told", tongue, fact.question, None)))
    drawn.shuffle(everything)
    spread = {
        name: tongues[place % len(tongues)] for place, name in enumerate(sections[ENGLISH].facts)
    }  # each fact in one language alone
    facts = [sections[tongue].facts[name].text for name, tongue in spread.items()]
    chatter = [line for each in sections.values() for line in each.chatter]
    await remember(service, "everything", [*facts, *chatter], drawn)
    for name, tongue in spread.items():
        for by in dict.fromkeys((tongue, ENGLISH, "de", "zh")):
            told_once, query = sections[tongue].facts[name].text, sections[by].facts[name].question
            outcomes.append(await ask(service, "everything", Asked("in one memory", tongue, query, told_once)))
    return outcomes


def share(outcomes: Sequence[Outcome], most: int) -> float:
    """Percent of the outcomes with the fact among so many."""
    return 100 * sum(0 < one.rank <= most for one in outcomes) / len(outcomes)


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a language, then what is measured of all but English, then the confidence."""
    by = defaultdict[tuple[str, str], list[Outcome]](list)
    for one in outcomes:
        by[one.asked.language, one.asked.kind].append(one)
        if one.asked.language != ENGLISH:
            by["all but English", one.asked.kind].append(one)
    kinds = ("within", "in English", "of English", "in another")
    lines = ["| language | " + " | ".join(f"{kind} @1 / @5" for kind in kinds) + " |", "|---" * 5 + "|"]
    for language in dict.fromkeys(language for language, _ in by):
        cells = [" / ".join(f"{share(by[language, kind], most):.0f}" for most in CUTS) if by[language, kind] else "–"
                 for kind in kinds]  # fmt: skip
        lines.append(f"| {language} | {' | '.join(cells)} |")
    one_memory = [one for one in outcomes if one.asked.kind == "in one memory"]
    lines.append(f"\nall languages in one memory: {' / '.join(f'{share(one_memory, most):.1f}' for most in CUTS)}")
    known = [one.confidence for one in outcomes if one.asked.kind == "within" and one.asked.language != ENGLISH]
    unknown = [one.confidence for one in outcomes if one.asked.kind == "never told" and one.asked.language != ENGLISH]
    lines.append(
        f"confidence of what was told {sum(known) / len(known):.2f}, never told {sum(unknown) / len(unknown):.2f},"
        f" AUROC {auroc(torch.tensor(known), torch.tensor(unknown)):.2f}"
    )
    return "\n".join(lines)


async def _run(sections: dict[str, Language], in_process: bool) -> list[Outcome]:
    async with serving(in_process) as service:
        return await measure(service, sections, random.Random(SEED))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.languages", description=__doc__)
    parser.add_argument("--file", type=Path, default=TABLE, help="facts and chatter (default: %(default)s)")
    parser.add_argument("--misses", action="store_true", help="also print what was not first")
    parser.add_argument("--in-process", action="store_true", help="without a server of its own: quicker")
    options = parser.parse_args(arguments)
    with told_in_one_line(FactsError, OSError, Refused):
        sections = read(options.file)
        outcomes = asyncio.run(_run(sections, options.in_process))
        print(table(outcomes))
        if options.misses:
            for one in outcomes:
                if one.asked.fact and one.rank != 1:
                    print(one.rank, one.asked.kind, one.asked.language, "|", one.asked.query, "|", one.asked.fact)


if __name__ == "__main__":
    main()
