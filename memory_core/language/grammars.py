# ruff: noqa: E501  (one entry a line reads better than one a page)
"""What dateparser's words lack for whole sentences, by language, as patterns: cases, weekends, "last" and "next"."""

from typing import NamedTuple


class Grammar(NamedTuple):
    """What a language adds, as patterns.

    Attributes:
        into: what stands before a month that is a time.
        last, next: what stands before or after a weekday, and makes it the one before or the coming one.
        weekend: the word.
        relative: further phrases for a day, week, month or year, by how far ahead it is: "-1 week" is the last.
        numbers: the words from one to ten, several forms of a number with "/" between them.
    """

    into: str
    last: str
    next: str
    weekend: str
    relative: dict[str, str]
    numbers: str


GRAMMARS = {
    "de": Grammar("im|seit|letzten|nächsten", "letzte[nrs]?|vorige[nrs]?|vergangene[nrs]?", "nächste[nrs]?|kommende[nrs]?", "wochenende",
        {"-1 week": "(?:letzte[rn]?|vorige[rn]?|vergangene[rn]?) woche", "1 week": "(?:nächste[rn]?|kommende[rn]?) woche",
         "0 week": "diese[rn]? woche", "-1 month": "(?:letzte[nr]|vorige[nr]) monat", "1 month": "nächsten monat",
         "-1 year": "(?:letzte[ns]|voriges) jahr", "1 year": "nächste[ns] jahr", "0 year": "diese[ms] jahr"},
        "ein/einem/einer/eine zwei drei vier fünf sechs sieben acht neun zehn"),
    "es": Grammar("en|de", "(?:el )?(?:pasado|último)|pasado", "(?:el )?próximo|que viene", "fin de semana",
        {"-1 week": "la semana pasada", "1 week": "la (?:próxima semana|semana que viene)", "-1 month": "el mes pasado",
         "1 month": "el (?:próximo mes|mes que viene)", "-1 year": "el año pasado", "1 year": "el (?:próximo año|año que viene)",
         "-1 day": "anoche", "-2 day": "anteayer"},
        "un/una/uno dos tres cuatro cinco seis siete ocho nueve diez"),
    "fr": Grammar("en|au mois de|au mois d'", "dernier|passé", "prochain", "week-end|weekend",
        {"-1 week": "la semaine (?:dernière|passée)", "1 week": "la semaine prochaine", "-1 month": "le mois (?:dernier|passé)",
         "1 month": "le mois prochain", "-1 year": "l'an(?:née)? (?:dernière?|passée?)", "1 year": "l'an(?:née)? prochaine?",
         "-2 day": "avant-hier", "2 day": "après-demain"},
        "un/une deux trois quatre cinq six sept huit neuf dix"),
    "it": Grammar("in|a|nel|di", "scors[oa]|passat[oa]", "prossim[oa]", "fine settimana|weekend",
        {"-1 week": "(?:la )?(?:settimana scorsa|scorsa settimana)", "1 week": "(?:la )?(?:settimana prossima|prossima settimana)",
         "-1 month": "(?:il )?(?:mese scorso|scorso mese)", "1 month": "(?:il )?(?:mese prossimo|prossimo mese)",
         "-1 year": "(?:l')?anno scorso", "1 year": "(?:l')?anno prossimo", "-2 day": "l'altro ieri|ieri l'altro", "2 day": "dopodomani"},
        "un/una/uno due tre quattro cinque sei sette otto nove dieci"),
    "pt": Grammar("em|de", "passad[oa]", "que vem|próxim[oa]", "fim de semana",
        {"-1 week": "(?:n?a )?semana passada", "1 week": "(?:n?a )?(?:próxima semana|semana que vem)", "-1 month": "(?:n?o )?mês passado",
         "1 month": "(?:n?o )?(?:próximo mês|mês que vem)", "-1 year": "(?:n?o )?ano passado", "1 year": "(?:n?o )?(?:próximo ano|ano que vem)",
         "-2 day": "anteontem", "2 day": "depois de amanhã"},
        "um/uma dois/duas três quatro cinco seis sete oito nove dez"),
    "ru": Grammar("в|во", "(?:в )?прошл(?:ый|ую|ое|ом|ой)", "(?:в )?следующ(?:ий|ую|ее|ем|ей)", "выходн(?:ые|ых)",
        {"-1 week": "на прошлой неделе", "1 week": "на следующей неделе", "-1 month": "в прошлом месяце", "1 month": "в следующем месяце",
         "-1 year": "в прошлом году", "1 year": "в следующем году"},
        "один/одну два/две три четыре пять шесть семь восемь девять десять"),
    "zh": Grammar("在|于|於", "上个?(?=周|星期|礼拜|週)", "下个?(?=周|星期|礼拜|週)", "周末|週末",
        {"-1 week": "上个?(?:周|星期|礼拜)|上週|上個?星期", "1 week": "下个?(?:周|星期|礼拜)|下週|下個?星期", "0 week": "这个?(?:周|星期)|這週",
         "-1 month": "上个?月|上個月", "1 month": "下个?月|下個月", "-1 day": "昨日|昨晚", "2 day": "後天"},
        "一 二/两/兩 三 四 五 六 七 八 九 十"),
    "ja": Grammar("", "先週の?", "来週の?", "週末",
        {"-1 week": "先週", "1 week": "来週", "-1 month": "先月", "1 month": "来月", "-1 year": "去年|昨年", "1 year": "来年",
         "-2 day": "一昨日|おととい", "2 day": "明後日|あさって", "-1 day": "昨日|きのう", "1 day": "明日|あした", "0 day": "今日|きょう"},
        "一 二 三 四 五 六 七 八 九 十"),
    "ar": Grammar("في(?: شهر)?", "الماضي|الماضية", "القادم|القادمة|المقبل|المقبلة", "عطلة نهاية الأسبوع|نهاية الأسبوع",
        {"-1 week": "الأسبوع الماضي", "1 week": "الأسبوع (?:القادم|المقبل)", "-1 month": "الشهر الماضي", "1 month": "الشهر (?:القادم|المقبل)",
         "-1 year": "(?:السنة الماضية|العام الماضي)", "1 year": "(?:السنة (?:القادمة|المقبلة)|العام (?:القادم|المقبل))",
         "1 day": "غدا|غداً|غدًا", "-2 day": "أول أمس|أول من أمس", "2 day": "بعد غد"},
        "واحد اثنين/اثنان ثلاثة/ثلاث أربعة/أربع خمسة/خمس ستة/ست سبعة/سبع ثمانية/ثماني تسعة/تسع عشرة/عشر"),
    "fa": Grammar("در(?: ماه)?|ماه", "گذشته|پیش|قبل", "آینده|بعد", "آخر هفته",
        {"-1 week": "هفته‌?[ٔی]? ?(?:گذشته|پیش|قبل)", "1 week": "هفته‌?[ٔی]? ?(?:آینده|بعد)", "-1 month": "ماه (?:گذشته|پیش|قبل)",
         "1 month": "ماه (?:آینده|بعد)", "-1 year": "سال (?:گذشته|پیش)|پارسال", "1 year": "سال (?:آینده|بعد)", "-2 day": "پریروز", "2 day": "پس‌?فردا"},
        "یک دو سه چهار پنج شش هفت هشت نه ده"),
}  # fmt: skip
MORE_WEEKDAYS = {
    "zh": [f"(?:周|星期|礼拜|週){each}" for each in ("一", "二", "三", "四", "五", "六", "[日天]")],
    "ja": [f"{each}曜日?" for each in "月火水木金土日"],
    "fa": ["دوشنبه", "سه‌? ?شنبه", "چهارشنبه", "پنج‌?شنبه", "جمعه", "شنبه", "یکشنبه"],
    "ru": ["понедельник", "вторник", "сред[уа]", "четверг", "пятниц[уа]", "суббот[уа]", "воскресенье"],
}
MORE_UNITS = {
    "de": {"-day": "vor {n} tagen?", "-week": "vor {n} wochen?", "-month": "vor {n} monat(?:en)?", "-year": "vor {n} jahr(?:en)?"},
    "es": {"-day": "hace {n} días?", "-week": "hace {n} semanas?", "-month": "hace {n} mes(?:es)?", "-year": "hace {n} años?",
           "day": "en {n} días?|dentro de {n} días?", "week": "(?:en|dentro de) {n} semanas?"},
    "fr": {"-day": "il y a {n} jours?", "-week": "il y a {n} semaines?", "-month": "il y a {n} mois", "-year": "il y a {n} ans?",
           "day": "dans {n} jours?", "week": "dans {n} semaines?"},
    "it": {"-day": "{n} giorn[oi] fa", "-week": "{n} settiman[ae] fa", "-month": "{n} mes[ei] fa", "-year": "{n} ann[oi] fa",
           "day": "(?:fra|tra) {n} giorn[oi]", "week": "(?:fra|tra) {n} settiman[ae]"},
    "pt": {"-day": "há {n} dias?|{n} dias? atrás", "-week": "há {n} semanas?|{n} semanas? atrás", "-month": "há {n} m[êe]s(?:es)?",
           "-year": "há {n} anos?", "day": "(?:em|daqui a) {n} dias?", "week": "(?:em|daqui a) {n} semanas?"},
    "ru": {"-day": "{n} (?:день|дня|дней) назад", "-week": "(?:{n} )?(?:неделю|недели|недель) назад", "-month": "(?:{n} )?месяц(?:а|ев)? назад",
           "-year": "(?:{n} )?(?:год|года|лет) назад", "day": "через (?:{n} )?(?:день|дня|дней)", "week": "через (?:{n} )?(?:неделю|недели|недель)"},
    "zh": {"-day": "{n}\\s*天(?:之|以)?前", "-week": "{n}\\s*个?(?:周|星期|礼拜)(?:之|以)?前", "-month": "{n}\\s*个?月(?:之|以)?前", "-year": "{n}\\s*年(?:之|以)?前",
           "day": "{n}\\s*天(?:之|以)?[后後]", "week": "{n}\\s*个?(?:周|星期|礼拜)(?:之|以)?[后後]"},
    "ja": {"-day": "{n}\\s*日前", "-week": "{n}\\s*週間前", "-month": "{n}\\s*[かヶカ]月前", "-year": "{n}\\s*年前", "day": "{n}\\s*日後", "week": "{n}\\s*週間後"},
    "ar": {"-day": "(?:قبل|منذ) {n} (?:أيام|يوم|يوما)", "-week": "(?:قبل|منذ) {n} (?:أسابيع|أسبوع)", "day": "بعد {n} (?:أيام|يوم)", "week": "بعد {n} (?:أسابيع|أسبوع)"},
    "fa": {"-day": "{n} روز (?:پیش|قبل)", "-week": "{n} هفته (?:پیش|قبل)", "-month": "{n} ماه (?:پیش|قبل)", "-year": "{n} سال (?:پیش|قبل)",
           "day": "{n} روز (?:دیگر|بعد)", "week": "{n} هفته (?:دیگر|بعد)"},
}  # fmt: skip
MORE_MONTHS = {
    "ru": (
        "январе",
        "феврале",
        "марте",
        "апреле",
        "мае",
        "июне",
        "июле",
        "августе",
        "сентябре",
        "октябре",
        "ноябре",
        "декабре",
    )
}
