"""What is written before a text so that its facets know when it was said and by whom."""

from calendar import month_name
from datetime import datetime


def header(speaker: str | None, at: datetime) -> str:
    """The local day of the moment, in the offset that it has, and the speaker: "8 May 2023, Ann: "."""
    return f"{at.day} {month_name[at.month]} {at.year}, " + (f"{speaker}: " if speaker else "")


def header_words() -> list[str]:
    """The words that days have in headers, of the years in which messages are likely."""
    return [*map(str, range(1, 32)), *month_name[1:], *map(str, range(1970, 2070))]
