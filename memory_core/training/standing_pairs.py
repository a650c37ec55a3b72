"""The statements that it is learned from which of two takes the place of the other: our own, in `standing/*.txt`.

A file has sections. The heading of one names a matter, `[what to call me]`, or `[de: what to call me]` for German; of
two statements below it the later takes the place of the earlier. With `[allergy to {food}]` the matter is a different
one for each word of the list `food`, which stands where a sentence has `{food}` or `{}`; the list may be written out,
`{Nüsse|Milch}`. `~diet` in a heading: nothing is said of a statement of this matter beside one of a matter whose name
begins so. Else statements of different matters hold beside each other. Lists and comments are as in `intent_sentences`.
"""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from memory_core.training.intent_sentences import ENGLISH, Pattern, SentencesError, in_sections

FOLDER = Path(__file__).with_name("standing")
_OBJECT = re.compile(r"\{([^{}]+)\}")


class Statement(NamedTuple):
    """A sentence with what it is about; `open` are matters of which nothing is said beside it."""

    text: str
    language: str
    section: str
    about: str
    open: tuple[str, ...]


class _Section(NamedTuple):
    language: str
    name: str
    objects: tuple[str, ...]
    gap: str
    open: tuple[str, ...]


def shipped(seed: int, most: int = 3) -> list[Statement]:
    """What ships, with its gaps filled."""
    return statements(sorted(FOLDER.glob("*.txt")), seed, most)


def statements(paths: Sequence[Path], seed: int, most: int = 3) -> list[Statement]:
    """The statements of files.

    Args:
        most: of one sentence with a gap, for each matter.

    Raises:
        SentencesError: a sentence stands before the first heading, or a list is not there.
    """
    drawn = random.Random(seed)
    found: list[Statement] = []
    for path in paths:
        for line, section, choices in in_sections(path, _heading):
            found += _filled(line, section, choices, most, drawn)
    return list(dict.fromkeys(found))


def _heading(line: str, choices: dict[str, list[str]], place: str) -> _Section:
    before, colon, after = line.strip("[]").partition(": ")
    language, rest = (before, after) if colon else (ENGLISH, before)
    name, *unsaid = (part.strip() for part in rest.split("~"))
    gap = _OBJECT.search(name)
    objects = () if gap is None else tuple(gap[1].split("|") if "|" in gap[1] else choices.get(gap[1], ()))
    if gap is not None and not objects:
        raise SentencesError(f"{place}: no list {gap[1]}")
    plain = _OBJECT.sub("", name).strip()
    return _Section(language, plain, objects, gap[0] if gap else "{}", tuple(unsaid))


def _filled(
    line: str, section: _Section, choices: dict[str, list[str]], most: int, drawn: random.Random
) -> list[Statement]:
    found = []
    for word in section.objects or ("",):
        text = line.replace(section.gap, word).replace("{}", word)
        pattern = Pattern(text, section.language, (), choices)
        about = f"{section.language}: {section.name} {word}".strip()
        for sentence in pattern.sentences(1 if section.objects else most, drawn):
            capital = sentence[:1].upper() + sentence[1:]
            found.append(Statement(capital, section.language, section.name, about, section.open))
    return found
