"""Where the sentences of a text end, in any of its scripts."""

import re

_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？؟])\s*|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without the space around them; none of a blank text."""
    return [sentence.strip() for sentence in _END.split(text) if sentence.strip()]
