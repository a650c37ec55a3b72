"""What the prompt says in the user's own language, and worked examples in it, one file a language.

A small model that reads only English examples answers a German in English, or in the first person of what they told
("Mein Hund heißt Max."). English itself is in `app.assistant.prompt`, before these.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

FOLDER: Final = Path(__file__).parent
ENGLISH: Final = "en"
LANGUAGES: Final = sorted(file.stem for file in FOLDER.glob("*.toml"))
_SURE: Final = 5.5  # nats by which a language must be likelier than English: "Hallo" is of several
_LONGEST: Final = 300  # characters that tell a text's language
KINDS: Final = ("asks", "tells", "untold")


class Example(NamedTuple):
    """A worked example: a message of one of `KINDS`, what was noted before, if anything, and the reply."""

    kind: str
    message: str
    note: str | None
    reply: str


class Phrases(NamedTuple):
    """The lines of the prompt that stand beside a message.

    Attributes:
        tells: before a message that asks for nothing.
        untold: behind a question that the notes do not answer.
        keep: before what holds until the user changes it.
        tokens: of the examples, in the vocabulary of the packaged models that needs most.
        examples: shown after the English ones.
    """

    tells: str
    untold: str
    keep: str
    tokens: int
    examples: tuple[Example, ...] = ()


def language_of(texts: Iterable[str]) -> str:
    """The code of the language that a user writes; English where it is none of `LANGUAGES`, or cannot be told.

    Args:
        texts: the user's, newest first; an earlier one counts where the later ones are too short to tell.
    """
    read = ""
    for text in texts:
        read = f"{text[:_LONGEST]} {read}"
        likely = dict(_identifier().rank(read))
        best = max(likely, key=likely.__getitem__)
        if best != ENGLISH and likely[best] - likely[ENGLISH] >= _SURE:
            return str(best)
        if likely[ENGLISH] - max(odds for name, odds in likely.items() if name != ENGLISH) >= _SURE:
            break
    return ENGLISH


@cache
def phrases_of(language: str) -> Phrases:
    """The phrases of one of `LANGUAGES`."""
    read = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    examples = []
    for one in read["examples"]:
        (kind,) = set(one) & set(KINDS)
        examples.append(Example(kind, one[kind], one.get("note"), one["reply"]))
    return Phrases(read["tells"], read["untold"], read["keep"], read["tokens"], tuple(examples))


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages([ENGLISH, *LANGUAGES])
    return identifier
