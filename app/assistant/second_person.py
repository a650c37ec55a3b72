"""Turns what a user said of themselves into what an assistant would say to them: "my dog" becomes "your dog".

A small language model copies what it sees, and a note in the second person is an answer as it stands. The rules are
few and for English; text in other languages passes through unchanged, as does whatever stands in quotation marks.
"""

import re
from typing import Final

_FORMS: Final = {
    "i am": "you are",
    "i'm": "you're",
    "am i": "are you",
    "i was": "you were",
    "was i": "were you",
    "i": "you",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "we": "you",
    "we're": "you're",
    "we've": "you've",
    "we'd": "you'd",
    "we'll": "you'll",
    "us": "you",
    "our": "your",
    "ours": "yours",
    "ourselves": "yourselves",
}
_FIRST: Final = re.compile(r"\b(" + "|".join(sorted(_FORMS, key=len, reverse=True)) + r")\b(?!['-]\w)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w))")
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?]\s+)$")


def second_person(text: str) -> str:
    """The text with the first person turned into the second."""
    parts = _QUOTED.split(text.replace("’", "'"))
    said = ""
    for number, part in enumerate(parts):
        said += part if number % 2 else _turned(part, said)
    return said


def _turned(text: str, before: str) -> str:
    def form(match: re.Match[str]) -> str:
        word = match[0]
        if word in {"US", "ME", "WE"}:
            return word
        new = _FORMS[word.lower()]
        return new.capitalize() if _SENTENCE_START.search(before + text[: match.start()]) else new

    return _FIRST.sub(form, text)
