"""Spans of time, computed in the days of whoever speaks.

All arithmetic is on numbers: days are counted as `date.toordinal` counts them, moments are seconds since 1970. Nothing
here can overflow: what lies before year 1 or after 9999 is clamped in `day` and in `Now.span`, and nowhere else.
"""

import calendar
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from dateutil.easter import easter  # type: ignore[import-untyped]

FIRST_DAY, LAST_DAY = 1, date.max.toordinal() + 1
_EPOCH = date(1970, 1, 1).toordinal()
DAY, HOUR = 86_400, 3_600  # seconds
EARLIEST = (FIRST_DAY - _EPOCH) * DAY
LATEST = (LAST_DAY - _EPOCH) * DAY - 1

Days = tuple[int, int]  # the first day and the one after the last
Yearly = Callable[[int], Days]  # the days of something that comes every year, in a year


class Span(NamedTuple):
    """A time from when to when, in seconds since 1970; never empty."""

    start: int
    end: int


def seconds(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp())


def day(year: int, month: int, of_month: int) -> int:
    """The number of a day; a month may be any number, counted on from January of that year."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if year < 1:
        return FIRST_DAY
    return LAST_DAY if year > date.max.year else date(year, month, of_month).toordinal()


class Now:
    """A moment as the starting point of relative times, in the offset that it has.

    Attributes:
        today: the number of its local day.
        second: the moment in seconds since 1970.
    """

    def __init__(self, at: datetime) -> None:
        self.offset = int((at.utcoffset() or timedelta()).total_seconds())
        self.today, self.year, self.month = at.toordinal(), at.year, at.month
        self.second = seconds(at)
        self.weekday = at.weekday()

    def span(self, start: int, end: int) -> Span | None:
        """The span between two moments, clamped; None where nothing is left."""
        start, end = max(start, EARLIEST), min(end, LATEST)
        return Span(start, end) if start < end else None

    def midnight(self, number: int) -> int:
        """When a day begins here."""
        return (number - _EPOCH) * DAY - self.offset

    def number(self, second: int) -> int:
        """The number of the day here in which a moment lies."""
        return (second + self.offset) // DAY + _EPOCH

    def days(self, first: int, after: int) -> Span | None:
        """The span of days, without the one after the last."""
        return self.span(self.midnight(first), self.midnight(after))

    def hours(self, number: int, first: int, after: int) -> Span | None:
        """The span of some hours of a day; they may run into the next."""
        start = self.midnight(number)
        return self.span(start + first * HOUR, start + after * HOUR)

    def week(self, ahead: int) -> Days:
        """The week, from Monday, so many after this one."""
        monday = self.today - self.weekday + 7 * ahead
        return monday, monday + 7

    def unit(self, name: str, ahead: int) -> Days:
        """The day, week, month or year so many after the present one."""
        if name == "week":
            return self.week(ahead)
        if name == "month":
            return day(self.year, self.month + ahead, 1), day(self.year, self.month + ahead + 1, 1)
        if name == "year":
            return day(self.year + ahead, 1, 1), day(self.year + ahead + 1, 1, 1)
        return self.today + ahead, self.today + ahead + 1

    def weekend(self, ahead: int) -> Days:
        """Saturday and Sunday of the week so many after this one."""
        saturday = self.week(ahead)[0] + 5
        return saturday, saturday + 2

    def whole(self, of: Yearly, ahead: bool) -> Days:
        """Of what comes yearly the last one that is over, or the next that has not begun."""
        every = [of(year) for year in range(self.year - 2, self.year + 3)]
        if ahead:
            return min((days for days in every if days[0] > self.today), default=every[-1])
        return max((days for days in every if days[1] <= self.today), default=every[0])

    def yearly(self, of: Yearly, tense: str | None) -> Days:
        """The one meant of what comes yearly: the latest that began, the next that has not ended, or the nearest."""
        every = [of(year) for year in range(self.year - 5, self.year + 6)]
        past = [days for days in every if days[0] <= self.today]
        future = [days for days in every if days[1] > self.today]
        if not past or (future and tense == "future"):
            return future[0] if future else every[-1]
        if not future or tense == "past":
            return past[-1]
        return min((past[-1], future[0]), key=lambda days: max(days[0] - self.today, self.today - days[1]))


def nth_day(month: int, of_month: int) -> Yearly:
    """A day of the year; 29 February, where there is none, is the 28th."""

    def days(year: int) -> Days:
        number = min(of_month, calendar.monthrange(min(max(year, 1), 9999), month)[1])
        first = day(year, month, number)
        return first, first + 1

    return days


def months(first: int, count: int) -> Yearly:
    """Whole months of the year, which may run into the next year."""
    return lambda year: (day(year, first, 1), day(year, first + count, 1))


def feast(month: int, of_month: int, count: int) -> Yearly:
    """A few days of the year from a fixed one on."""
    return lambda year: (day(year, month, of_month), day(year, month, of_month) + count)


def _easter(year: int) -> Days:
    sunday = easter(min(max(year, 1583), 4099)).replace(year=min(max(year, 1), 9999)).toordinal()
    return sunday - 2, sunday + 2


def _from_easter(first: int, count: int) -> Yearly:
    """Days so many after Easter Sunday."""
    return lambda year: (_easter(year)[0] + 2 + first, _easter(year)[0] + 2 + first + count)


def _black_friday(year: int) -> Days:
    return _thanksgiving(year)[1], _thanksgiving(year)[1] + 1


def _thanksgiving(year: int) -> Days:
    first = date.fromordinal(min(day(year, 11, 1), LAST_DAY - 1))
    thursday = first.toordinal() + (3 - first.weekday()) % 7 + 21
    return thursday, thursday + 1


FEASTS: dict[str, Yearly] = {
    "christmas eve": feast(12, 24, 1), "christmas day": feast(12, 25, 1), "boxing day": feast(12, 26, 1),
    "christmas": feast(12, 24, 3), "new year's eve": feast(12, 31, 1), "new year": feast(12, 31, 2),
    "new year's day": feast(1, 1, 1), "easter": _easter, "halloween": feast(10, 31, 1),
    "valentine's day": feast(2, 14, 1), "thanksgiving": _thanksgiving, "black friday": _black_friday,
    "good friday": _from_easter(-2, 1), "easter sunday": _from_easter(0, 1), "easter monday": _from_easter(1, 1),
    "whitsun": _from_easter(48, 3), "pentecost": _from_easter(48, 3), "the holidays": feast(12, 24, 10),
    "bonfire night": feast(11, 5, 1), "st patrick's day": feast(3, 17, 1),
}  # fmt: skip
SEASONS: dict[str, Yearly] = {
    "spring": months(3, 3), "summer": months(6, 3), "autumn": months(9, 3), "fall": months(9, 3),
    "winter": months(12, 3),
}  # fmt: skip


def local_date(number: int) -> date:
    """The date of a numbered day, clamped."""
    return date.fromordinal(min(max(number, FIRST_DAY), LAST_DAY - 1))
