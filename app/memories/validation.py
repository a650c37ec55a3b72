"""What ids, names and texts may be: the one place that knows, for requests and for lines that are imported alike.

Whatever the log holds must obey these rules, so that every export can be brought back.
"""

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

MOST_CHARACTERS = 32_000
MOST_METADATA = 4_096
_DEEPEST = 8
IDENTIFIER = r"^[A-Za-z0-9._:@-]{1,128}$"
MESSAGE_ID = r"^[0-9a-f]{32}$"


def readable(text: str) -> str:
    """The text without what no message may contain: control characters other than line breaks and tabs."""
    return "".join(character for character in text if not _odd(character))


def no_dots(name: str) -> str:
    """The name.

    Raises:
        ValueError: it is . or .., which no client could write into a path.
    """
    if name in (".", ".."):
        raise ValueError("must not be . or ..: no client could write it into a path")
    return name


def _odd(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t"


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    odd = next(filter(_odd, text), None)
    if odd is not None:
        raise ValueError(f"must not contain the control character U+{ord(odd):04X}")
    return text


def _iso(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("must be a string, ISO 8601")
    if isinstance(value, str) and "-" not in value[1:]:
        raise ValueError("must begin with a date, YYYY-MM-DD")  # a number would be taken for seconds
    return value


_UNPLACED = timezone(timedelta(), "unplaced")  # of a moment that came without an offset


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """The moment; one that came without an offset is meant in this zone."""
    if moment.tzinfo is not _UNPLACED:
        return moment
    try:
        return _placed(moment.replace(tzinfo=zone))
    except ValueError:  # at the very edge of the calendar
        return moment.replace(tzinfo=UTC)


def in_zone_or_now(moment: datetime | None, zone: tzinfo) -> datetime:
    """The moment as `in_zone` has it; this moment where none was given."""
    return _placed(datetime.now(zone)) if moment is None else in_zone(moment, zone)


def _placed(value: datetime) -> datetime:
    """The moment with its offset from UTC in whole minutes, as it is stored."""
    if value.tzinfo is None:
        return value.replace(tzinfo=_UNPLACED)
    offset = (value.utcoffset() or timedelta()) // timedelta(minutes=1)
    try:
        value.astimezone(UTC)
        return value.replace(tzinfo=timezone(timedelta(minutes=offset)) if offset else UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [metadata]
    for _ in range(_DEEPEST):
        level = [one for held in level for one in (held.values() if isinstance(held, dict) else held)]
        level = [one for one in level if isinstance(one, dict | list)]
    if level:
        raise ValueError(f"must not be nested deeper than {_DEEPEST}")
    try:
        plain = json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # not a number, or half of a surrogate pair
        raise ValueError("must be JSON") from None
    if len(plain) > MOST_METADATA:
        raise ValueError(f"must be at most {MOST_METADATA} bytes of JSON")
    if b"\\u0000" in plain:
        raise ValueError("must not contain the control character U+0000")
    return metadata


Role = Literal["user", "assistant", "system", "tool"]
Identifier = Annotated[str, Field(strict=True, pattern=IDENTIFIER), AfterValidator(no_dots)]
Text = Annotated[str, Field(strict=True, max_length=MOST_CHARACTERS), AfterValidator(_said)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=128), AfterValidator(_said)]
External = Annotated[str, Field(strict=True, min_length=1, max_length=256), AfterValidator(_said)]
Moment = Annotated[datetime, BeforeValidator(_iso), AfterValidator(_placed)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
