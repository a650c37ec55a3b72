"""What is written before a text so that its facets know when it was said and by whom."""

from calendar import month_name
from datetime import datetime


def header(speaker: str | None, at: datetime) -> str:
    """The local day of the moment, in the offset that it has, and the speaker: "8 May 2023, Ann: "."""
    return f"{at.day} {month_name[at.month]} {at.year}, " + (f"{speaker}: " if speaker else "")
