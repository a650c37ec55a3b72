"""Makes the marks inert by which language models tell turns and instructions apart.

Servers find such marks in a prompt wherever they stand, so a text that holds one could close its turn and open another.
Which marks the embedded model has is read from its own vocabulary. Of a remote server's model only the forms are known
that model families use: a mark that looks like one of them gets a space inside, which no model takes for the mark.
"""

import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

_TOKENS, _TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_MARKUP: Final = re.compile(r"[<\[].*\w.*[>\]]", re.DOTALL)
_STRING, _ARRAY = 8, 9
_FORMATS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_FORMS: Final = re.compile(
    r"<(?=[|｜])"
    r"|[|｜](?=>)"
    r"|<(?=</?\w+>>)"
    r"|<(?=/?(?:s|unk|pad|mask|bos|eos|sep|cls|think|unused\d+|\w+_\w+)>)"
    r"|\[(?=/?[A-Z][A-Z_]+\])"
)


class ControlMarks:
    """The marks of one model, and those of the known families.

    Args:
        own: the model's own, as its vocabulary spells them.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        marks = sorted({mark for mark in own if len(mark) > 1}, key=len, reverse=True)
        self._own = re.compile("|".join(map(re.escape, marks))) if marks else None

    def make_inert(self, text: str) -> str:
        """The text, with a space inside whatever a model could take for a mark."""
        text = _FORMS.sub(r"\g<0> ", text)
        while self._own is not None and self._own.search(text):  # what is left of two marks may make a third
            text = self._own.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text


ANY_MODEL: Final = ControlMarks()


def marks_of(path: Path) -> list[str]:
    """The marks in the vocabulary of a GGUF file: its control tokens, and those added to it that look like markup.

    Raises:
        ValueError: the file's header cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = _read_header(file, {_TOKENS, _TYPES})
    except (struct.error, KeyError, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise ValueError(f"{path}: its header cannot be read") from error
    kinds = {_UNKNOWN, _CONTROL}
    return [
        token
        for token, kind in zip(found.get(_TOKENS, []), found.get(_TYPES, []), strict=False)
        if kind in kinds or (kind == _USER_DEFINED and _MARKUP.fullmatch(token))
    ]


def _read_header(file: IO[bytes], wanted: set[str]) -> dict[str, list[Any]]:
    """The wanted lists of a GGUF file's header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""
    _, _, _, count = _unpack(file, "4sIQQ")
    found: dict[str, list[Any]] = {}
    for _ in range(count):
        if len(found) == len(wanted):
            break
        name, (kind,) = _string(file), _unpack(file, "I")
        values = _values(file, kind)
        if name in wanted:
            found[name] = values
    return found


def _values(file: IO[bytes], kind: int) -> list[Any]:
    if kind == _STRING:
        return [_string(file)]
    if kind != _ARRAY:
        return list(_unpack(file, _FORMATS[kind]))
    inner, length = _unpack(file, "IQ")
    if inner == _STRING:
        return [_string(file) for _ in range(length)]
    return list(_unpack(file, f"{length}{_FORMATS[inner]}"))


def _string(file: IO[bytes]) -> str:
    (length,) = _unpack(file, "Q")
    return file.read(length).decode("utf-8", errors="replace")


def _unpack(file: IO[bytes], form: str) -> tuple[Any, ...]:
    form = f"<{form}"
    return struct.unpack(form, file.read(struct.calcsize(form)))
