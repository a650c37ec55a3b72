"""How something was said, beside its words: when and by whom, whether it asks, whether it tells numbers or times.

What the learned reading knows of a slot without looking at its facets. English words and signs; a text in another
language simply has fewer traits.
"""

import re
from collections.abc import Set
from datetime import UTC, datetime
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

FEATURE_NAMES = ("asks", "ends asking", "number", "time", "reply", "first person", "named")
FEATURES = len(FEATURE_NAMES) + 2  # of a row: its traits, whether it is a further part, how many facets it holds
_TIME = re.compile(
    r"\b(january|february|march|april|may|june|july|august|september|october|november|december|(mon|tues|wednes|thurs"
    r"|fri|satur|sun)day|yesterday|today|tomorrow|weeks?|months?|years?|weekend|ago|last|night|morning)\b",
    re.IGNORECASE,
)
COUNTING = ("many", "much", "long", "often", "old")
ASKING = ("what", "which", "who", "where", "when", *COUNTING)
PRESENT = ("is", "am", "do", "does", "have", "has", "will", "should", "can", "s", "m", "ve")
LISTING = ("are", "re")  # the present of several things, of which a later telling makes none outdated
PAST = (
    "did", "was", "were", "had", "ago", "passed", "between", "before", "earlier",
    "initially", "originally", "previously",
)  # fmt: skip
EXPRESSLY = ("now", "current", "currently", "latest", "still", "today")
_FIRST_PERSON = re.compile(r"\b(i|me|my|we|our)\b", re.IGNORECASE)


class MessageFeatures(NamedTuple):
    """How an utterance was said.

    Attributes:
        feature_bits: a bit each, in the order of `FEATURE_NAMES`.
        speaker_tokens: the token ids of the speaker's first name.
        at: when it was said, in seconds since 1970; 0 where that is not known.
    """

    feature_bits: int = 0
    speaker_tokens: tuple[int, ...] = ()
    at: int = 0


class Tenses(NamedTuple):
    """The word pieces of `ASKING`, `COUNTING`, `PRESENT`, `LISTING`, `PAST` and `EXPRESSLY`."""

    asking: Set[int]
    counting: Set[int]
    present: Set[int]
    listing: Set[int]
    past: Set[int]
    expressly: Set[int]

    def is_current_state_query(self, said: Set[int], named: bool) -> bool:
        """Whether a cue asks how something stands now: "What is my …", not "When did I …" nor "What are …".

        Args:
            said: the cue's word pieces.
            named: whether it names a speaker. Where people talk with each other a later remark that fits is as a rule
                more of the same talk and makes nothing outdated; then it must ask expressly ("Where is Ann now?").
        """
        counted = bool(said & self.counting) and bool(said & self.listing)
        present = bool(said & self.asking) and (counted or bool(said & self.present)) and not said & self.past
        return present and (not named or bool(said & self.expressly))


def header(speaker: str | None, at: datetime) -> str:
    """What is written before a text so that its facets know when it was said and by whom: "8 May 2023, Ann: "."""
    day = at.astimezone(UTC)
    return f"{day.day} {day:%B %Y}, " + (f"{speaker}: " if speaker else "")


def feature_bits(text: str, speaker: str | None, reply: bool) -> int:
    """The traits of a text as bits.

    Args:
        reply: whether an assistant without a name said it.
    """
    there = (
        "?" in text,
        text.rstrip().endswith("?"),
        any(character.isdigit() for character in text),
        _TIME.search(text) is not None,
        reply,
        _FIRST_PERSON.search(text) is not None,
        speaker is not None,
    )
    return sum(1 << place for place, has in enumerate(there) if has)


def features(
    feature_bits: Int[Tensor, " rows"], part: Int[Tensor, " rows"], held: Int[Tensor, " rows"]
) -> Float[Tensor, "rows features"]:
    """What is known of rows beside their facets.

    Args:
        traits: as bits.
        part: which part of its utterance a row is, from 0 on.
        held: how many facets it holds.
    """
    bits = (feature_bits.unsqueeze(1) >> torch.arange(len(FEATURE_NAMES), device=feature_bits.device)) & 1
    return torch.cat([bits.float(), (part > 0).float().unsqueeze(1), torch.log1p(held.float()).unsqueeze(1)], 1)
