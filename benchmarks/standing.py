"""`python -m benchmarks.standing`: how well it is told what holds until revoked, and what takes the place of what.

Held sentences, which nobody trains or tunes on, are told with a header before them and without. Then what a user says
over time is written to a memory as it ships, case by case, and what stands at the end is compared with what should.
Last, talk of scenes and personas that nobody trained on, of which hardly anything stands.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.intents import HEADERS, measure
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.language.intents import INTENTS
from memory_core.standing import STANDS, standing
from memory_core.training.conversations import DATA, MissingData
from memory_core.training.fit_intents import inputs_of, kept_to_measure
from memory_core.training.intent_sentences import read

HELD = Path("tests/memory_core/language/held_standing.txt")
CASES = Path(__file__).with_name("standing_cases.txt")
_AT = datetime(2026, 5, 8, 9, tzinfo=UTC)
_MOST = 64


class Line(NamedTuple):
    """What is said in a case, whether it stands when it is said, and whether it does at the end."""

    text: str
    stood: bool
    stands: bool


def cases(path: Path = CASES) -> list[list[Line]]:
    """The cases of the file."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    lines = ([line for line in block.splitlines() if line[:2] in ("+ ", "- ", ". ")] for block in blocks)
    return [[Line(line[2:], line[0] != ".", line[0] == "+") for line in block] for block in lines if block]


def stood(encoder: Encoder, memory: EpisodicMemory, case: list[Line], sure: bool = False) -> list[bool]:
    """Which lines of a case stand once all are written.

    Args:
        sure: whether it is given what stands when it is said, so that only what takes whose place is told.
    """
    state = memory.empty(256)
    for number, line in enumerate(case, 1):
        at = _AT + timedelta(minutes=number)
        (said,) = encoder.encode([header(None, at) + line.text])
        state, wrote = memory.write_(state, said, number, message_features=memory.message_features(line.text, at=at))
        if sure:
            state.standing[wrote.rows[0]] = float(line.stood)
    found = state.source[standing(memory, state, _MOST).rows].tolist()
    return [number in found for number in range(1, len(case) + 1)]


def _told(encoder: Encoder, memory: EpisodicMemory) -> Iterator[str]:
    assert memory.intents is not None
    patterns = read([HELD])
    chances, truth = measure(encoder, memory.intents, patterns)
    place = INTENTS.index("standing")
    right = (chances[:, place] > 0.5) == (truth[:, place] > 0.5)
    english = torch.tensor([one.language == "en" for one in patterns]).repeat(len(HEADERS))
    holds = truth[:, place] > 0.5
    groups = {"English": english, "other languages": ~english, "all": english | True}
    yield f"{len(patterns)} sentences, each with a header and without: told right, %"
    for name, mine in groups.items():
        shares = [100 * float(right[mine & which].float().mean()) for which in (holds | True, holds, ~holds)]
        yield f"  {name}: {shares[0]:.1f} (of what stands {shares[1]:.1f}, of what does not {shares[2]:.1f})"


def _taken_for_standing(encoder: Encoder, memory: EpisodicMemory, data: Path) -> Iterator[str]:
    assert memory.intents is not None
    for name, said in kept_to_measure(data).items():
        inputs = inputs_of(encoder, said, [""] * len(said))
        taken = memory.intents(inputs)[:, INTENTS.index("standing")] > STANDS
        share = 100 * float(taken.float().mean())
        yield f"{name}: {len(said)} turns that were kept back, {share:.1f} % count as standing"


def main() -> None:
    """Prints the figures of docs/science.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standing", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder whose recall/ has the conversations")
    data = parser.parse_args().data
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    for row in _told(encoder, memory):
        print(row)
    for sure in (True, False):
        results = [(case, stood(encoder, memory, case, sure)) for case in cases()]
        lines = [(line, found) for case, every in results for line, found in zip(case, every, strict=True)]
        whole = sum(all(line.stands == found for line, found in zip(*one, strict=True)) for one in results)
        right = 100 * sum(line.stands == found for line, found in lines) / len(lines)
        how = "what stands is given" if sure else "whole"
        print(f"{len(results)} cases, {how}: {whole} right; {right:.1f} % of {len(lines)} lines")
        for case, every in results:
            for line, found in zip(case, every, strict=True):
                if line.stands != found:
                    print(f"  {'gone' if line.stands else 'stands'}: {line.text}  ({case[-1].text})")
    try:
        for row in _taken_for_standing(encoder, memory, data):
            print(row)
    except MissingData as error:
        print(error)


if __name__ == "__main__":
    main()
