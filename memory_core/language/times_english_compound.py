# ruff: noqa: E501  (patterns are read in one piece)
"""English times made of others: "between Monday and Friday", "since March", "early next week"; see `times_english`."""

import math
import re

from memory_core.language.spans import DAY, FIRST_DAY, Span
from memory_core.language.times_english import (
    FEAST,
    MANY,
    MONTH,
    OF_MONTH,
    RULES,
    SHORT_MONTH,
    SHORT_WEEKDAY,
    WEEKDAY,
    Reading,
    count_of,
    rule,
    weekday_of,
)


def _part(text: str, of: Reading) -> Span | None:
    """The time that a part of a longer phrase names by itself."""
    for lead in ("", "on ", "in ", "at "):
        for pattern, means in RULES:
            found = pattern.fullmatch(lead + text)
            span = found and means(found, of)
            if span:
                return span
    return None


_NOT_BESIDE = "".join(f"(?<!{unit} )" for unit in ("day", "days", "week", "weeks", "month", "months"))
_PERIOD = (
    rf"(?:(?:the |this |last |next )?(?:week|month|year)|(?:last |next |this )?{SHORT_MONTH}(?:,? (?:of )?\d{{4}})?"
    r"|(?:last |next |this |the )?(?:spring|summer|autumn|winter)(?:,? (?:of )?\d{4})?|(?:19|20)\d\d)"
)
_PLACES = (
    "very beginning|beginning|start|first half|first week|middle|second half|last week|very end|end|rest|remainder"
)
_BOUND = (
    rf"(?:(?:on |in )?(?:the )?(?:{OF_MONTH}(?: of)? {SHORT_MONTH}(?:,? \d{{4}})?|{SHORT_MONTH} {OF_MONTH}(?:,? \d{{4}})?|{MONTH}(?: \d{{4}})?"
    rf"|(?:last |next |this )?(?:{SHORT_WEEKDAY}|{FEAST}|spring|summer|autumn|winter|week|month|year|weekend)"
    rf"|(?:{_PLACES}) of {_PERIOD}|\d{{1,2}}(?:st|nd|rd|th)"
    rf"|yesterday|today|tomorrow|\d{{4}}-\d\d-\d\d|\d{{1,2}}/\d{{1,2}}(?:/\d{{4}})?|(?:19|20)\d\d))"
)
_THIRDS = {"early": (0, 3), "mid": (3, 6), "late": (6, 9), "beginning": (0, 3), "start": (0, 3), "middle": (3, 6),
           "end": (6, 9), "first half": (0, 4.5), "second half": (4.5, 9)}  # fmt: skip


@rule(
    rf"(?:(?:in|at|by|for|towards?|during|from) )?(?:the )?(?P<place>{_PLACES}) of (?P<of>{_PERIOD})"
    rf"|(?:in )?(?P<how>early|mid|late|earlier|later)(?: in|-)? ?(?P<of2>{_PERIOD})"
)
def _part_of(found: re.Match[str], of: Reading) -> Span | None:
    place = (found["place"] or found["how"]).removeprefix("very ")
    name = re.sub(r"^the (?=week|month|year)", "this ", found["of"] or found["of2"])
    whole, now = _part("this " + name if name in ("week", "month", "year") else name, _context(found, of)), of.now
    if whole is None:
        return None
    if place in ("rest", "remainder", "later"):
        return now.span(max(now.second, whole.start), whole.end)
    if place == "earlier":
        return now.span(whole.start, min(now.second + 1, whole.end))
    if place.endswith("week"):
        first = whole.start if place == "first week" else whole.end - 7 * DAY
        return now.span(first, first + 7 * DAY)
    begins, ends = _THIRDS[place]
    days = (whole.end - whole.start) / DAY / 9
    start, end = whole.start + int(begins * days) * DAY, whole.start + math.ceil(ends * days) * DAY
    ahead = start < now.second < end and of.tense(found) == "future"
    return now.span(now.second if ahead else start, end)


