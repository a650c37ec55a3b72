"""Where a page of a list ended, as one opaque word that the next request brings."""

import base64
import binascii
import json
from typing import Any

from app.api.errors import bad_field


def cursor_of(*place: Any) -> str:
    """Where a page ended."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str | None, *kinds: type) -> list[Any] | None:
    """What `cursor_of` was given; None for no cursor.

    Raises:
        RequestValidationError: no page of this list ended with it.
    """
    if cursor is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    if (
        not isinstance(place, list)
        or [type(part) for part in place] != list(kinds)
        or not all(map(_is_comparable, place))
    ):
        raise bad_field("not a cursor of this list", "query", "cursor")
    return place


def _is_comparable(part: Any) -> bool:
    """Whether a database can compare with it: no NaN, and no text that it cannot hold."""
    return part.isascii() and part.isprintable() if isinstance(part, str) else abs(part) < 2**63
