# ruff: noqa: E501  (patterns are read in one piece)
"""English times that are told from now: "yesterday", "two weeks ago", "in three days"; see `times_english`."""

import re

from memory_core.language.spans import DAY, HOUR, Span
from memory_core.language.times_english import MANY, PARTS, Reading, count_of, rule

_DAYS_AHEAD = {"day before yesterday": -2, "yesterday": -1, "tomorrow": 1, "day after tomorrow": 2}


@rule(
    r"(?P<what>(?:the )?day before yesterday|(?:the )?day after tomorrow|yesterday|today|tomorrow|tonight|last night|this (?:morning|afternoon|evening)|earlier today|later today)(?: (?P<part>morning|afternoon|evening|night))?"
)
def _near_day(found: re.Match[str], of: Reading) -> Span | None:
    what, now = found["what"], of.now
    if what == "last night":
        return now.hours(now.today - 1, 18, 30)
    ahead = _DAYS_AHEAD.get(what.removeprefix("the "), 0)
    if what in ("earlier today", "later today"):
        morning, evening = now.midnight(now.today), now.midnight(now.today + 1)
        return now.span(morning, now.second + 1) if what == "earlier today" else now.span(now.second, evening)
    part = found["part"] or what.removeprefix("this ")
    return now.hours(now.today + ahead, *PARTS.get(part, (0, 24)))


