# ruff: noqa: E501  (one language a line)
"""Whether a text speaks of what was or of what is to come, as far as its verbs tell.

It decides which of two days "3 December" or "on Friday" means. A verb counts for the times beside it in its sentence:
the last one before the time, else the first one after it.
"""

import re

_IRREGULAR = (
    "did|was|were|had|went|said|told|came|saw|met|got|made|took|ate|bought|found|gave|left|lost|paid|ran|read|sold"
    "|spent|thought|wrote|began|broke|brought|built|caught|chose|drank|drove|fell|felt|flew|forgot|grew|heard|held|kept"
    "|knew|learnt|lent|rode|sang|sat|sent|slept|spoke|stood|stole|swam|taught|threw|woke|won|wore|been|gone|done|seen"
    "|ago|passed|remember"
)
# The perfect has two words; with the first alone ("habe ich einen Termin") it is none.
_GERMAN = r"(?:(?:ge|ver|be|er|ent|zer)\w{3,}(?:t|en)|\w{3,}(?<!pass)iert|\w{2,}ge\w{3,}(?:t|en))"
_FRENCH = (
    r"(?:j'ai|ai|as|a|avons|avez|ont)(?:-(?:je|tu|t-il|t-elle|on|nous|vous))?(?: pas| jamais| déjà| tout)?"
    r" (?!un |une )\w*(?:é|ée|és|ées|i|is|it|ait|u|us|ue|ert|eint)"
)
_ITALIAN = r"(?:ho|hai|ha|abbiamo|avete|hanno)(?: già| mai| non)? \w*(?:[aiu]t[oaie]|tt[oaie]|st[oaie]|s[oaie]|rt[oaie]|nt[oaie]|lt[oaie])"
_MARKS = {
    "en": (
        rf"(?:{_IRREGULAR}|didn'?t|wasn'?t|weren'?t|[a-z]{{2,}}(?<!e)ed)",
        r"(?:(?:is|are|am)(?: \w+){0,2} [a-z]{2,}ed|(?:do|does|have|has|got)(?: \w+){0,4} (?:planned|scheduled|booked|arranged)|will|shall|going|is|are|am|does|do|has|have|must|should|can|coming|upcoming|due|i'm|we're|it's|what's"
        r"|when's|\w+'ll|won't|don't|doesn't|isn't)",
    ),
    "de": (rf"(?:war|waren|hatte|hatten|ging|gingen|wurde|wurden|kam|kamen|{_GERMAN})",
           rf"(?:ist|sind|wird|werden|werde|steht|muss|will|kommt|gehe|(?:habe|hat|haben|hast)(?!.*(?<!\w){_GERMAN}(?!\w)))"),
    "es": (r"(?:fue|fui|era|estaba|hice|hizo|hicimos|había|dije|compré|comí|\w{2,}(?:é|ó|aste|iste|amos|imos|aron|ieron))",
           r"(?:es|hay|tengo|tiene|será|va|voy|vamos|\w{2,}(?:aré|eré|iré|ará|erá|irá))"),
    "fr": (rf"(?:était|étais|étaient|avais|avait|suis allée?|fut|{_FRENCH})", r"(?:est|sont|ira|vais|va|allons|sera|aurai|j'ai|ai|a|as)"),
    "it": (rf"(?:era|ero|sono andat[oa]|fu|aveva|avevo|{_ITALIAN})", r"(?:è|c'è|sarà|devo|vado|avrò|parto|ho|hai|ha|abbiamo)"),
    "pt": (r"(?:foi|fui|era|estava|fiz|fez|fizemos|disse|tinha|\w{2,}(?:ei|ou|aram|emos))", r"(?:é|há|tenho|tem|será|vai|vou|vamos)"),
    "ru": (r"(?:был|была|было|были|\w{2,}(?:л|ла|ло|ли|лся|лась))", r"(?:будет|буду|будем|есть|у меня|иду|еду)"),
    "zh": (r"[了过過]", r"[会會要将將]|有什么|有什麼"),
    "ja": (r"(?:た[。？?か、]?$|ました|でした|だった)", r"(?:です|ます|予定|つもり)"),
    "ar": (r"(?:كان|كانت|كنت|فعلت|\w+ت)", r"(?:س\w+|لدي|يوجد)"),
    "fa": (r"(?:بود|کردم|رفتم|کرد|رفت|شد|داشتم)", r"(?:است|دارم|هست|خواهم|می\S+)"),
}  # fmt: skip
_UNSPACED = ("zh", "ja")
_VERB_LAST = ("de", "zh", "ja", "fa")
_MARK = {
    language: re.compile(
        rf"(?P<past>{past})|(?P<future>{future})"
        if language in _UNSPACED
        else rf"(?<!\w)(?:(?P<past>{past})|(?P<future>{future}))(?!\w)"
    )
    for language, (past, future) in _MARKS.items()
}
_SENTENCE = re.compile(r"[.!?;\n。！？؟](?=\s|$)|\Z")
_TOLD = re.compile(r"\bdid\b")  # "did I have": the second verb has no tense of its own


def tense(text: str, start: int, end: int, language: str = "en") -> str | None:
    """'past', 'future' or None, for a time that stands from `start` to `end` of a text in lower case."""
    begins = max((found.end() for found in _SENTENCE.finditer(text, 0, start) if found[0]), default=0)
    stops = _SENTENCE.search(text, end)
    before, after = text[begins:start], text[end : stops.start() if stops else len(text)]
    if language == "en" and (_TOLD.search(before) or _TOLD.search(after)):
        return "past"
    mark = _MARK[language]
    earlier = list(mark.finditer(before))
    verb = earlier[-1] if earlier else None
    if verb is None or language in _VERB_LAST:
        verb = mark.search(after) or verb
    return verb and verb.lastgroup
