# ruff: noqa: E501  (patterns are read in one piece)
"""English dates, months, years, feasts, seasons and weekdays; see `times_english`."""

import re

from memory_core.language.spans import FEASTS, SEASONS, Days, Now, Span, Yearly, day, months, nth_day
from memory_core.language.times_english import (
    FEAST,
    MONTH,
    PARTS,
    SHORT_MONTH,
    SHORT_WEEKDAY,
    WAYS,
    WEEKDAY,
    Reading,
    month_of,
    rule,
    weekday_of,
)


def date_span(year: int, month: int, of_month: int, now: Now) -> Span | None:
    try:
        first = day(year, month, of_month)
    except ValueError:
        return None
    return now.days(first, first + 1) if year and 1 <= month <= 12 and of_month else None


def _year(word: str) -> int:
    return int(word) + (2000 if len(word) == 2 else 0)


@rule(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})")
def _iso(found: re.Match[str], of: Reading) -> Span | None:
    return date_span(int(found["y"]), int(found["m"]), int(found["d"]), of.now)


@rule(r"(?P<a>\d{1,2})(?P<sign>[/.])(?P<b>\d{1,2})(?:(?P=sign)(?P<y>\d{4}|\d\d))")
def _with_strokes(found: re.Match[str], of: Reading) -> Span | None:
    a, b = int(found["a"]), int(found["b"])
    month, of_month = (a, b) if found["sign"] == "/" and a <= 12 else (b, a)
    return date_span(_year(found["y"]), month, of_month, of.now)


@rule(r"(?P<a>\d{1,2})-(?P<b>\d{1,2})-(?P<y>\d{4})")
def _with_hyphens(found: re.Match[str], of: Reading) -> Span | None:
    a, b = int(found["a"]), int(found["b"])
    return date_span(int(found["y"]), *((b, a) if b <= 12 else (a, b)), of.now)


@rule(r"(?:on|by|until|since) (?:the )?(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.")
def _dotted(found: re.Match[str], of: Reading) -> Span | None:
    return in_a_year(int(found["m"]), int(found["d"]), found, of)


@rule(r"in (?P<m>0?\d|1[0-2])/(?P<y>(?:19|20)\d\d)")
def _month_of_year(found: re.Match[str], of: Reading) -> Span | None:
    month, year = int(found["m"]), int(found["y"])
    return of.now.days(day(year, month, 1), day(year, month + 1, 1)) if month else None


@rule(
    r"(?:in |during )?(?:q(?P<q>[1-4])|the (?P<n>first|second|third|fourth|last) quarter)(?: (?:of )?(?P<y>(?:19|20)\d\d))?"
)
def _quarter(found: re.Match[str], of: Reading) -> Span | None:
    named = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
    quarter = months(3 * (int(found["q"]) if found["q"] else named[found["n"]]) - 2, 3)
    return of.now.days(*(quarter(int(found["y"])) if found["y"] else of.now.yearly(quarter, of.tense(found))))


