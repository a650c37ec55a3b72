# ruff: noqa: E501  (patterns are read in one piece)
"""Times that texts name in languages other than English.

The words (months, weekdays, "yesterday", "vor 3 Tagen") are dateparser's, which has them from Unicode's locale data;
what these lack for whole sentences is in `grammars`. Which language a text is in need not be known: the phrase that
begins first in any of them counts.
"""

import importlib
import re
from functools import cache
from typing import Any, NamedTuple

from memory_core.language.grammars import GRAMMARS, MORE_MONTHS, MORE_UNITS, MORE_WEEKDAYS
from memory_core.language.spans import DAY, HOUR, SEASONS, Now, Span, day, months, nth_day
from memory_core.language.tense import tense
from memory_core.language.times_english import PARTS

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_SEASONS = ["spring", "summer", "autumn", "winter"]
_UNSPACED = ("zh", "ja")


_UNITS = ("hour", "day", "week", "month", "year")
# A character or a word of these is in every phrase: cheap to look for, and what ordinary English lacks.
_SCRIPTS = re.compile(r"[^\x00-\x7f]")


class _Language(NamedTuple):
    """A language's patterns and what their matches mean."""

    code: str
    phrase: re.Pattern[str]
    numbers: dict[str, int]
    months: dict[str, int]
    weekdays: list[re.Pattern[str]]
    units: dict[str, list[re.Pattern[str]]]
    relative: dict[str, re.Pattern[str]]
    seasons: dict[str, re.Pattern[str]]


Found = tuple[int, int, Span]


def first(text: str, now: Now, telling: bool) -> Found | None:
    """The first time named in any of the languages: from which character to which, and when."""
    hint = frozenset(_WORDS.findall(text)) | frozenset(_YEAR.findall(text))
    best: Found | None = None
    least = (len(text), 0, False)
    for code, plain in _triggers().items():
        if code in _UNSPACED or code in ("ru", "ar", "fa"):
            if not _SCRIPT[code].search(text) or (code == "zh" and _KANA.search(text)):
                continue
        elif plain.isdisjoint(hint):
            continue
        for found in _language(code).phrase.finditer(text):
            told = tense(text, found.start(), found.end(), code)
            rank = found.start(), -found.end(), told is None  # "domingo": the language is the one whose verbs it knows
            if rank >= least:
                break
            span = _span(_language(code), found, now, telling, told)
            if span:
                best, least = (found.start(), found.end(), span), rank
                break
    return best


_KANA = re.compile("[ぁ-ヿ]")
_WORDS = re.compile(r"[^\W\d_]{3,}")
_YEAR = re.compile(r"(?<!\d)(?:19|20)(?=\d\d(?!\d))")
_SCRIPT = {
    "ru": re.compile("[а-я]"), "zh": re.compile("[天周週月日年星礼晚早]"), "ja": re.compile("[日週月年曜きあお夜朝晩]"), "ar": re.compile("[ء-ي]"),
    "fa": re.compile("[ء-یپچژگک]"),
}  # fmt: skip


def _info(code: str) -> Any:
    return importlib.import_module(f"dateparser.data.date_translation_data.{code}").info


def _long(words: list[str], code: str) -> list[str]:
    """Words that are no abbreviation: those, as "mar" or "do", mean something else as well."""
    least = 1 if code in _UNSPACED else 3
    longest = max(map(len, words))
    return [
        word.lower() for word in words if len(word) >= min(least + 1, longest) and (word.isalpha() or code in _UNSPACED)
    ]


@cache
def _triggers() -> dict[str, frozenset[str]]:
    """By language, the words one of which stands in every phrase of it."""
    found = {}
    for code, grammar in GRAMMARS.items():
        info = _info(code)
        words = [word for each in (*_MONTHS, *_WEEKDAYS) for word in _long(info[each], code)]
        words += [
            form
            for key, forms in info["relative-type"].items()
            if key.split()[-1] != "ago" or "0 " not in key or "day" in key
            for form in forms
        ]
        words += [word for unit in _UNITS for word in info[unit]] + list(grammar.relative.values()) + [grammar.weekend]
        words += grammar.seasons
        found[code] = frozenset(each for word in words for each in _WORDS.findall(word.lower())) - _COMMON | {
            "19",
            "20",
        }
    return found


_COMMON = frozenset(
    ["para", "que", "von", "der", "die", "das", "est", "les", "por", "con", "una", "uno", "des", "dans", "mais", "sera"]
)


