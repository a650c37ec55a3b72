# ruff: noqa: E501  (patterns are read in one piece)
"""English phrases that name times, each with the rule that says what it means.

The rules work on lower case text. Where a phrase may mean a past time or one to come, they ask for the tense.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from memory_core.language.spans import (
    FEASTS,
    SEASONS,
    Days,
    Now,
    Span,
)
from memory_core.language.tense import tense

CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = rf"(?:an?|{'|'.join(CARDINALS)}|\d{{1,3}})"
_COUNTS = {"a": 1, "an": 1, "couple": 2, "few": 3} | {word: count for count, word in enumerate(CARDINALS, 1)}
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTH = rf"(?:{'|'.join(MONTHS)})"
SHORT_MONTH = rf"(?:{MONTH}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
WEEKDAY = rf"(?:{'|'.join(WEEKDAYS)})"
SHORT_WEEKDAY = rf"(?:{WEEKDAY}|(?:mon|tues?|wed|thur?s?|fri|sat|sun)\b\.?)"
FEAST = (
    "(?:christmas(?: eve| day)?|boxing day|(?:the )?new year(?:'?s(?: eve| day)?)?|good friday|easter(?: sunday| monday)?"
    "|halloween|thanksgiving|black friday|valentine'?s(?: day)?|whitsun|pentecost|the holidays|bonfire night"
    "|st patrick's day)"
)
OF_MONTH = r"\d{1,2}(?:st|nd|rd|th)?"
MANY = rf"(?:(?:a )?couple(?: of)?|(?:a )?few|{NUMBER})"
BESIDE = rf"""
      (?:(?P<count>{NUMBER})\ (?P<unit>day|week|month)s?|the\ (?P<one>day|week))\ (?P<way>before|after)\ """
BESIDE_IT = re.compile(rf"\b{BESIDE}\Z", re.IGNORECASE | re.VERBOSE)
WAYS = {"last": -1, "this": 0, "next": 1, "past": -1}
PARTS = {"morning": (4, 12), "afternoon": (12, 18), "evening": (17, 24), "tonight": (17, 28), "night": (18, 30)}
_LENGTHS = {"day": 1, "week": 7, "month": 30}  # days
_TRIGGERS = frozenset(
    (
        *MONTHS, *WEEKDAYS, *FEASTS, *SEASONS, "today", "tonight", "yesterday", "tomorrow", "week", "weeks", "weekend",
        "weekends", "day", "days", "month", "months", "year", "years", "hour", "hours", "minute", "minutes", "ago", "last",
        "past", "recently", "lately", "fortnight", "fortnights", "morning", "afternoon", "evening", "night", "just", "late",
        "earlier", "later", "back", "valentine", "valentines", "boxing", "moment", "latest", "recent", "soon", "future", "long", "quarter",         "holidays", "bonfire", "black", "good", "patrick", "sixties", "seventies", "eighties", "nineties", "while",
        "mon", "tue", "tues",
        "wed", "thu", "thur", "thurs", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept",
        "oct", "nov", "dec",
    )
)  # fmt: skip
_WORD = re.compile(r"[a-z]+|\d")


_DIGITS = re.compile(
    r"\d[/-]\d|\d\.\d{1,2}\.|\bq[1-4]\b|\d ?(?:d|h|w|mins?|hrs?|wks?) (?:ago|back)\b|\d(?:st|nd|rd|th)\b|\b(?:19|20)\d\d\b"
)


class Reading(NamedTuple):
    """What a rule looks at beside its match."""

    text: str
    now: Now
    telling: bool
    known: tuple[str | None] | None = None  # the tense, where it is that of a longer phrase

    def tense(self, found: re.Match[str]) -> str | None:
        if self.known:
            return self.known[0]
        told = tense(self.text, found.start(), found.end())
        return "future" if told is None and self.telling and "?" not in self.text else told


Rule = Callable[[re.Match[str], Reading], Span | None]
RULES: list[tuple[re.Pattern[str], Rule]] = []


def may_name_time(text: str) -> bool:
    """Whether a word stands in a text without which no rule matches."""
    return not _TRIGGERS.isdisjoint(_WORD.findall(text)) or _DIGITS.search(text) is not None


def days_beside(found: re.Match[str]) -> Days:
    """What `BESIDE` found means: the first of the days, counted from the one it is told by, and how many.

    The week before is all of it; a week before is about then.
    """
    length = _LENGTHS[(found["unit"] or found["one"]).lower()]
    far = length * count_of(found["count"] or "one")
    before = found["way"].lower() == "before"
    if length > 1 and found["one"]:
        return (-far if before else 1), length
    return (-far if before else far) - length // 2, length


def rule(pattern: str) -> Callable[[Rule], Rule]:
    def keep(function: Rule) -> Rule:
        RULES.append((re.compile(rf"(?<![\w/.-])(?:{pattern})(?![\w/]|-\d)"), function))
        return function

    return keep


def count_of(word: str) -> int:
    word = next((each for each in ("couple", "few") if each in word), word)
    return _COUNTS.get(word.lower()) or int(word)


def month_of(word: str) -> int:
    return next(number for number, name in enumerate(MONTHS, 1) if name[:3] == word[:3])


def weekday_of(word: str) -> int:
    return next(number for number, name in enumerate(WEEKDAYS) if name[:3] == word[:3])
