"""When a text speaks of: "last week", "in March", "three days ago", relative to when it was said.

The phrases are found by pattern, in English; what they mean is told by dateparser. It must cost nothing where a text
names no time, since every turn's message comes through here.
"""

import re
from datetime import UTC, datetime, timedelta

from dateparser.date import DateDataParser

_WEEKDAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = rf"(?:an?|{'|'.join(CARDINALS)}|\d{{1,3}})"
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
        yesterday | last\ night | this\ morning | {NUMBER}\ (?:day|week|month|year)s?\ ago
      | (?:last|this)\ (?:week|month|year)
      | (?:last|on|this)\ {_WEEKDAY}
      | (?:last|in|this)\ (?:{_MONTH}(?:,?\ \d{{4}})? | (?:19|20)\d\d)
      )
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
BESIDE = rf"""
      (?:(?P<count>{NUMBER})\ (?P<unit>day|week|month)s?|the\ (?P<one>day|week))\ (?P<way>before|after)\ """
_BESIDE_IT = re.compile(rf"\b{BESIDE}\Z", re.IGNORECASE | re.VERBOSE)
_COUNTS = {"a": 1, "an": 1} | {word: count for count, word in enumerate(CARDINALS, 1)}
_LENGTHS = {"day": 1, "week": 7, "month": 30}  # days
FIRST = 2_000  # characters that are looked at: what is longer tells a story, it does not ask
DAY = 86_400  # seconds
_AHEAD = re.compile(
    rf"\b(?:today|tonight|tomorrow|(?P<after>the day after tomorrow)|in {NUMBER} (?:days?|weeks?)|(?:next|this|on)"
    rf" {_WEEKDAY})\b",
    re.IGNORECASE,
)
_LEADING = re.compile(
    rf"^(?:in|on|this)\ (?={_WEEKDAY}|{_MONTH}|\d{{4}})|^next\ (?={_WEEKDAY})|^last\ (?={_MONTH})", re.IGNORECASE
)


def seconds(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp())


def midnight(moment: datetime) -> datetime:
    """When the day of a moment began, in UTC."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def span_named(text: str, now: datetime) -> tuple[int, int] | None:
    """The first time before `now` that the text names, from when to when: its day, week (from Monday), month or year.

    Returns:
        Seconds since 1970, or None where no time is named.
    """
    found, beside = _named(text)
    span = _span(found, now) if found else None
    if span is None or beside is None or span[1] - span[0] != DAY:
        return span
    first, days = days_beside(beside)
    return span[0] + first * DAY, span[0] + (first + days) * DAY


def without_day(text: str) -> str:
    """The text without the day that it tells a time by, and that time ("the week before 3 August"), where it does."""
    found, beside = _named(text)
    return text[: beside.start()] + text[found.end() :] if found and beside else text


def _named(text: str) -> tuple[re.Match[str] | None, re.Match[str] | None]:
    """The first time that the text names, and what it tells by it."""
    found = _PHRASE.search(text, 0, FIRST)
    return found, found and _BESIDE_IT.search(text, 0, found.start())


def days_beside(found: re.Match[str]) -> tuple[int, int]:
    """What `BESIDE` found means: the first of the days, counted from the one it is told by, and how many.

    The week before is all of it; a week before is about then.
    """
    length = _LENGTHS[(found["unit"] or found["one"]).lower()]
    count = (found["count"] or "one").lower()
    far = length * (_COUNTS.get(count) or int(count))
    before = found["way"].lower() == "before"
    if length > 1 and found["one"]:
        return (-far if before else 1), length
    return (-far if before else far) - length // 2, length


def _span(found: re.Match[str], now: datetime) -> tuple[int, int] | None:
    phrase = "2 days ago" if found["before_yesterday"] else _LEADING.sub("", found[0])
    told = _parsed(phrase, now, "past")
    if told is None:
        return None
    day, period = told
    try:
        start, end = _SPANS[period](day)
    except (KeyError, OverflowError, ValueError):
        return None
    return seconds(start), seconds(end)


def day_told(text: str, said_at: datetime, now: datetime) -> datetime | None:
    """The day that a message names for what it tells of, ahead of it ("tomorrow") or not; None where it names none.

    Args:
        said_at: what "tomorrow" is relative to.
        now: a date without a year is the last such day before.
    """
    ahead = _AHEAD.search(text, 0, FIRST)
    if ahead:
        told = _parsed("in 2 days" if ahead["after"] else _LEADING.sub("", ahead[0]), said_at, "future")
        return told and told[0]
    named = _PHRASE.search(text, 0, FIRST)
    span = _span(named, now if named["exact"] else said_at) if named else None
    return datetime.fromtimestamp(span[0], UTC) if span and span[1] - span[0] == DAY else None


def _parsed(phrase: str, now: datetime, prefer: str) -> tuple[datetime, str] | None:
    """The day that a phrase names, relative to now, and how long it is meant to be: a day, week, month or year."""
    here = now.astimezone(UTC).replace(tzinfo=None)
    settings = {"RELATIVE_BASE": here, "PREFER_DATES_FROM": prefer}
    told = DateDataParser(languages=["en"], settings=settings).get_date_data(phrase)
    if told is None or told.date_obj is None or told.period is None:
        return None
    return midnight(told.date_obj.replace(tzinfo=UTC)), told.period


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
