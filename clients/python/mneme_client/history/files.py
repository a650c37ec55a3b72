"""Opening what was downloaded: a zip file, its unpacked folder, or one file."""

import dataclasses
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mneme_client.history.conversation import BadHistory

_MOST_BYTES = 4 * 2**30
_CONVERSATIONS = re.compile(r"conversations(-\d+)?\.json")  # large exports come in several
_READABLE = (".json", ".jsonl", ".ndjson", ".txt")


@dataclasses.dataclass(frozen=True)
class Document:
    """One file of an export."""

    name: str
    text: str

    def json(self) -> Any:
        """What it holds.

        Raises:
            BadHistory: it is no JSON; says at which line and column.
        """
        return _parsed(self.text, self.name, 0)

    def lines(self) -> Iterator[tuple[str, Any]]:
        """What each line holds, with its place."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if line.strip():
                yield f"{self.name}, line {number}", _parsed(line, self.name, number)

    def is_lines(self) -> bool:
        """Whether it holds one JSON object a line, rather than one in all."""
        first = next(filter(str.strip, self.text.split("\n")), "")
        try:
            return isinstance(json.loads(first), dict) and first.strip() != self.text.strip()
        except ValueError:
            return False


def documents(path: Path) -> Iterator[Document]:
    """The files that hold conversations.

    Raises:
        BadHistory: there is none, or it cannot be read.
    """
    if path.is_dir():
        yield from (_decoded(one.name, one.read_bytes()) for one in sorted(_wanted(path)))
    elif zipfile.is_zipfile(path):
        yield from _unpacked(path)
    else:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadHistory(str(path), error.strerror or str(error)) from None
        if content.startswith(b"PK"):
            raise BadHistory(path.name, "the zip file is damaged: download it again")
        yield _decoded(path.name, content)


def _wanted(folder: Path) -> list[Path]:
    found = [one for one in folder.rglob("*.json") if _CONVERSATIONS.fullmatch(one.name)]
    if not found:
        raise BadHistory(str(folder), "there is no conversations.json in this folder")
    return found


def _unpacked(path: Path) -> Iterator[Document]:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX" not in one.filename]
            wanted = [one for one in files if _CONVERSATIONS.fullmatch(Path(one.filename).name)]
            if not wanted and len(files) == 1 and Path(files[0].filename).suffix in _READABLE:
                wanted = files
            if not wanted:
                raise BadHistory(path.name, "there is no conversations.json in this zip file")
            if sum(one.file_size for one in wanted) > _MOST_BYTES:
                raise BadHistory(path.name, "it holds more than 4 GiB")
            for one in sorted(wanted, key=lambda one: one.filename):
                yield _decoded(one.filename, archive.read(one))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadHistory(path.name, f"the zip file is damaged, download it again: {error}") from None


def _decoded(name: str, content: bytes) -> Document:
    try:
        return Document(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadHistory(f"{name}, line {line}", f"not UTF-8 at byte {error.start}") from None


def _parsed(text: str, name: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}, line {line or error.lineno}, column {error.colno}"
        at_end = error.pos >= len(text.rstrip())
        raise BadHistory(where, "the file ends in the middle" if at_end else f"no JSON: {error.msg}") from None
    except RecursionError:
        raise BadHistory(name if not line else f"{name}, line {line}", "nested too deeply") from None