@rule(r"an hour and a half ago|(?P<n>\d{1,3}) ?(?P<unit>d|h|w|mins?|hrs?|wks?) (?:ago|back)")
def _short_ago(found: re.Match[str], of: Reading) -> Span | None:
    now, unit = of.now, (found["unit"] or "x")[0]
    if unit in "dw":
        return now.days(*now.unit("day" if unit == "d" else "week", -int(found["n"])))
    far = int(found["n"]) * (HOUR if unit == "h" else 60) if found["n"] else 3 * HOUR // 2
    return now.span(now.second - far - max(far // 4, 300), now.second - far + max(far // 4, 300))


@rule(rf"(?P<n>{MANY}|half an?) (?P<unit>minute|hour|day|week|fortnight|month|year|weekend)s? (?:ago|earlier|back)")
def _ago(found: re.Match[str], of: Reading) -> Span | None:
    now, unit = of.now, found["unit"]
    if unit in ("minute", "hour") or "half" in found["n"]:
        length = {"minute": 60, "hour": HOUR}.get(unit, 180 * DAY)
        far = length // 2 if "half" in found["n"] else count_of(found["n"]) * length
        return now.span(now.second - far - max(far // 4, 300), now.second - far + max(far // 4, 300))
    count = count_of(found["n"])
    if "few" in found["n"] and unit == "day":
        return now.days(now.today - 5, now.today - 2)
    if unit == "weekend":
        return now.days(*now.weekend(-count))
    return now.days(*now.unit("week" if unit == "fortnight" else unit, -count * (2 if unit == "fortnight" else 1)))


@rule(
    rf"in (?P<n>{MANY}) (?P<unit>hour|day|week|fortnight|month|year)s?(?:'? time)?|(?P<n2>{MANY}) (?P<unit2>day|week|month)s from (?:now|today)"
)
def _ahead(found: re.Match[str], of: Reading) -> Span | None:
    now, unit, count = of.now, found["unit"] or found["unit2"], count_of(found["n"] or found["n2"])
    if unit == "hour":
        return now.span(now.second + count * HOUR - HOUR // 2, now.second + count * HOUR + HOUR // 2)
    if unit in ("week", "fortnight"):
        first = now.today + count * (7 if unit == "week" else 14)
        return now.days(first, first + 1) if of.telling else now.days(first - 3, first + 4)
    return now.days(*now.unit(unit, count))


@rule(
    rf"(?:(?:in|over|during|within|for) )?the (?:last|past) (?:(?P<n>{MANY}) )?(?P<unit>hour|day|week|fortnight|month|year)s?"
)
def _running(found: re.Match[str], of: Reading) -> Span | None:
    now, count = of.now, count_of(found["n"] or "one")
    if found["unit"] == "hour":
        return now.span(now.second - count * HOUR, now.second + 1)
    days = count * {"day": 1, "week": 7, "fortnight": 14, "month": 30, "year": 365}[found["unit"]]
    return now.span(now.midnight(now.today - days), now.second + 1)


@rule(rf"(?:in|over|during|within) the (?:next|coming) (?:(?P<n>{MANY}) )?(?P<unit>day|week|month|year)s?")
def _running_ahead(found: re.Match[str], of: Reading) -> Span | None:
    many = found["n"] or ("few" if found[0].endswith("s") else "one")
    days = count_of(many) * {"day": 1, "week": 7, "month": 30, "year": 365}[found["unit"]]
    return of.now.span(of.now.second, of.now.midnight(of.now.today + days + 1))


@rule(r"(?P<how>last|this|next|this past|the coming) (?P<unit>week|month|year)(?! before| after)")
def _unit(found: re.Match[str], of: Reading) -> Span | None:
    ahead = {"last": -1, "this": 0, "this past": -1}.get(found["how"], 1)
    return of.now.days(*of.now.unit(found["unit"], ahead))


@rule(r"(?:(?P<how>last|this|next|this past|this coming) |(?:over|on|at|during) the )weekend")
def _weekend(found: re.Match[str], of: Reading) -> Span | None:
    now, how = of.now, found["how"]
    on_it = now.weekday >= 5
    if how in ("last", "this past"):
        return now.days(*now.weekend(-1))
    if how in ("next", "this coming"):
        return now.days(*now.weekend(1 if how == "next" else 0))
    past = of.tense(found) == "past" and not on_it
    return now.days(*now.weekend(-1 if past else 0))


@rule(
    r"recently|lately|of late|the other (?P<unit>day|night|evening|morning|week|month)|a (?:little |short )?while (?:ago|back)"
)
def _recently(found: re.Match[str], of: Reading) -> Span | None:
    days = {"week": 21, "month": 75}.get(found["unit"] or "", 90 if "while" in found[0] else 10)
    return of.now.span(of.now.midnight(of.now.today - days), of.now.second + 1)


@rule(r"(?:any ?time |very |pretty )?soon|in the (?:near future|coming (?P<unit>days|weeks|months))|before long")
def _soon(found: re.Match[str], of: Reading) -> Span | None:
    days = {"days": 7, "weeks": 28, "months": 120}.get(found["unit"] or "", 21)
    return None if of.telling else of.now.span(of.now.second, of.now.midnight(of.now.today + days + 1))


@rule(r"(?:these|those|the) (?:past|last) (?:few |couple of |several )?(?P<unit>days|weeks|months|years)")
def _past_few(found: re.Match[str], of: Reading) -> Span | None:
    days = 3 * {"days": 1, "weeks": 7, "months": 30, "years": 365}[found["unit"]]
    return of.now.span(of.now.midnight(of.now.today - days), of.now.second + 1)


@rule(r"(?:several|some|many|a number of) (?P<unit>day|week|month|year)s (?:ago|back)")
def _some_ago(found: re.Match[str], of: Reading) -> Span | None:
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[found["unit"]]
    return of.now.days(of.now.today - 8 * days, of.now.today - 2 * days)


@rule(
    r"the (?P<unit>day|night|week|weekend|month|year) before last"
    r"|the (?P<ahead>week|weekend|month|year) after next"
)
def _one_but_next(found: re.Match[str], of: Reading) -> Span | None:
    now, unit, far = of.now, found["unit"] or found["ahead"], -2 if found["unit"] else 2
    if unit in ("day", "night"):
        return now.hours(now.today - 2, *((0, 24) if unit == "day" else PARTS["night"]))
    return now.days(*(now.weekend(far) if unit == "weekend" else now.unit(unit, far)))


@rule(r"(?:the|my|our) (?:very )?(?:last|latest|most recent) thing|just now|a moment ago")
def _last_thing(found: re.Match[str], of: Reading) -> Span | None:
    return of.now.span(of.now.second - DAY, of.now.second + 1)
