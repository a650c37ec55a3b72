"""LangGraph's items as messages: an item's text is what is remembered, its value goes along verbatim.

A namespace is a session, an item's place in it the external id, so that a later put of the same key replaces the item.
Each of a namespace's beginnings stands in the metadata, for the service filters by equality alone.
"""

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from langgraph.store.base import Item, SearchItem, get_text_at_path, tokenize_path

from mneme_client.messages import Message
from mneme_client.models import TimelineEntry

Namespace = tuple[str, ...]
KIND = "langgraph"
_SESSIONS = "store:"
_PLAIN_LABEL = re.compile(r"[A-Za-z0-9_@-]+")
_USER = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_MOST_METADATA = 4_096
_MOST_CHARACTERS = 32_000


class ValueTooLarge(ValueError):
    """A value that no message can hold."""


def user_of(label: str) -> str:
    """The user whom a label names; one that no user can be called by gets a name that follows from it."""
    return label if _USER.fullmatch(label) and label not in (".", "..") else f"x-{_digest(label)}"


def external_id_of(namespace: Namespace, key: str) -> str:
    """The external id of an item."""
    return f"store:{_digest(json.dumps([*namespace, key]))}"


def session_of(namespace: Namespace) -> str:
    """The session that holds a namespace; where its labels allow it, they can be read in it."""
    plain = _SESSIONS + ".".join(namespace)
    is_plain = all(_PLAIN_LABEL.fullmatch(label) for label in namespace) and len(plain) <= 128
    return plain if is_plain else f"{_SESSIONS}:{_digest(json.dumps(namespace))}"


def namespace_of(session_id: str) -> Namespace | None:
    """The namespace whose labels are in a session's id; None where it is none, or one whose labels are not."""
    name = session_id.removeprefix(_SESSIONS)
    return None if not is_store(session_id) or name.startswith(":") else tuple(name.split("."))


def is_store(session_id: str) -> bool:
    """Whether a session holds a namespace."""
    return session_id.startswith(_SESSIONS)


def under(prefix: Namespace) -> dict[str, str]:
    """The filter that lets through the items of namespaces that begin so."""
    return {f"ns{len(prefix)}": ".".join(prefix)} if prefix else {"kind": KIND}


