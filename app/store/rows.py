"""Stored rows as they are read back: one that no write of ours gives is told as damage, not passed on.

Rows of a memory's state carry a checksum, so that damage shows which leaves a number possible but wrong. What was said
has none: a damaged text is shown as it stands, and only what cannot be a message's is refused.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import ConfigDict, TypeAdapter

from app.store.sqlite_file import StoreUnavailable

Read = TypeVar("Read")

# For the dataclasses that rows become: every field of its own type, no number that is none.
CHECKED: Final = ConfigDict(strict=True, allow_inf_nan=False, revalidate_instances="always")

_SLOT: Final = ("slot", "source", "part", "touched", "reads", "said_at", "feature_bits", "event_from", "event_to")
_SLOT_SHARES: Final = ("usage", "strength", "standing", "foreign_share")
_WORD: Final = ("word", "token_ids", "speaker_tokens", "sentence", "meaning")
_MEMORY: Final = ("version", "capacity", "rows", "last_seq", "held")
_MEMORY_BYTES: Final = ("precedence", "last_read")


class DamagedRow(StoreUnavailable):
    """A row that cannot be read as what it should be."""


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Tells errors that come of a row's values as damage; not with their text, which may quote what is stored.

    Raises:
        DamagedRow: such an error.
    """
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError, struct.error):
        raise DamagedRow(f"{what} cannot be read: restore a backup, see docs/operations.md") from None


def checked(kind: Callable[..., Read], **fields: Any) -> Read:
    """An object of a dataclass that is `CHECKED`, made of a row.

    Raises:
        ValueError: a value is of another type, or out of bounds.
    """
    made: Read = _adapter(kind).validate_python(kind(**fields))
    return made


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def slot_checksum(memory_id: str, row: Any) -> int:
    """Of a row of `slots`, a mapping; counters that are not there yet count as 0."""
    numbers = struct.pack("<9q", *(row[name] for name in _SLOT))
    shares = struct.pack("<4d", *(row[name] for name in _SLOT_SHARES))
    return _sum(memory_id.encode(), numbers, shares, row["links"])


def word_checksum(memory_id: str, row: Any) -> int:
    """Of a row of `words`, a mapping."""
    return _sum(memory_id.encode(), struct.pack("<q", row["slot"]), *(row[name] for name in _WORD))


def memory_checksum(row: Any) -> int:
    """Of a row of `memories`, a mapping."""
    numbers = struct.pack("<5q", *(row[name] for name in _MEMORY))
    names = (row["id"].encode(), row["fingerprint"].encode())
    return _sum(*names, numbers, *(row[name] for name in _MEMORY_BYTES))


def _sum(*parts: bytes) -> int:
    total = 0
    for part in parts:
        total = zlib.crc32(part, zlib.crc32(len(part).to_bytes(4, "little"), total))
    return total
