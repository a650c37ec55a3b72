"""The sentences that the intents are learned from: our own, in `intents/*.txt` beside this.

A file has sections. A heading names the intents that hold of the sentences below it; all others do not, but for those
with a `~`, of which the section says nothing. `[de: asks only_asks]` is a heading of German sentences; English needs no
language. `@name = a | b` is a list of words: where a sentence has `{name}` or `{a|b}`, one of them stands there. Lines
that begin with # are comments.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from memory_core.language.intents import INTENTS

FOLDER = Path(__file__).with_name("intents")
ENGLISH = "en"
Heading = TypeVar("Heading")
_SLOT = re.compile(r"\{([^{}]+)\}")


class SentencesError(ValueError):
    """A file of sentences that cannot be read; the message names the file and the line."""


class Pattern(NamedTuple):
    """A line of a file.

    Attributes:
        text: the sentence, or a pattern of sentences.
        language: its ISO 639-1 code.
        labels: of each of `INTENTS` whether it holds; None where the section says nothing of it.
        choices: the lists of its file.
    """

    text: str
    language: str
    labels: tuple[bool | None, ...]
    choices: dict[str, list[str]]

    def sentence(self, drawn: random.Random) -> str:
        """The line with a word in each of its gaps."""
        text = self.text
        while slot := _SLOT.search(text):
            options = slot[1].split("|") if "|" in slot[1] else self.choices.get(slot[1], [slot[1]])
            text = text[: slot.start()] + drawn.choice(options) + text[slot.end() :]
        return text

    def sentences(self, most: int, drawn: random.Random) -> list[str]:
        """At most so many different sentences of the pattern."""
        return list(dict.fromkeys(self.sentence(drawn) for _ in range(most)))


def read(paths: Sequence[Path]) -> list[Pattern]:
    """The lines of files.

    Raises:
        SentencesError: a heading names no intent, or a sentence stands before the first heading.
    """
    return [pattern for path in paths for pattern in _of_file(path)]


def shipped() -> list[Pattern]:
    """All that the intents are learned from."""
    return read(sorted(FOLDER.glob("*.txt")))


def _of_file(path: Path) -> list[Pattern]:
    lines = in_sections(path, lambda line, _, place: _heading(line, place))
    return [Pattern(line, *heading, choices) for line, heading, choices in lines]


def in_sections(
    path: Path, heading: Callable[[str, dict[str, list[str]], str], Heading]
) -> Iterator[tuple[str, Heading, dict[str, list[str]]]]:
    """The sentences of a file, each with what its section's heading says and the lists of the file so far.

    Args:
        heading: reads a heading: its line, the lists so far, and the place for errors.

    Raises:
        SentencesError: a sentence stands before the first heading.
    """
    choices: dict[str, list[str]] = {}
    section: Heading | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            name, _, words = line[1:].partition("=")
            choices[name.strip()] = [word.strip() for word in words.split("|")]
        elif line.startswith("["):
            section = heading(line, choices, f"{path}:{number}")
        elif section is None:
            raise SentencesError(f"{path}:{number}: a sentence before the first heading")
        else:
            yield line, section, choices


def _heading(line: str, place: str) -> tuple[str, tuple[bool | None, ...]]:
    before, colon, after = line.strip("[]").partition(":")
    language, words = (before, after.split()) if colon else (ENGLISH, before.split())
    unknown = {word[1:] for word in words if word.startswith("~")}
    holds = {word for word in words if not word.startswith("~")}
    if strange := (unknown | holds) - set(INTENTS):
        raise SentencesError(f"{place}: {', '.join(sorted(strange))} is no intent; there are {', '.join(INTENTS)}")
    if "asks" not in holds:  # of what asks nothing it cannot be said
        unknown = unknown | {"asks_of_world"}
    return language, tuple(None if intent in unknown else intent in holds for intent in INTENTS)