@rule(rf"(?:on )?the (?P<n>first|second|third|fourth|last) (?P<w>{WEEKDAY}) (?:of|in) (?P<of>{_PERIOD})")
def _nth_weekday(found: re.Match[str], of: Reading) -> Span | None:
    name = re.sub(r"^the (?=month|year)", "this ", found["of"])
    whole, now = _part(name, _context(found, of)), of.now
    if whole is None:
        return None
    first, after, weekday = now.number(whole.start), now.number(whole.end), weekday_of(found["w"])
    if found["n"] == "last":
        chosen = after - 1 - (after - 2 - weekday) % 7
    else:
        chosen = first + (weekday - (first - 1)) % 7 + 7 * ("first", "second", "third", "fourth").index(found["n"])
    return now.days(chosen, chosen + 1) if chosen < after else None


@rule(
    rf"(?P<n>{MANY}) (?P<unit>day|week|fortnight|month)s? (?:from|after) (?P<a>now|today|tomorrow|(?:this |next )?{SHORT_WEEKDAY})"
    rf"|(?:on )?(?P<w>{WEEKDAY}) week"
)
def _from_then(found: re.Match[str], of: Reading) -> Span | None:
    now = of.now
    a = _part("today" if found["a"] == "now" else found["a"] or found["w"], of._replace(known=("future",)))
    if a is None:
        return None
    count = count_of(found["n"] or "one")
    days = count * {"day": 1, "week": 7, "fortnight": 14, "month": 30}[found["unit"] or "week"]
    first, around = now.number(a.start) + days, 3 if found["unit"] == "month" else 0
    return now.days(first - around, first + around + 1)


@rule(
    rf"(?P<n>{MANY}) weeks? ago (?P<a>today|yesterday|(?:on |last |this )?{SHORT_WEEKDAY})|(?P<n2>{MANY}) (?P<w>{WEEKDAY})s ago"
)
def _weeks_ago_then(found: re.Match[str], of: Reading) -> Span | None:
    a = _part(found["a"] or found["w"], of._replace(known=("past",)))
    if a is None:
        return None
    back = 7 * (count_of(found["n"]) if found["n"] else count_of(found["n2"]) - 1)
    first = of.now.number(a.start) - back
    return of.now.days(first, first + 1)


@rule(rf"between (?P<a>{_BOUND}) and (?P<b>{_BOUND})|from (?P<a2>{_BOUND}) (?:to|until|till) (?P<b2>{_BOUND})")
def _between(found: re.Match[str], of: Reading) -> Span | None:
    context = _context(found, of)
    a = _part(found["a"] or found["a2"], context)
    b = _part(found["b"] or found["b2"], context)
    if a is None or b is None:
        return None
    if b.end <= a.start:  # "between December and March": the first lies a year or a week before the second, or after
        shift = 7 if a.start - b.end < 7 * DAY else 365
        return of.now.span(a.start - shift * DAY, b.end)
    return Span(a.start, b.end)


@rule(rf"{_NOT_BESIDE}(?P<way>since|before|after|until|till) (?P<a>{_BOUND})")
def _open(found: re.Match[str], of: Reading) -> Span | None:
    way, now = found["way"], of.now
    a = _part(found["a"], _context(found, of, "past" if way == "since" else None))
    if a is None:
        return None
    if way == "before" and re.search(r"\b(?:end|rest|remainder) of\b", found["a"]):
        way = "until"  # before the end of it is over
    if way == "since":
        return now.span(a.start, now.second + 1)
    if way in ("until", "till") or (way == "before" and a.start > now.second and of.tense(found) != "past"):
        return now.span(now.second, a.start if way == "before" else a.end)
    if way == "before":
        return now.span(now.midnight(FIRST_DAY), a.start)
    return now.span(a.end, now.second + 1 if a.end < now.second else a.end + 365 * DAY)


def _context(found: re.Match[str], of: Reading, told: str | None = None) -> Reading:
    """Rules for a part of a phrase see the whole's tense and nothing else of the text."""
    return of._replace(known=(told or of.tense(found),))
