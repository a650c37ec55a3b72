# ruff: noqa: E501  (one phrase a line)
"""Which time a text names, by a table: asked, or told, at one moment in an offset far from UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.language import times, times_elsewhere
from memory_core.language.spans import seconds
from memory_core.language.times import named_span, told_span, without_time
from memory_core.language.times_english import RULES

ELSEWHERE = Path(__file__).with_name("times_elsewhere.txt")
ZONE = timezone(timedelta(hours=-8))
AT = datetime(2026, 11, 26, 19, 30, tzinfo=ZONE)  # a Thursday evening; in UTC it is Friday
# A text, the first day and the one after the last.
ASKED = """
What did I eat today? | 2026-11-26 | 2026-11-27
Did I tell you anything yesterday? | 2026-11-25 | 2026-11-26
What did I say the day before yesterday? | 2026-11-24 | 2026-11-25
Which film did I watch on 24 November? | 2026-11-24 | 2026-11-25
What did I do three days ago? | 2026-11-23 | 2026-11-24
What did I read a couple of days ago? | 2026-11-24 | 2026-11-25
Who called a fortnight ago? | 2026-11-09 | 2026-11-16
Who called two weeks ago? | 2026-11-09 | 2026-11-16
Who called a month ago? | 2026-10-01 | 2026-11-01
Where was I two years ago? | 2024-01-01 | 2025-01-01
What did I do the week before last? | 2026-11-09 | 2026-11-16
What did I do the weekend before last? | 2026-11-14 | 2026-11-16
What did I do two Fridays ago? | 2026-11-13 | 2026-11-14
What did I do a week ago today? | 2026-11-19 | 2026-11-20
What did I do a week ago Monday? | 2026-11-16 | 2026-11-17
What did I do at the beginning of November? | 2026-11-01 | 2026-11-11
What did I do in early November? | 2026-11-01 | 2026-11-11
What did I do in mid-October? | 2026-10-11 | 2026-10-22
What did I do at the end of October? | 2026-10-21 | 2026-11-01
What did I do in late September? | 2026-09-21 | 2026-10-01
What did I do in the first week of November? | 2026-11-01 | 2026-11-08
What did I do in the last week of October? | 2026-10-25 | 2026-11-01
What did I do in the second half of October? | 2026-10-16 | 2026-11-01
What did I do around the 20th? | 2026-11-20 | 2026-11-21
What did I do on 03-10-2026? | 2026-10-03 | 2026-10-04
What did I do on 3.10.? | 2026-10-03 | 2026-10-04
What did I do 2d ago? | 2026-11-24 | 2026-11-25
What did I do day before yesterday? | 2026-11-24 | 2026-11-25
What did I do several days ago? | 2026-11-18 | 2026-11-24
What did I do in Q3? | 2026-07-01 | 2026-10-01
Where did we live in the nineties? | 1990-01-01 | 2000-01-01
What did I buy on Black Friday? | 2025-11-28 | 2025-11-29
Where were we on Good Friday? | 2026-04-03 | 2026-04-04
What happened in Sept? | 2026-09-01 | 2026-10-01
What happened in Nov 2025? | 2025-11-01 | 2025-12-01
What happened last Nov? | 2025-11-01 | 2025-12-01
What happened in 11/2025? | 2025-11-01 | 2025-12-01
What am I doing the week after next? | 2026-12-07 | 2026-12-14
What am I doing the weekend after next? | 2026-12-12 | 2026-12-14
What am I doing on Saturday week? | 2026-12-05 | 2026-12-06
What am I doing a week from Friday? | 2026-12-04 | 2026-12-05
What do I have two weeks from tomorrow? | 2026-12-11 | 2026-12-12
What am I doing a week from now? | 2026-12-03 | 2026-12-04
What am I doing at the end of next week? | 2026-12-04 | 2026-12-07
What am I doing at the beginning of December? | 2026-12-01 | 2026-12-12
What is planned for the middle of next month? | 2026-12-11 | 2026-12-22
What happens on the first Monday of December? | 2026-12-07 | 2026-12-08
What happens on the last Friday of the month? | 2026-11-27 | 2026-11-28
What am I doing over the holidays? | 2026-12-24 | 2027-01-03
What do I have planned for Sunday? | 2026-11-29 | 2026-11-30
What are we doing in the middle of next year? | 2027-05-02 | 2027-09-02
What did I do two weekends ago? | 2026-11-14 | 2026-11-16
What did I do a couple of weekends ago? | 2026-11-14 | 2026-11-16
What did I do last weekend? | 2026-11-21 | 2026-11-23
What did we do over the weekend? | 2026-11-21 | 2026-11-23
What are we doing over the weekend? | 2026-11-28 | 2026-11-30
Is anything planned this weekend? | 2026-11-28 | 2026-11-30
What happens next weekend? | 2026-12-05 | 2026-12-07
What did I do last week? | 2026-11-16 | 2026-11-23
What did I do this week? | 2026-11-23 | 2026-11-30
What do I have next week? | 2026-11-30 | 2026-12-07
What did I spend last month? | 2026-10-01 | 2026-11-01
What happens next month? | 2026-12-01 | 2027-01-01
Where did I live last year? | 2025-01-01 | 2026-01-01
Where do I go next year? | 2027-01-01 | 2028-01-01
Where did I go last summer? | 2026-06-01 | 2026-09-01
Where did we go in spring? | 2026-03-01 | 2026-06-01
Where will we go in spring? | 2027-03-01 | 2027-06-01
What did I plant last autumn? | 2025-09-01 | 2025-12-01
What did we do last winter? | 2025-12-01 | 2026-03-01
What did we do in the summer of 2024? | 2024-06-01 | 2024-09-01
What did I get last Christmas? | 2025-12-24 | 2025-12-27
Who came over Christmas? | 2025-12-24 | 2025-12-27
Who is coming for Christmas? | 2026-12-24 | 2026-12-27
What did we eat at Easter? | 2026-04-03 | 2026-04-07
What did we eat at Easter 2024? | 2024-03-29 | 2024-04-02
What did we do on New Year's Eve? | 2025-12-31 | 2026-01-01
What did I wear for Halloween? | 2026-10-31 | 2026-11-01
Who did I meet on Monday? | 2026-11-23 | 2026-11-24
Who did I meet on Friday? | 2026-11-20 | 2026-11-21
Who do I meet on Friday? | 2026-11-27 | 2026-11-28
What did I buy on Fri? | 2026-11-20 | 2026-11-21
What's on this Friday? | 2026-11-27 | 2026-11-28
What did I do this Friday? | 2026-11-20 | 2026-11-21
What did I do last Friday? | 2026-11-20 | 2026-11-21
When am I free next Tuesday? | 2026-12-01 | 2026-12-02
What is on Tuesday next week? | 2026-12-01 | 2026-12-02
What is on tomorrow? | 2026-11-27 | 2026-11-28
What is on the day after tomorrow? | 2026-11-28 | 2026-11-29
What is in three days? | 2026-11-29 | 2026-11-30
What is on 3 December? | 2026-12-03 | 2026-12-04
What did I do on 3 December? | 2025-12-03 | 2025-12-04
What did I do on the 3rd of December? | 2025-12-03 | 2025-12-04
What happened on 3 December 2024? | 2024-12-03 | 2024-12-04
What happens on December 3rd? | 2026-12-03 | 2026-12-04
What happened on March 3? | 2026-03-03 | 2026-03-04
What did I do on the 3rd? | 2026-11-03 | 2026-11-04
What is on the 3rd? | 2026-12-03 | 2026-12-04
What happened on 2026-11-20? | 2026-11-20 | 2026-11-21
What happened on 11/20? | 2026-11-20 | 2026-11-21
What happened on 10/05/2026? | 2026-10-05 | 2026-10-06
What happened on 25/10/2026? | 2026-10-25 | 2026-10-26
What happened in March? | 2026-03-01 | 2026-04-01
What did I plan in December? | 2025-12-01 | 2026-01-01
What do I plan in December? | 2026-12-01 | 2027-01-01
Where was I in May 2023? | 2023-05-01 | 2023-06-01
Where was I in 2024? | 2024-01-01 | 2025-01-01
What did I do in March last year? | 2025-03-01 | 2025-04-01
What did I do between March and May? | 2026-03-01 | 2026-06-01
What did I do between 3 March and 10 March? | 2026-03-03 | 2026-03-11
What did I do from Monday to Wednesday? | 2026-11-23 | 2026-11-26
What did I do the week before August 3, 2023? | 2023-07-27 | 2023-08-03
Who called the day after 8 May? | 2026-05-09 | 2026-05-10
Remember what I told you about the boat last week | 2026-11-16 | 2026-11-23
Was habe ich gestern gemacht? | 2026-11-25 | 2026-11-26
Was habe ich vorgestern gesagt? | 2026-11-24 | 2026-11-25
Was habe ich letzte Woche erzählt? | 2026-11-16 | 2026-11-23
Was habe ich vor drei Tagen gekauft? | 2026-11-23 | 2026-11-24
Was habe ich vor 2 Wochen gekauft? | 2026-11-09 | 2026-11-16
Wen habe ich am Montag getroffen? | 2026-11-23 | 2026-11-24
Was war im März? | 2026-03-01 | 2026-04-01
Was ist am 3. Dezember? | 2026-12-03 | 2026-12-04
Was ist morgen? | 2026-11-27 | 2026-11-28
Was steht nächste Woche an? | 2026-11-30 | 2026-12-07
Was haben wir letztes Wochenende gemacht? | 2026-11-21 | 2026-11-23
Wo war ich letztes Jahr? | 2025-01-01 | 2026-01-01
¿Qué hice ayer? | 2026-11-25 | 2026-11-26
¿Qué hice la semana pasada? | 2026-11-16 | 2026-11-23
¿Qué compré hace tres días? | 2026-11-23 | 2026-11-24
¿A quién vi el lunes pasado? | 2026-11-23 | 2026-11-24
¿Qué hice en marzo? | 2026-03-01 | 2026-04-01
¿Qué hay el 3 de diciembre? | 2026-12-03 | 2026-12-04
¿Qué tengo mañana? | 2026-11-27 | 2026-11-28
¿Qué tengo la próxima semana? | 2026-11-30 | 2026-12-07
¿Dónde estaba el año pasado? | 2025-01-01 | 2026-01-01
Qu'est-ce que j'ai fait hier ? | 2026-11-25 | 2026-11-26
Qu'est-ce que j'ai dit la semaine dernière ? | 2026-11-16 | 2026-11-23
Qu'ai-je acheté il y a trois jours ? | 2026-11-23 | 2026-11-24
Qui ai-je vu lundi dernier ? | 2026-11-23 | 2026-11-24
Qu'est-ce que j'ai fait en mars ? | 2026-03-01 | 2026-04-01
Que se passe-t-il demain ? | 2026-11-27 | 2026-11-28
Qu'est-ce qui est prévu le 3 décembre ? | 2026-12-03 | 2026-12-04
Que fais-je la semaine prochaine ? | 2026-11-30 | 2026-12-07
Cosa ho fatto ieri? | 2026-11-25 | 2026-11-26
Cosa ho fatto la settimana scorsa? | 2026-11-16 | 2026-11-23
Cosa ho comprato tre giorni fa? | 2026-11-23 | 2026-11-24
Chi ho visto lunedì? | 2026-11-23 | 2026-11-24
Cosa ho fatto a marzo? | 2026-03-01 | 2026-04-01
Cosa c'è domani? | 2026-11-27 | 2026-11-28
Cosa c'è la prossima settimana? | 2026-11-30 | 2026-12-07
Dov'ero l'anno scorso? | 2025-01-01 | 2026-01-01
O que eu fiz ontem? | 2026-11-25 | 2026-11-26
O que eu fiz na semana passada? | 2026-11-16 | 2026-11-23
O que comprei há três dias? | 2026-11-23 | 2026-11-24
O que fiz na segunda-feira? | 2026-11-23 | 2026-11-24
O que eu fiz em março? | 2026-03-01 | 2026-04-01
O que tenho amanhã? | 2026-11-27 | 2026-11-28
O que há na próxima semana? | 2026-11-30 | 2026-12-07
Что я делал вчера? | 2026-11-25 | 2026-11-26
Что я делал на прошлой неделе? | 2026-11-16 | 2026-11-23
Что я купил три дня назад? | 2026-11-23 | 2026-11-24
Кого я видел в понедельник? | 2026-11-23 | 2026-11-24
Что я делал в марте? | 2026-03-01 | 2026-04-01
Что будет завтра? | 2026-11-27 | 2026-11-28
Что будет 3 декабря? | 2026-12-03 | 2026-12-04
Что будет на следующей неделе? | 2026-11-30 | 2026-12-07
我昨天做了什么？ | 2026-11-25 | 2026-11-26
我三天前买了什么？ | 2026-11-23 | 2026-11-24
我上周做了什么？ | 2026-11-16 | 2026-11-23
上周五我做了什么？ | 2026-11-20 | 2026-11-21
我三月做了什么？ | 2026-03-01 | 2026-04-01
12月3日有什么安排？ | 2026-12-03 | 2026-12-04
明天有什么？ | 2026-11-27 | 2026-11-28
下周有什么？ | 2026-11-30 | 2026-12-07
去年我在哪里？ | 2025-01-01 | 2026-01-01
昨日何をしましたか？ | 2026-11-25 | 2026-11-26
3日前に何を買いましたか？ | 2026-11-23 | 2026-11-24
先週何をしましたか？ | 2026-11-16 | 2026-11-23
先週の金曜日に何をしましたか？ | 2026-11-20 | 2026-11-21
3月に何をしましたか？ | 2026-03-01 | 2026-04-01
12月3日の予定は何ですか？ | 2026-12-03 | 2026-12-04
明日は何がありますか？ | 2026-11-27 | 2026-11-28
来週の予定は何ですか？ | 2026-11-30 | 2026-12-07
ماذا فعلت أمس؟ | 2026-11-25 | 2026-11-26
ماذا فعلت الأسبوع الماضي؟ | 2026-11-16 | 2026-11-23
ماذا اشتريت قبل ثلاثة أيام؟ | 2026-11-23 | 2026-11-24
ماذا لدي غدا؟ | 2026-11-27 | 2026-11-28
ماذا لدي الأسبوع القادم؟ | 2026-11-30 | 2026-12-07
دیروز چه کردم؟ | 2026-11-25 | 2026-11-26
هفته گذشته چه کردم؟ | 2026-11-16 | 2026-11-23
سه روز پیش چه خریدم؟ | 2026-11-23 | 2026-11-24
فردا چه دارم؟ | 2026-11-27 | 2026-11-28
هفته آینده چه دارم؟ | 2026-11-30 | 2026-12-07
"""
TOLD = """
Dentist on 3 December | 2026-12-03 | 2026-12-04
My dentist appointment is on 3 December at 9. | 2026-12-03 | 2026-12-04
Tomorrow I fly to Oslo. | 2026-11-27 | 2026-11-28
Next Tuesday we sign the contract. | 2026-12-01 | 2026-12-02
We leave in two weeks. | 2026-12-10 | 2026-12-11
We went hiking on 3 December. | 2025-12-03 | 2025-12-04
The concert on Friday was great. | 2026-11-20 | 2026-11-21
Concert on Friday! | 2026-11-27 | 2026-11-28
Yesterday was the exam. | 2026-11-25 | 2026-11-26
The workshop is in February. | 2027-02-01 | 2027-03-01
I was in Rome in February. | 2026-02-01 | 2026-03-01
She was born on 3 May 1990. | 1990-05-03 | 1990-05-04
Zahnarzt am 3. Dezember | 2026-12-03 | 2026-12-04
Mañana vuelo a Madrid. | 2026-11-27 | 2026-11-28
Demain je prends le train. | 2026-11-27 | 2026-11-28
Завтра я лечу в Москву. | 2026-11-27 | 2026-11-28
明天我去北京。 | 2026-11-27 | 2026-11-28
"""
NO_TIME = (
    "What is my dog's name?", "May I ask about June, my sister?", "The march of time", "before the trip", "She sat on a sun lounger",
    "30 February 2023", "in 0000", "on the 3rd floor", "I live at 11/20 Fore Street", "a mars bar", "We sat down and I can march",
    "Der Hund heißt Max", "Tengo un perro", "私の犬の名前はハチです", "我的狗叫小白", "اسم کلب من مکس است", "Мою собаку зовут Макс", "",
)  # fmt: skip


def rows(table: str) -> list[tuple[str, ...]]:
    return [tuple(each.strip() for each in line.split("|")) for line in table.strip().splitlines()]


def elsewhere() -> Iterator[tuple[str, str, str, str]]:
    heading = ["", "", ""]
    for line in ELSEWHERE.read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            heading = [each.strip() for each in line[1:].split("|")]
        elif line and not line.startswith("#"):
            yield line, *heading  # type: ignore[misc]


def span(first: str, after: str) -> tuple[int, int]:
    start, end = (datetime.fromisoformat(each).replace(tzinfo=ZONE) for each in (first, after))
    return seconds(start), seconds(end)


@pytest.mark.parametrize(("text", "first", "after"), rows(ASKED))
def test_what_is_asked_names_days_of_whoever_asks(text: str, first: str, after: str) -> None:
    assert named_span(text, AT) == span(first, after)


@pytest.mark.parametrize(("text", "first", "after"), rows(TOLD))
def test_what_is_told_names_the_days_on_which_it_happens(text: str, first: str, after: str) -> None:
    assert told_span(text, AT) == span(first, after)


@pytest.mark.parametrize(("text", "what", "first", "after"), list(elsewhere()))
def test_times_are_named_in_ten_languages(text: str, what: str, first: str, after: str) -> None:
    named = (told_span if what.startswith("told") else named_span)(text, AT)
    assert named == (None if first == "-" else span(first, after))


@pytest.mark.parametrize("text", NO_TIME)
def test_a_text_that_names_no_time_has_none(text: str) -> None:
    assert named_span(text, AT) is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("What did I say an hour ago?", (18.25, 18.75)),
        ("What did I do this morning?", (4, 12)),
        ("Who called this afternoon?", (12, 18)),
        ("Who is coming this evening?", (17, 24)),
        ("What am I doing tonight?", (17, 28)),
        ("Who called last night?", (-6, 6)),
        ("Who called yesterday morning?", (-20, -12)),
        ("What did I do since Monday?", (-72, 19.5)),
        ("What did I do in the last three days?", (-72, 19.5)),
        ("What was the last thing I told you?", (-4.5, 19.5)),
        ("What did I do recently?", (-240, 19.5)),
    ],
)
def test_parts_of_a_day_and_running_times_end_where_they_should(text: str, hours: tuple[float, float]) -> None:
    named = named_span(text, AT)
    midnight = seconds(AT.replace(hour=0, minute=0))
    assert named is not None
    assert [round((each - midnight) / 3600, 1) for each in named] == pytest.approx(hours, abs=0.2)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("What did I do before 2025?", "2024-06-01", "2025-01-02"),
        ("What did I do after March?", "2026-04-02", "2026-03-30"),
        ("What happened before Easter?", "2026-03-01", "2026-06-01"),
        ("What have I done since March?", "2026-03-02", "2026-02-02"),
    ],
)
def test_times_that_are_open_on_one_side(text: str, inside: str, outside: str) -> None:
    named = named_span(text, AT)
    assert named is not None
    for day, within in ((inside, True), (outside, False)):
        moment = seconds(datetime.fromisoformat(day).replace(tzinfo=ZONE))
        assert (named.start <= moment < named.end) is within


def test_what_a_time_is_told_by_is_left_out() -> None:
    assert without_time("Who called the day after 8 May about the car?", AT) == "Who called  about the car?"
    assert without_time("Who called yesterday?", AT) == "Who called yesterday?"


PHRASES = [row[0] for row in rows(ASKED) + rows(TOLD)] + [
    "My birthday is on friday.",
    "last monday",
    "999 years ago",
    "in 999 years",
]


@given(
    st.sampled_from(PHRASES),
    st.text(max_size=20),
    st.datetimes(),
    st.integers(min_value=-1439, max_value=1439),
)
def test_every_moment_with_any_offset_works(phrase: str, text: str, moment: datetime, offset: int) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    for found in (named_span(phrase + text, at), told_span(text + phrase, at)):
        assert found is None or found.start < found.end
        for each in found or ():
            datetime.fromtimestamp(each, UTC)


@pytest.mark.parametrize("at", [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("offset", [-23, 0, 23])
def test_the_first_and_the_last_moment_know_all_phrases(at: datetime, offset: int) -> None:
    at = at.replace(tzinfo=timezone(timedelta(hours=offset)))
    for phrase in PHRASES:
        named_span(phrase, at)
        told_span(phrase, at)


def test_a_text_that_names_no_time_is_put_to_no_rule_and_no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    class Watched(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            looked_at.append("the English rules")
            return super().__iter__()

    language = times_elsewhere._language

    def watched(code: str) -> Any:
        looked_at.append(code)
        return language(code)

    monkeypatch.setattr(times, "RULES", Watched(RULES))
    monkeypatch.setattr(times_elsewhere, "_language", watched)
    for text in (
        "I finally repaired the old radio in the kitchen with a new fuse.",
        "What is my dog's name?",
        "Tengo un perro",
        "Das Brot ist mir verbrannt.",
        "She stood on the bench with a sandwich and told me about her brother's allergies.",
    ):
        told_span(text, AT)
    assert looked_at == []
    told_span("We met yesterday, on a Friday.", AT)
    assert "the English rules" in looked_at
