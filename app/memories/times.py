"""When a text speaks of: "last week", "in March", "three days ago", relative to when it was said.

The phrases are found by pattern, in English; what they mean is told by dateparser. It must cost nothing where a text
names no time, since every turn's message comes through here.
"""

import re
from datetime import UTC, datetime, timedelta

from dateparser.date import DateDataParser

_WEEKDAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_NUMBER = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,3})"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_PHRASE = re.compile(
    rf"""\b(?:
      (?P<exact>
        \d{{4}}-\d\d-\d\d
      | {_DAY}\ (?:of\ )?{_MONTH}(?:,?\ \d{{4}})?
      | {_MONTH}\ {_DAY}(?:,?\ \d{{4}})?(?!\d)
      | {_MONTH}\ \d{{4}}
      )
    | (?P<before_yesterday>the\ day\ before\ yesterday)
    | (?P<relative>
        yesterday | last\ night | this\ morning | {_NUMBER}\ (?:day|week|month|year)s?\ ago
      | (?:last|this)\ (?:week|month|year)
      | (?:last|on|this)\ {_WEEKDAY}
      | (?:last|in|this)\ (?:{_MONTH}(?:,?\ \d{{4}})? | (?:19|20)\d\d)
      )
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_FIRST = 2_000  # characters that are looked at: what is longer tells a story, it does not ask
_LEADING = re.compile(rf"^(?:in|on|this)\ (?={_WEEKDAY}|{_MONTH}|\d)|^last\ (?={_MONTH})", re.IGNORECASE)


def seconds(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp())


def span_named(text: str, now: datetime) -> tuple[int, int] | None:
    """The first time before `now` that the text names, from when to when: its day, week (from Monday), month or year.

    Returns:
        Seconds since 1970, or None where no time is named.
    """
    found = _PHRASE.search(text, 0, _FIRST)
    if found is None:
        return None
    here = now.astimezone(UTC).replace(tzinfo=None)
    phrase = "2 days ago" if found["before_yesterday"] else _LEADING.sub("", found[0])
    settings = {"RELATIVE_BASE": here, "PREFER_DATES_FROM": "past"}
    told = DateDataParser(languages=["en"], settings=settings).get_date_data(phrase)
    if told is None or told.date_obj is None or told.period is None:
        return None
    day = told.date_obj.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    try:
        start, end = _SPANS[told.period](day)
    except (KeyError, OverflowError, ValueError):
        return None
    return seconds(start), seconds(end)


def _week(day: datetime) -> tuple[datetime, datetime]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: datetime) -> tuple[datetime, datetime]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _year(day: datetime) -> tuple[datetime, datetime]:
    first = day.replace(month=1, day=1)
    return first, first.replace(year=first.year + 1)


_SPANS = {"day": lambda day: (day, day + timedelta(days=1)), "week": _week, "month": _month, "year": _year}
