# ruff: noqa: E501  (patterns are read in one piece)
"""English phrases that name times, each with the rule that says what it means.

The rules work on lower case text. Where a phrase may mean a past time or one to come, they ask for the tense.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from memory_core.language.spans import (
    DAY,
    FEASTS,
    FIRST_DAY,
    HOUR,
    SEASONS,
    Days,
    Now,
    Span,
    Yearly,
    day,
    months,
    nth_day,
)
from memory_core.language.tense import tense

CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = rf"(?:an?|{'|'.join(CARDINALS)}|\d{{1,3}})"
_COUNTS = {"a": 1, "an": 1, "couple": 2, "few": 3} | {word: count for count, word in enumerate(CARDINALS, 1)}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = rf"(?:{'|'.join(_MONTHS)})"
_SHORT_MONTH = rf"(?:{_MONTH}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_WEEKDAY = rf"(?:{'|'.join(_WEEKDAYS)})"
_SHORT_WEEKDAY = rf"(?:{_WEEKDAY}|(?:mon|tues?|wed|thur?s?|fri|sat|sun)\b\.?)"
_FEAST = "(?:christmas(?: eve| day)?|boxing day|(?:the )?new year(?:'?s(?: eve| day)?)?|easter|halloween|thanksgiving|valentine'?s(?: day)?)"
_OF_MONTH = r"\d{1,2}(?:st|nd|rd|th)?"
_MANY = rf"(?:(?:a )?couple(?: of)?|(?:a )?few|{NUMBER})"
BESIDE = rf"""
      (?:(?P<count>{NUMBER})\ (?P<unit>day|week|month)s?|the\ (?P<one>day|week))\ (?P<way>before|after)\ """
BESIDE_IT = re.compile(rf"\b{BESIDE}\Z", re.IGNORECASE | re.VERBOSE)
_LENGTHS = {"day": 1, "week": 7, "month": 30}  # days
_TRIGGERS = frozenset(
    (
        *_MONTHS, *_WEEKDAYS, *FEASTS, *SEASONS, "today", "tonight", "yesterday", "tomorrow", "week", "weeks", "weekend",
        "weekends", "day", "days", "month", "months", "year", "years", "hour", "hours", "minute", "minutes", "ago", "last",
        "past", "recently", "lately", "fortnight", "fortnights", "morning", "afternoon", "evening", "night", "just", "late",
        "earlier", "later", "back", "valentine", "valentines", "boxing", "moment", "latest", "recent", "mon", "tue", "tues",
        "wed", "thu", "thur", "thurs", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept",
        "oct", "nov", "dec",
    )
)  # fmt: skip
_WORD = re.compile(r"[a-z]+|\d")


_DIGITS = re.compile(r"\d[/-]\d|\d(?:st|nd|rd|th)\b|\b(?:19|20)\d\d\b")


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
    far = length * _count(found["count"] or "one")
    before = found["way"].lower() == "before"
    if length > 1 and found["one"]:
        return (-far if before else 1), length
    return (-far if before else far) - length // 2, length


def _rule(pattern: str) -> Callable[[Rule], Rule]:
    def keep(rule: Rule) -> Rule:
        RULES.append((re.compile(rf"(?<![\w/.-])(?:{pattern})(?![\w/]|-\d)"), rule))
        return rule

    return keep


def _count(word: str) -> int:
    word = next((each for each in ("couple", "few") if each in word), word)
    return _COUNTS.get(word.lower()) or int(word)


def _month(word: str) -> int:
    return next(number for number, name in enumerate(_MONTHS, 1) if name[:3] == word[:3])


def _weekday(word: str) -> int:
    return next(number for number, name in enumerate(_WEEKDAYS) if name[:3] == word[:3])


def _date(year: int, month: int, of_month: int, now: Now) -> Span | None:
    try:
        first = day(year, month, of_month)
    except ValueError:
        return None
    return now.days(first, first + 1) if year and 1 <= month <= 12 and of_month else None


def _year(word: str) -> int:
    return int(word) + (2000 if len(word) == 2 else 0)


@_rule(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})")
def _iso(found: re.Match[str], of: Reading) -> Span | None:
    return _date(int(found["y"]), int(found["m"]), int(found["d"]), of.now)


@_rule(r"(?P<a>\d{1,2})(?P<sign>[/.])(?P<b>\d{1,2})(?:(?P=sign)(?P<y>\d{4}|\d\d))")
def _with_strokes(found: re.Match[str], of: Reading) -> Span | None:
    a, b = int(found["a"]), int(found["b"])
    month, of_month = (a, b) if found["sign"] == "/" and a <= 12 else (b, a)
    return _date(_year(found["y"]), month, of_month, of.now)


@_rule(r"(?:on|for|since|before|after|by|until|until the) (?P<a>\d{1,2})/(?P<b>\d{1,2})")
def _without_year(found: re.Match[str], of: Reading) -> Span | None:
    a, b = int(found["a"]), int(found["b"])
    return _in_a_year(*((a, b) if a <= 12 else (b, a)), found, of)


@_rule(
    rf"(?:(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_SHORT_MONTH})"
    rf"|(?P<m2>{_SHORT_MONTH}) (?:the )?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?)(?:,? (?P<y>\d{{4}})| (?P<which>last|next|this) year)?"
)
def _day_of_month(found: re.Match[str], of: Reading) -> Span | None:
    month, number = _month(found["m"] or found["m2"]), int(found["d"] or found["d2"])
    if found["y"]:
        return _date(int(found["y"]), month, number, of.now)
    if found["which"]:
        return _date(of.now.year + _WAYS[found["which"]], month, number, of.now)
    return _in_a_year(month, number, found, of)


def _in_a_year(month: int, number: int, found: re.Match[str], of: Reading) -> Span | None:
    if not (1 <= month <= 12 and 1 <= number <= (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31)):
        return None
    return of.now.days(*of.now.yearly(nth_day(month, number), of.tense(found)))


_WAYS = {"last": -1, "this": 0, "next": 1, "past": -1}


@_rule(
    rf"(?<!\d )(?:(?P<how>in|during|over|last|this|next|back in|of|for) )?(?P<m>{_MONTH})"
    rf"(?:,? (?P<y>(?:19|20)\d\d)| (?:of )?(?P<which>last|next|this) year)?"
)
def _whole_month(found: re.Match[str], of: Reading) -> Span | None:
    month, how, now = _month(found["m"]), found["how"], of.now
    if found["y"] or found["which"]:
        year = int(found["y"]) if found["y"] else now.year + _WAYS[found["which"]]
        return now.days(day(year, month, 1), day(year, month + 1, 1))
    if how in (None, "of", "for"):
        return None
    return now.days(*_which(how, months(month, 1), found, of))


def _which(how: str | None, of_year: Yearly, found: re.Match[str], of: Reading) -> Days:
    """The one of what comes every year that "last", "this", "next" or the verbs mean."""
    now = of.now
    if how == "last":
        every = [of_year(year) for year in range(now.year - 2, now.year + 1)]
        return max((days for days in every if days[1] <= now.today), default=every[0])
    if how == "next":
        every = [of_year(year) for year in range(now.year, now.year + 3)]
        return min((days for days in every if days[0] > now.today), default=every[-1])
    if how == "this":
        return of_year(now.year)
    return now.yearly(of_year, of.tense(found))


@_rule(r"in (?:the year )?(?P<y>(?:19|20)\d\d)")
def _whole_year(found: re.Match[str], of: Reading) -> Span | None:
    return of.now.days(day(int(found["y"]), 1, 1), day(int(found["y"]) + 1, 1, 1))


@_rule(
    rf"(?:(?P<how>last|this|next) |(?:over|at|on|around|during|for) (?:the )?)(?P<feast>{_FEAST})(?: (?P<y>(?:19|20)\d\d))?"
)
def _feast(found: re.Match[str], of: Reading) -> Span | None:
    name = found["feast"].removeprefix("the ")
    name = {"new years": "new year", "new year's": "new year", "new years day": "new year's day"}.get(name, name)
    name = {"new years eve": "new year's eve"}.get(name, "valentine's day" if name.startswith("valentine") else name)
    if found["y"]:
        return of.now.days(*FEASTS[name](int(found["y"])))
    return of.now.days(*_which(found["how"], FEASTS[name], found, of))


@_rule(
    r"(?:(?P<how>last|this|next) |(?:in|over|during) (?:the )?(?=spring|summer|autumn|winter)|in the (?=fall))"
    r"(?P<season>spring|summer|autumn|fall|winter)(?: (?:of )?(?P<y>(?:19|20)\d\d))?(?! asleep)"
)
def _season(found: re.Match[str], of: Reading) -> Span | None:
    season = SEASONS[found["season"]]
    return of.now.days(*(season(int(found["y"])) if found["y"] else _which(found["how"], season, found, of)))


@_rule(
    r"(?P<what>the day before yesterday|the day after tomorrow|yesterday|today|tomorrow|tonight|last night|this (?:morning|afternoon|evening)|earlier today|later today)(?: (?P<part>morning|afternoon|evening|night))?"
)
def _near_day(found: re.Match[str], of: Reading) -> Span | None:
    what, now = found["what"], of.now
    if what == "last night":
        return now.hours(now.today - 1, 18, 30)
    ahead = {"the day before yesterday": -2, "yesterday": -1, "tomorrow": 1, "the day after tomorrow": 2}.get(what, 0)
    part = found["part"] or what.removeprefix("this ")
    return now.hours(now.today + ahead, *_PARTS.get(part, (0, 24)))


_PARTS = {"morning": (4, 12), "afternoon": (12, 18), "evening": (17, 24), "tonight": (17, 28), "night": (18, 30)}


@_rule(rf"(?P<n>{_MANY}|half an?) (?P<unit>minute|hour|day|week|fortnight|month|year|weekend)s? (?:ago|earlier|back)")
def _ago(found: re.Match[str], of: Reading) -> Span | None:
    now, unit = of.now, found["unit"]
    if unit in ("minute", "hour") or "half" in found["n"]:
        length = {"minute": 60, "hour": HOUR}.get(unit, 180 * DAY)
        far = length // 2 if "half" in found["n"] else _count(found["n"]) * length
        return now.span(now.second - far - max(far // 4, 300), now.second - far + max(far // 4, 300))
    count = _count(found["n"])
    if "few" in found["n"] and unit == "day":
        return now.days(now.today - 5, now.today - 2)
    if unit == "weekend":
        return now.days(*now.weekend(-count))
    return now.days(*now.unit("week" if unit == "fortnight" else unit, -count * (2 if unit == "fortnight" else 1)))


@_rule(
    rf"in (?P<n>{_MANY}) (?P<unit>hour|day|week|fortnight|month|year)s?(?:'? time)?|(?P<n2>{_MANY}) (?P<unit2>day|week|month)s from (?:now|today)"
)
def _ahead(found: re.Match[str], of: Reading) -> Span | None:
    now, unit, count = of.now, found["unit"] or found["unit2"], _count(found["n"] or found["n2"])
    if unit == "hour":
        return now.span(now.second + count * HOUR - HOUR // 2, now.second + count * HOUR + HOUR // 2)
    if unit in ("week", "fortnight"):
        first = now.today + count * (7 if unit == "week" else 14)
        return now.days(first, first + 1) if of.telling else now.days(first - 3, first + 4)
    return now.days(*now.unit(unit, count))


@_rule(
    rf"(?:(?:in|over|during|within|for) )?the (?:last|past) (?:(?P<n>{_MANY}) )?(?P<unit>hour|day|week|fortnight|month|year)s?"
)
def _running(found: re.Match[str], of: Reading) -> Span | None:
    now, count = of.now, _count(found["n"] or "one")
    if found["unit"] == "hour":
        return now.span(now.second - count * HOUR, now.second + 1)
    days = count * {"day": 1, "week": 7, "fortnight": 14, "month": 30, "year": 365}[found["unit"]]
    return now.span(now.midnight(now.today - days), now.second + 1)


@_rule(rf"(?:in|over|during|within) the (?:next|coming) (?:(?P<n>{_MANY}) )?(?P<unit>day|week|month|year)s?")
def _running_ahead(found: re.Match[str], of: Reading) -> Span | None:
    days = _count(found["n"] or "one") * {"day": 1, "week": 7, "month": 30, "year": 365}[found["unit"]]
    return of.now.span(of.now.second, of.now.midnight(of.now.today + days + 1))


@_rule(r"(?P<how>last|this|next|this past|the coming) (?P<unit>week|month|year)(?! before| after)")
def _unit(found: re.Match[str], of: Reading) -> Span | None:
    ahead = {"last": -1, "this": 0, "this past": -1}.get(found["how"], 1)
    return of.now.days(*of.now.unit(found["unit"], ahead))


@_rule(r"(?:(?P<how>last|this|next|this past|this coming) |(?:over|on|at|during) the )weekend|the weekend before last")
def _weekend(found: re.Match[str], of: Reading) -> Span | None:
    now, how = of.now, found["how"]
    on_it = now.weekday >= 5
    if found[0] == "the weekend before last":
        return now.days(*now.weekend(-2))
    if how in ("last", "this past"):
        return now.days(*now.weekend(-1))
    if how in ("next", "this coming"):
        return now.days(*now.weekend(1 if how == "next" else 0))
    past = of.tense(found) == "past" and not on_it
    return now.days(*now.weekend(-1 if past else 0))


@_rule(
    rf"(?:(?P<how>on|last|this|next|this coming|this past|by|for|until) (?P<w>{_SHORT_WEEKDAY})|(?<!black )(?<!good )(?P<bare>{_WEEKDAY}))"
    r"(?: (?:(?:of )?(?P<week>last|this|next) week|(?P<part>morning|afternoon|evening|night)))?"
)
def _on_weekday(found: re.Match[str], of: Reading) -> Span | None:
    now, how = of.now, found["how"]
    number = _weekday(found["w"] or found["bare"])
    if found["week"]:
        first = now.week(_WAYS[found["week"]])[0] + number
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
    return now.hours(first, *_PARTS.get(found["part"] or "", (0, 24)))


@_rule(
    r"on the (?P<d>\d{1,2})(?:st|nd|rd|th)(?: of (?P<which>this|last|next) month)?(?=\s*(?:[,.;:!?]|$)|\s(?:i|we|he|she|they|you|it|is|was|and|at|with|about|to|for|did|what|who|where)\b)"
)
def _the_nth(found: re.Match[str], of: Reading) -> Span | None:
    number, now, told = int(found["d"]), of.now, of.tense(found)
    if not 1 <= number <= 31:
        return None
    candidates = [_WAYS[found["which"]]] if found["which"] else range(-3, 4)
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


@_rule(r"recently|lately|of late|the other day")
def _recently(found: re.Match[str], of: Reading) -> Span | None:
    return of.now.span(of.now.midnight(of.now.today - 10), of.now.second + 1)


@_rule(r"(?:the|my|our) (?:very )?(?:last|latest|most recent) thing|just now|a moment ago")
def _last_thing(found: re.Match[str], of: Reading) -> Span | None:
    return of.now.span(of.now.second - DAY, of.now.second + 1)


def _part(text: str, of: Reading) -> Span | None:
    """The time that a part of a longer phrase names by itself."""
    for lead in ("", "on ", "in ", "at "):
        for pattern, rule in RULES:
            found = pattern.fullmatch(lead + text)
            span = found and rule(found, of)
            if span:
                return span
    return None


_NOT_BESIDE = "".join(f"(?<!{unit} )" for unit in ("day", "days", "week", "weeks", "month", "months"))
_BOUND = (
    rf"(?:(?:on |in )?(?:the )?(?:{_OF_MONTH}(?: of)? {_SHORT_MONTH}(?:,? \d{{4}})?|{_SHORT_MONTH} {_OF_MONTH}(?:,? \d{{4}})?|{_MONTH}(?: \d{{4}})?"
    rf"|(?:last |next |this )?(?:{_SHORT_WEEKDAY}|{_FEAST}|spring|summer|autumn|winter|week|month|year|weekend)"
    rf"|yesterday|today|tomorrow|\d{{4}}-\d\d-\d\d|\d{{1,2}}/\d{{1,2}}(?:/\d{{4}})?|(?:19|20)\d\d))"
)


@_rule(rf"between (?P<a>{_BOUND}) and (?P<b>{_BOUND})|from (?P<a2>{_BOUND}) (?:to|until|till) (?P<b2>{_BOUND})")
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


@_rule(rf"{_NOT_BESIDE}(?P<way>since|before|after|until) (?P<a>{_BOUND})")
def _open(found: re.Match[str], of: Reading) -> Span | None:
    way, now = found["way"], of.now
    a = _part(found["a"], _context(found, of, "past" if way == "since" else None))
    if a is None:
        return None
    if way == "since":
        return now.span(a.start, now.second + 1)
    if way == "until" or (way == "before" and a.start > now.second and of.tense(found) != "past"):
        return now.span(now.second, a.end if way == "until" else a.start)
    if way == "before":
        return now.span(now.midnight(FIRST_DAY), a.start)
    return now.span(a.end, now.second + 1 if a.end < now.second else a.end + 365 * DAY)


def _context(found: re.Match[str], of: Reading, told: str | None = None) -> Reading:
    """Rules for a part of a phrase see the whole's tense and nothing else of the text."""
    return of._replace(known=(told or of.tense(found),))