def _any(words: list[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


@cache
def _language(code: str) -> _Language:
    info, grammar = _info(code), GRAMMARS[code]
    numbers = {form: count for count, forms in enumerate(grammar.numbers.split(), 1) for form in forms.split("/")}
    number = rf"\d{{1,3}}|{_any(list(numbers))}"
    month = {word: count for count, name in enumerate(_MONTHS, 1) for word in _long(info[name], code)}
    month |= {form: count for count, form in enumerate(MORE_MONTHS.get(code, ()), 1)}
    weekdays = MORE_WEEKDAYS.get(code) or [_any(_long(info[name], code)) for name in _WEEKDAYS]
    if code == "pt":
        weekdays = [
            each + "|" + short
            for each, short in zip(
                weekdays, ["segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"], strict=True
            )
        ]
    relative: dict[str, list[str]] = {}
    for key, forms in info["relative-type"].items():
        told = re.fullmatch(r"(\d) (day|week|month|year) ago|in (\d) (day|week|month|year)", key)
        if told:
            ahead = f"{-int(told[1])} {told[2]}" if told[1] else f"{told[3]} {told[4]}"
            relative.setdefault(ahead, []).extend(re.escape(form.lower()) for form in forms if len(form) > 1)
    for ahead, pattern in grammar.relative.items():
        relative.setdefault(ahead, []).append(pattern)
    units: dict[str, list[str]] = {}
    for key, forms in info["relative-type-regex"].items():
        told = re.fullmatch(r"\\1 (\w+) ago|in \\1 (\w+)", key)
        unit = told and (told[1] or told[2])
        if told and unit in _UNITS:
            sign = "-" if told[1] else ""
            some = [form.lower().replace(r"(\d++[.,]?\d*+)", rf"(?:{number})") for form in forms]
            some = [
                form
                for form in some
                if code in _UNSPACED or re.search(r"[^\W\d_]{3,}", form.split("})")[-1].split(")")[-1])
            ]
            units.setdefault(sign + unit, []).extend(some)
    for key, pattern in MORE_UNITS.get(code, {}).items():
        units.setdefault(key, []).append(pattern.format(n=rf"(?:{number})"))
    in_units = {unit: [re.compile(form) for form in forms] for unit, forms in units.items()}
    in_relative = {
        ahead: re.compile("|".join(sorted(forms, key=len, reverse=True))) for ahead, forms in relative.items()
    }
    any_month, any_day = _any(list(month)), "|".join(weekdays)
    flat = "|".join(
        sorted(
            (
                each.pattern
                for each in (*in_relative.values(), *(form for forms in in_units.values() for form in forms))
            ),
            key=len,
            reverse=True,
        )
    )
    before, after = (
        rf"(?:(?P<l1>{grammar.last})\s*|(?P<n1>{grammar.next})\s*)?",
        rf"(?:\s+(?P<l2>{grammar.last})|\s+(?P<n2>{grammar.next}))?",
    )
    seasons = "|".join(grammar.seasons)
    if code in _UNSPACED:
        phrase = (
            rf"(?P<ys>去年|昨年|今年|明年|来年)的?の?(?P<se>{seasons})"
            rf"|(?P<yr>(?:19|20)\d\d)\s*年(?!\s*\d|间|間|の?(?:{seasons})|[一二三四五六七八九十])|(?:(?P<y>\d{{4}})\s*年\s*|(?P<yw>去年|明年|今年|来年|昨年)的?の?)?(?P<m>\d{{1,2}}|十[一二]?|[一二三四五六七八九])\s*月(?:份|(?P<d>\d{{1,2}})\s*[日号號])?(?!前|后|後)"
            rf"|{before}(?:(?P<we>{grammar.weekend})|(?P<wd>{any_day}))|(?P<rel>{flat})"
        )
        compiled = re.compile(phrase)
    else:
        of = r"(?:\.|º|er|-?го)?(?:\s+(?:de|of|d'))?\s+"
        phrase = (
            rf"(?P<d>\d{{1,2}}){of}(?P<m>{any_month})(?:,?\s+(?:(?:de|del|do)\s+)?(?P<y>\d{{4}}))?"
            rf"|(?:(?:{grammar.into})\s+)(?P<m2>{any_month})(?:\s+(?:(?:de|del|do)\s+)?(?P<y2>\d{{4}}))?"
            rf"|(?P<m3>{any_month})\s+(?:(?:de|del|do)\s+)?(?P<y3>\d{{4}})"
            rf"|(?:{grammar.year})\s+(?P<yr>(?:19|20|۱۹|۲۰|١٩|٢٠)\d\d)(?!\s*[:.]?\d)"
            rf"|(?:{grammar.into}){'?' if code == 'ru' else ''}\s{'*' if code == 'ru' else '+'}(?P<in>{seasons})"
            rf"|(?P<rel>{flat})|{before}(?:(?P<we>{grammar.weekend})|(?P<wd>{any_day})|(?P<se>{seasons})){after}"
            r"|(?P<d4>\d{1,2})\.(?P<m4>\d{1,2})\.(?P<y4>\d{4})?"
        )
        compiled = re.compile(rf"(?<!\w)(?:{phrase})(?!\w)")
    of_year = {name: re.compile(form) for name, form in zip(_SEASONS, grammar.seasons, strict=True)}
    days = [re.compile(each) for each in weekdays]
    return _Language(code, compiled, numbers, month, days, in_units, in_relative, of_year)


_YEARS_AHEAD = {"去年": -1, "昨年": -1, "今年": 0, "明年": 1, "来年": 1}
_CJK_MONTH = {
    word: count
    for count, word in enumerate(["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"], 1)
}


def _span(of: _Language, found: re.Match[str], now: Now, telling: bool, told: str | None) -> Span | None:
    kept = {name: value for name, value in found.groupdict().items() if value}
    if told is None and telling and not re.search("[?？؟]", found.string):
        told = "future"
    month = kept.get("m") or kept.get("m2") or kept.get("m3") or kept.get("m4")
    if month:
        number = of.months.get(month) or _CJK_MONTH.get(month) or (int(month) if month.isdecimal() else 0)
        year = kept.get("y") or kept.get("y2") or kept.get("y3") or kept.get("y4")
        which = _YEARS_AHEAD.get(kept.get("yw", ""))
        return _dated(
            now,
            int(year) if year else now.year + which if which is not None else None,
            number,
            kept.get("d") or kept.get("d4"),
            told,
        )
    if "rel" in kept:
        return _relative(of, kept["rel"], now)
    if "yr" in kept:
        return now.days(day(int(kept["yr"]), 1, 1), day(int(kept["yr"]) + 1, 1, 1))
    last, after = "l1" in kept or "l2" in kept, "n1" in kept or "n2" in kept
    name = kept.get("se") or kept.get("in")
    if name:
        season = SEASONS[next(each for each, form in of.seasons.items() if form.fullmatch(name))]
        if "ys" in kept:
            return now.days(*season(now.year + _YEARS_AHEAD[kept["ys"]]))
        if last or after:
            return now.days(*now.whole(season, after))
        return now.days(*now.yearly(season, told)) if "in" in kept else None
    if "we" in kept:
        return now.days(*now.weekend(-1 if last else 1 if after else -1 if told == "past" and now.weekday < 5 else 0))
    weekday = next((number for number, each in enumerate(of.weekdays) if each.fullmatch(kept["wd"])), None)
    if weekday is None:
        return None
    if of.code in _UNSPACED and (last or after):
        chosen = now.week(-1 if last else 1)[0] + weekday
        return now.days(chosen, chosen + 1)
    past, coming = (
        now.today - ((now.weekday - weekday) % 7 or 7),
        now.today + ((weekday - now.weekday) % 7 or 7 * after),
    )
    if last or after:
        chosen = past if last else coming
    elif told:
        chosen = past if told == "past" else coming
    else:
        chosen = past if now.today - past <= coming - now.today else coming
    return now.days(chosen, chosen + 1)


def _dated(now: Now, year: int | None, month: int, of_month: str | None, told: str | None) -> Span | None:
    number = int(of_month) if of_month else 1
    if not (1 <= month <= 12 and 1 <= number <= (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31)):
        return None
    if of_month:
        return now.days(
            *(nth_day(month, number)(year) if year is not None else now.yearly(nth_day(month, number), told))
        )
    return now.days(*(months(month, 1)(year) if year is not None else now.yearly(months(month, 1), told)))


def _relative(of: _Language, phrase: str, now: Now) -> Span | None:
    for ahead, pattern in of.relative.items():
        if pattern.fullmatch(phrase):
            far, _, name = ahead.partition(" ")
            if name in PARTS:
                return now.hours(now.today + int(far), *PARTS[name])
            if name == "weekend":
                return now.days(*now.weekend(int(far)))
            return now.days(*now.unit(name, int(far))) if name else None  # "de la mañana" is no time
    for signed, patterns in of.units.items():
        if any(pattern.fullmatch(phrase) for pattern in patterns):
            digits = re.search(r"\d+", phrase)
            words = (of.numbers.get(word) for word in re.findall(r"[^\W\d_]+", phrase))
            count = int(digits[0]) if digits else next(filter(None, words), None) or of.numbers.get(phrase[:1]) or 1
            unit, sign = signed.removeprefix("-"), -1 if signed.startswith("-") else 1
            if unit == "hour":
                middle = now.second + sign * count * HOUR
                return now.span(middle - HOUR // 2, middle + HOUR // 2)
            if unit == "week" and sign > 0:
                return now.span(
                    now.midnight(now.today + 7 * count - 3), now.midnight(now.today + 7 * count - 3) + 7 * DAY
                )
            return now.days(*now.unit(unit, sign * count))
    return None


def load() -> None:
    """Reads the languages' words, which takes a moment the first time."""
    for code in _triggers():
        _language(code)
