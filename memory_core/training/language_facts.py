"""Facts, questions and chatter in several languages, all our own: what the second key is fitted to and measured with.

A file has sections of one language each, `[de]`. A line `name | fact | question` is a fact under the name that it has
in all languages of the file, and may end with ` | another question`; any other line is chatter. Lines that begin with #
are comments.
"""

from pathlib import Path
from typing import NamedTuple

TUNING = Path(__file__).with_name("languages.txt")
HELD = TUNING.with_name("languages_held.txt")  # that the multilingual encoder does not learn from
UPDATES, UPDATES_HELD = (TUNING.with_name(f"languages_updates{held}.txt") for held in ("", "_held"))
ENGLISH = "en"


class FactsError(ValueError):
    """A file that cannot be read; the message names the file and the line."""


class Fact(NamedTuple):
    """Something told, a question for it with other words, and further ones."""

    text: str
    question: str
    others: tuple[str, ...] = ()

    @property
    def questions(self) -> tuple[str, ...]:
        """All of its questions."""
        return (self.question, *self.others)


class Language(NamedTuple):
    """A section: its facts by name, and its chatter."""

    facts: dict[str, Fact]
    chatter: list[str]


class Update(NamedTuple):
    """Something told, what was told later and outdates it, and a question for how it stands."""

    before: str
    after: str
    question: str


def read_updates(path: Path) -> dict[str, dict[str, Update]]:
    """The updates of a file, `name | before | after | question` a line, by language and name.

    Raises:
        FactsError: see `read`.
    """
    return {
        language: {name: Update(fact.text, *fact.questions) for name, fact in here.facts.items()}
        for language, here in read(path).items()
    }


def read(path: Path = TUNING) -> dict[str, Language]:
    """The sections of a file by language.

    Raises:
        FactsError: a line stands before the first heading, or a fact has no question.
    """
    found: dict[str, Language] = {}
    here: Language | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            here = found.setdefault(line.strip("[]"), Language({}, []))
            continue
        parts = [part.strip() for part in line.split("|")]
        if here is None or len(parts) == 2:
            raise FactsError(f"{path}:{number}: neither a heading, nor `name | fact | question`, nor chatter")
        if len(parts) > 1:
            here.facts[parts[0]] = Fact(parts[1], parts[2], tuple(parts[3:]))
        else:
            here.chatter.append(line)
    return found