@dataclasses.dataclass(frozen=True)
class Stored:
    """An item as the service has it.

    Attributes:
        text: what is remembered of it.
        indexed: whether a query may find it.
        ttl: minutes for which it lives after it was last used.
    """

    namespace: Namespace
    key: str
    value: dict[str, Any]
    text: str
    created_at: datetime
    updated_at: datetime
    indexed: bool
    ttl: float | None
    expires_at: datetime | None
    message_id: str = ""

    @classmethod
    def new(
        cls,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        fields: Sequence[str] | None,
        ttl: float | None,
        created_at: datetime | None,
    ) -> Self:
        """An item that is put now.

        Args:
            fields: paths of what a query may find it by; None for nothing.
        """
        now = datetime.now(UTC)
        text = _text(value, fields) if fields is not None else ""
        return cls(
            namespace, key, dict(value), text, created_at or now, now, bool(text.strip()), ttl, _expiry(now, ttl)
        )

    @classmethod
    def of(cls, entry: TimelineEntry) -> Self:
        """The item that a message is."""
        told = entry.metadata["store"]
        value = json.loads(told.get("value", entry.content))
        expires = told.get("expires_at")
        return cls(
            namespace=tuple(told["namespace"]),
            key=told["key"],
            value=value,
            text=entry.content,
            created_at=datetime.fromisoformat(told["created_at"]),
            updated_at=datetime.fromisoformat(told["updated_at"]),
            indexed=told["indexed"],
            ttl=told.get("ttl"),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            message_id=entry.id,
        )

    def used_now(self) -> Self:
        """The item with its time to live counted anew."""
        return dataclasses.replace(self, expires_at=_expiry(datetime.now(UTC), self.ttl))

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    def message(self) -> Message:
        """The message that it is kept as.

        Raises:
            ValueTooLarge: it does not fit into one.
        """
        told: dict[str, Any] = {
            "namespace": list(self.namespace), "key": self.key, "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(), "indexed": self.indexed,
        }  # fmt: skip
        if self.ttl is not None and self.expires_at is not None:
            told |= {"ttl": self.ttl, "expires_at": self.expires_at.isoformat()}
        begins = {f"ns{n}": ".".join(self.namespace[:n]) for n in range(1, len(self.namespace) + 1)}
        plain = _json(self.value)
        content = self.text if self.text.strip() else plain
        metadata = {"kind": KIND, **begins, "store": {**told, "value": plain}}
        size = json.dumps(metadata, ensure_ascii=False).encode()
        if len(size) > _MOST_METADATA or b"\\u0000" in size:
            metadata, content = {"kind": KIND, **begins, "store": told}, plain  # the text is the value itself
        if len(content) > _MOST_CHARACTERS:
            raise ValueTooLarge(f"{self.key}: the value has more than {_MOST_CHARACTERS} characters of JSON")
        return Message(
            content=content,
            external_id=external_id_of(self.namespace, self.key),
            occurred_at=self.updated_at,
            metadata=metadata,
        )

    def item(self) -> Item:
        """As LangGraph has it."""
        return Item(
            value=self.value, key=self.key, namespace=self.namespace, created_at=self.created_at,
            updated_at=self.updated_at,
        )  # fmt: skip

    def found(self, score: float | None) -> SearchItem:
        """As a search of LangGraph has it."""
        return SearchItem(self.namespace, self.key, self.value, self.created_at, self.updated_at, score)


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value fulfils a filter: equality, or operators `$eq $ne $gt $gte $lt $lte`, nested as the value is."""
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return all(_operated(value, str(name), operand) for name, operand in wanted.items())
        return isinstance(value, Mapping) and all(matches(value.get(name), one) for name, one in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(wanted)
            and all(matches(one, other) for one, other in zip(value, wanted, strict=True))
        )
    return bool(value == wanted)


def _operated(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$eq":
        return bool(value == operand)
    if operator == "$ne":
        return bool(value != operand)
    if operator not in ("$gt", "$gte", "$lt", "$lte"):
        raise ValueError(f"Unsupported operator: {operator}")
    both_texts = isinstance(value, str) and isinstance(operand, str)
    try:
        one, other = (value, operand) if both_texts else (float(value), float(operand))
    except (TypeError, ValueError):  # what has no order is on no side
        return False
    return bool({"$gt": one > other, "$gte": one >= other, "$lt": one < other, "$lte": one <= other}[operator])


def _text(value: Mapping[str, Any], fields: Sequence[str]) -> str:
    texts: list[str] = []
    for field in fields:
        texts += _lines(value, ()) if field == "$" else get_text_at_path(value, tokenize_path(field))
    text = "\n".join(texts)
    odd = ("Cc", "Cs")
    kept = "".join(one for one in text if unicodedata.category(one) not in odd or one in "\n\r\t")
    return kept[:_MOST_CHARACTERS]


def _lines(value: Any, path: tuple[str, ...]) -> list[str]:
    """A document as text: what it says, each with its name unless it is all that there is."""
    leaves = list(_leaves(value, path))
    if len(leaves) == 1 and isinstance(leaves[0][1], str):
        return [leaves[0][1]]
    return [f"{' '.join(names)}: {leaf if isinstance(leaf, str) else json.dumps(leaf)}" for names, leaf in leaves]


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        return [leaf for name, one in value.items() for leaf in _leaves(one, (*path, str(name)))]
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in _leaves(one, path)]
    return [(path, value)]


def _json(value: Mapping[str, Any]) -> str:
    try:
        readable = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"a value must be JSON: {error}") from None
    is_odd = any(unicodedata.category(one) in ("Cc", "Cs") for one in readable)
    return json.dumps(value) if is_odd else readable


def _expiry(now: datetime, ttl: float | None) -> datetime | None:
    return None if ttl is None else now + timedelta(minutes=ttl)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