@rule(r"in the (?:(?P<c>19|20)?(?P<d>[1-9]0)'?s|(?P<w>sixties|seventies|eighties|nineties))")
def _decade(found: re.Match[str], of: Reading) -> Span | None:
    words = {"sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90}
    decade = int(found["d"]) if found["d"] else words[found["w"]]
    first = 100 * int(found["c"] or (20 if decade <= of.now.year - 2000 else 19)) + decade
    return of.now.days(day(first, 1, 1), day(first + 10, 1, 1))


@rule(r"(?:on|for|since|before|after|by|until|until the) (?P<a>\d{1,2})/(?P<b>\d{1,2})")
def _without_year(found: re.Match[str], of: Reading) -> Span | None:
    a, b = int(found["a"]), int(found["b"])
    return in_a_year(*((a, b) if a <= 12 else (b, a)), found, of)


@rule(
    rf"(?:(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{SHORT_MONTH})"
    rf"|(?P<m2>{SHORT_MONTH}) (?:the )?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?)(?:,? (?P<y>\d{{4}})| (?P<which>last|next|this) year)?"
)
def _day_of_month(found: re.Match[str], of: Reading) -> Span | None:
    month, number = month_of(found["m"] or found["m2"]), int(found["d"] or found["d2"])
    if found["y"]:
        return date_span(int(found["y"]), month, number, of.now)
    if found["which"]:
        return date_span(of.now.year + WAYS[found["which"]], month, number, of.now)
    return in_a_year(month, number, found, of)


def in_a_year(month: int, number: int, found: re.Match[str], of: Reading) -> Span | None:
    if not (1 <= month <= 12 and 1 <= number <= (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31)):
        return None
    return of.now.days(*of.now.yearly(nth_day(month, number), of.tense(found)))


@rule(
    rf"(?<!\d )(?:(?P<how>in|during|over|last|this|next|back in|of|for) )?(?P<m>{MONTH})"
    rf"(?:,? (?P<y>(?:19|20)\d\d)| (?:of )?(?P<which>last|next|this) year)?"
)
def _whole_month(found: re.Match[str], of: Reading) -> Span | None:
    month, how, now = month_of(found["m"]), found["how"], of.now
    if found["y"] or found["which"]:
        year = int(found["y"]) if found["y"] else now.year + WAYS[found["which"]]
        return now.days(day(year, month, 1), day(year, month + 1, 1))
    if how in (None, "of", "for"):
        return None
    return now.days(*which_year(how, months(month, 1), found, of))


def which_year(how: str | None, of_year: Yearly, found: re.Match[str], of: Reading) -> Days:
    """The one of what comes every year that "last", "this", "next" or the verbs mean."""
    if how in ("last", "next"):
        return of.now.whole(of_year, how == "next")
    return of_year(of.now.year) if how == "this" else of.now.yearly(of_year, of.tense(found))


@rule(
    r"(?:(?P<how>in|during|last|this|next|back in) )?(?P<m>jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?"
    r"(?:,? (?P<y>(?:19|20)\d\d)| (?:of )?(?P<which>last|next|this) year)?"
)
def _short_month(found: re.Match[str], of: Reading) -> Span | None:
    return _whole_month(found, of) if found["how"] or found["y"] else None


@rule(r"in (?:the year )?(?P<y>(?:19|20)\d\d)")
def _whole_year(found: re.Match[str], of: Reading) -> Span | None:
    return of.now.days(day(int(found["y"]), 1, 1), day(int(found["y"]) + 1, 1, 1))


@rule(
    rf"(?:(?P<how>last|this|next) |(?:over|at|on|around|during|for) (?:the )?)(?P<feast>{FEAST})(?: (?P<y>(?:19|20)\d\d))?"
)
def _feast(found: re.Match[str], of: Reading) -> Span | None:
    name = found["feast"].removeprefix("the ") if "year" in found["feast"] else found["feast"]
    name = {"new years": "new year", "new year's": "new year", "new years day": "new year's day"}.get(name, name)
    name = {"new years eve": "new year's eve"}.get(name, "valentine's day" if name.startswith("valentine") else name)
    if found["y"]:
        return of.now.days(*FEASTS[name](int(found["y"])))
    return of.now.days(*which_year(found["how"], FEASTS[name], found, of))


@rule(
    r"(?:(?P<how>last|this|next) |(?:in|over|during) (?:the )?(?=spring|summer|autumn|winter)|in the (?=fall))"
    r"(?P<season>spring|summer|autumn|fall|winter)(?: (?:of )?(?P<y>(?:19|20)\d\d))?(?! asleep)"
)
def _season(found: re.Match[str], of: Reading) -> Span | None:
    season = SEASONS[found["season"]]
    return of.now.days(*(season(int(found["y"])) if found["y"] else which_year(found["how"], season, found, of)))


@rule(
    rf"(?:(?P<how>on|last|this|next|this coming|this past|by|for|until) (?P<w>{SHORT_WEEKDAY})|(?<!black )(?<!good )(?P<bare>{WEEKDAY}))"
    r"(?: (?:(?:of )?(?P<week>last|this|next) week|(?P<part>morning|afternoon|evening|night)))?"
)
def _on_weekday(found: re.Match[str], of: Reading) -> Span | None:
    now, how = of.now, found["how"]
    number = weekday_of(found["w"] or found["bare"])
    if found["week"]:
        first = now.week(WAYS[found["week"]])[0] + number
        return now.days(first, first + 1)
    since, until = (now.weekday - number) % 7, (number - now.weekday) % 7
    past, coming = now.today - (since or 7), now.today + (until or (7 if how == "next" else 0))
    told = of.tense(found)
    if how in ("last", "this past"):
        first = past
    elif how in ("next", "this coming", "by", "until"):
        first = coming
    elif how == "this" or told:
        first = past if told == "past" else coming
    else:
        first = past if now.today - past <= coming - now.today else coming
    return now.hours(first, *PARTS.get(found["part"] or "", (0, 24)))


@rule(
    r"(?:on|around|about|by|for|until|since|before|after) the (?P<d>\d{1,2})(?:st|nd|rd|th)(?: of (?P<which>this|last|next) month)?(?=\s*(?:[,.;:!?]|$)|\s(?:i|we|he|she|they|you|it|is|was|and|at|with|about|to|for|did|what|who|where)\b)"
)
def _the_nth(found: re.Match[str], of: Reading) -> Span | None:
    number, now, told = int(found["d"]), of.now, of.tense(found)
    if not 1 <= number <= 31:
        return None
    candidates = [WAYS[found["which"]]] if found["which"] else range(-3, 4)
    days = []
    for ahead in candidates:
        try:
            days.append(day(now.year, now.month + ahead, number))
        except ValueError:
            continue
    past, future = [one for one in days if one <= now.today], [one for one in days if one >= now.today]
    if past and (told == "past" or not future):
        first = past[-1]
    elif future and (told == "future" or not past):
        first = future[0]
    elif past and future:
        first = past[-1] if now.today - past[-1] <= future[0] - now.today else future[0]
    else:
        return None
    return now.days(first, first + 1)
