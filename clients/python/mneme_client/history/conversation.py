"""What all kinds of exports become, within the rules that the service has for messages."""

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from mneme_client.messages import Message, Role

MOST_CHARACTERS = 32_000
_MOST_METADATA = 3_500
_MOST_NAME = 128
_SESSION = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


class BadHistory(Exception):
    """A file that is no such export, or a damaged one.

    Attributes:
        where: the place in it.
    """

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where, self.detail = where, detail


@dataclasses.dataclass
class Conversation:
    """Messages in the order in which they were said.

    Attributes:
        skipped: entries that are no part of what was said: calls of tools, reasoning, empty ones.
    """

    session_id: str
    messages: list[Message] = dataclasses.field(default_factory=list)
    skipped: int = 0

    @property
    def began(self) -> datetime:
        """When the first of its messages was said; those that tell no time come last."""
        moments = [one.occurred_at for one in self.messages if one.occurred_at is not None]
        first = moments[0] if moments else datetime.max
        return first.replace(tzinfo=first.tzinfo or UTC)

    def add(
        self,
        role: Role,
        text: str,
        external_id: str,
        occurred_at: datetime | None,
        metadata: dict[str, Any] | None = None,
        attachments: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """Adds a message, cut into several where it is longer than the service takes; a blank one is skipped.

        Args:
            attachments: names of what came with it; they stand for a text that there is not.
        """
        content = _readable(text)
        if not content.strip():
            content = " ".join(f"[attachment: {_readable(name)}]" for name in attachments)
        if not content.strip():
            self.skipped += 1
            return
        kept = _small({**(metadata or {}), **({"attachments": list(attachments)} if attachments else {})})
        for place, piece in enumerate(_pieces(content), 1):
            name = external_id if place == 1 else f"{external_id}#{place}"
            given: dict[str, Any] = {"occurred_at": occurred_at, "metadata": kept, **more}
            self.messages.append(Message(role=role, content=piece, external_id=_short(name, 256), **given))


def session_of(kind: str, own: str) -> str:
    """A session's id out of the export's own."""
    named = f"{kind}:{own}"
    return named if _SESSION.fullmatch(named) else f"{kind}:{id_of(own)}"


def id_of(*parts: str) -> str:
    """An id for what has none of its own: it follows from what is given."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def moment(value: Any, where: str) -> datetime | None:
    """A time as exports write it: seconds since 1970, or ISO 8601."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(value)
    except (ValueError, TypeError, OverflowError, OSError):
        wrong(where, f"{json.dumps(value)[:40]} is no time")


def an_object(value: Any, where: str) -> dict[str, Any]:
    """The JSON object that must stand there."""
    if not isinstance(value, dict):
        wrong(where, f"must be a JSON object, is {_kind(value)}")
    return value


def a_list(value: Any, where: str) -> list[Any]:
    """The JSON list that must stand there."""
    if not isinstance(value, list):
        wrong(where, f"must be a JSON list, is {_kind(value)}")
    return value


def a_text(value: Any, where: str) -> str:
    """The text that must stand there; nothing counts as an empty one."""
    if value is not None and not isinstance(value, str):
        wrong(where, f"must be a text, is {_kind(value)}")
    return value or ""


def wrong(where: str, detail: str) -> NoReturn:
    """Gives the file up."""
    raise BadHistory(where, detail)


def titled(document: str, number: int, title: Any) -> str:
    """The place of a conversation, for a person."""
    return f"{document}, conversation {number}" + (f" ({title[:60]!r})" if isinstance(title, str) and title else "")


def one_of(value: Any, names: Mapping[str, Role], where: str) -> Role:
    """The role that a name in an export stands for."""
    if not isinstance(value, str) or value not in names:
        wrong(where, f"{json.dumps(value)[:40]} is none of {', '.join(names)}")
    return names[value]


def a_name(value: Any) -> str | None:
    """A name that a message may have; None for what is none."""
    plain = _readable(value).strip()[:_MOST_NAME] if isinstance(value, str) else ""
    return plain or None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _readable(text: str) -> str:
    odd = ("Cc", "Cs")
    return "".join(one for one in text if unicodedata.category(one) not in odd or one in "\n\r\t")


def _pieces(text: str) -> Iterator[str]:
    while len(text) > MOST_CHARACTERS:
        cut = max(text.rfind(mark, MOST_CHARACTERS // 2, MOST_CHARACTERS) for mark in ("\n", " "))
        cut = cut + 1 if cut > 0 else MOST_CHARACTERS
        if text[:cut].strip():
            yield text[:cut]
        text = text[cut:]
    if text.strip():
        yield text


def _short(name: str, most: int) -> str:
    plain = _readable(name)
    return name if plain == name and 0 < len(name) <= most else f"{plain[: most - 33]}:{id_of(name)}"


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata without what the service would not take."""
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        if value in (None, "", [], {}):
            continue
        plain = json.loads(json.dumps(value).replace("\\u0000", ""))
        values = [plain]
        if isinstance(plain, list):  # as many of them as there is room for
            values = [plain[:count] for count in range(len(plain), 0, -1)]
        elif isinstance(plain, str):
            values = [_readable(plain)[:500]]
        fits = [one for one in values if len(json.dumps({**kept, key: one}).encode()) <= _MOST_METADATA]
        if fits:
            kept[key] = fits[0]
    return kept
