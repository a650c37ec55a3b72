"""How often what was told last comes first, in ten languages: `python -m memory_core.training.foreign_updates`.

Memories of one language each: facts, updates told later, chatter; all our own. Nothing is fitted to them.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.multilingual_encoder import MultilingualEncoder
from memory_core.training import language_facts
from memory_core.training.foreign_memories import Once, answered, remembered
from memory_core.training.language_facts import ENGLISH, Fact, Update

_FACTS = 16  # of those held back: the first so many stand beside the updates to choose by, the others beside the held


class Told(NamedTuple):
    """A memory in one language: its texts in order, and what is asked: the question, the answer, what that outdates."""

    texts: list[str]
    asked: list[tuple[str, str, str | None]]


def memories(held: bool, seed: int) -> Iterator[Told]:
    """A memory a language.

    Args:
        held: whether they are those to measure with.
    """
    updates = language_facts.read_updates(language_facts.UPDATES_HELD if held else language_facts.UPDATES)
    facts = language_facts.read(language_facts.HELD)
    chatter = facts if held else language_facts.read()
    drawn = random.Random(seed)
    for tongue, changes in updates.items():
        if tongue == ENGLISH:
            continue
        some = list(facts[tongue].facts.values())
        yield memory_of(some[_FACTS:] if held else some[:_FACTS], [], changes.values(), chatter[tongue].chatter, drawn)


def memory_of(
    before: Sequence[Fact],
    later: Sequence[Fact],
    changes: Collection[Update],
    talk: Sequence[str],
    drawn: random.Random,
) -> Told:
    """Facts and what is outdated, then further facts and what outdates it, in any order, each half with its chatter."""
    first = [*(one.text for one in before), *(one.before for one in changes), *talk[::2]]
    then = [*(one.text for one in later), *(one.after for one in changes), *talk[1::2]]
    asked: list[tuple[str, str, str | None]] = [(one.question, one.text, None) for one in (*before, *later)]
    asked += [(one.question, one.after, one.before) for one in changes]
    return Told([*drawn.sample(first, len(first)), *drawn.sample(then, len(then))], asked)


def figures(memory: EpisodicMemory, encoder: Once, held: bool, seed: int = 0) -> dict[str, float]:
    """Percent of the updates whose later statement comes first, and of the facts beside them."""
    right: dict[str, list[bool]] = {"updates first": [], "facts beside updates first": []}
    for told in memories(held, seed):
        state = remembered(encoder, memory, told.texts)
        for (_, answer, before), (of, _, logits, _) in zip(
            told.asked, answered(encoder, memory, state, [question for question, *_ in told.asked]), strict=True
        ):
            first = int(state.source[of.slots[logits.argmax()]])
            right["updates first" if before else "facts beside updates first"].append(told.texts[first - 1] == answer)
    return {name: round(100 * sum(each) / len(each), 1) for name, each in right.items()}


if __name__ == "__main__":
    encoder = Encoder()
    whole = EpisodicMemory(encoder, multilingual=MultilingualEncoder())
    for name, held in (("to choose by", False), ("held back", True)):
        print(name, figures(whole, Once(encoder), held))
