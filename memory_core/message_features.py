"""How something was said, beside its words: when and by whom, whether it asks, whether it tells numbers or times.

What the learned reading knows of a slot without looking at its facets. English words, and signs; a text in another
language simply has fewer of them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FEATURE_NAMES = (
    "asks", "ends asking", "number", "time", "reply", "first person", "named",
    "only asks", "negative", "about self", "tells change",
)  # fmt: skip
LEARNED = FEATURE_NAMES[7:]  # told by the intents, where there are trained ones; see `memory_core.language.intents`
FEATURES = len(FEATURE_NAMES) + 2  # of a row: its bits, whether it is a further part, how many facets it holds
_TIME = re.compile(
    r"\b(january|february|march|april|may|june|july|august|september|october|november|december|(mon|tues|wednes|thurs"
    r"|fri|satur|sun)day|yesterday|today|tomorrow|weeks?|months?|years?|weekend|ago|last|night|morning)\b",
    re.IGNORECASE,
)
QUESTION_MARKS = ("?", "？", "؟")
EXPRESSLY = ("now", "current", "currently", "latest", "still", "today")
_FIRST_PERSON = re.compile(r"\b(i|me|my|we|our)\b", re.IGNORECASE)


class MessageFeatures(NamedTuple):
    """How an utterance was said.

    Attributes:
        feature_bits: a bit each, in the order of `FEATURE_NAMES`.
        speaker_tokens: the token ids of the speaker's first name.
        at: when it was said, in seconds since 1970; 0 where that is not known.
        header: how many of the utterance's first token ids are the day and the name that stand before the text.
        event: the time that the text tells of, from when to when, in seconds since 1970; both 0 where it names none.
    """

    feature_bits: int = 0
    speaker_tokens: tuple[int, ...] = ()
    at: int = 0
    header: int = 0
    event: tuple[int, int] = (0, 0)


def feature_bits(text: str, speaker: str | None, reply: bool) -> int:
    """The features of a text as bits.

    Args:
        reply: whether an assistant without a name said it.
    """
    there = (
        any(mark in text for mark in QUESTION_MARKS),
        text.rstrip().endswith(QUESTION_MARKS),
        any(character.isdigit() for character in text),
        _TIME.search(text) is not None,
        reply,
        _FIRST_PERSON.search(text) is not None,
        speaker is not None,
    )
    return sum(1 << place for place, has in enumerate(there) if has)


def learned_bits(intents: Mapping[str, float] | None) -> int:
    """The features that the intents tell, as bits; none where nothing was trained to tell."""
    told = intents or {}
    return sum(1 << FEATURE_NAMES.index(name) for name in LEARNED if told.get(name.replace(" ", "_"), 0.0) > 0.5)


def has(feature_bits: Int[Tensor, "*rows"], name: str) -> Bool[Tensor, "*rows"]:
    """Whether each row has the feature of that name."""
    return (feature_bits >> FEATURE_NAMES.index(name)) & 1 > 0


def only_requests(feature_bits: Int[Tensor, "*rows"]) -> Bool[Tensor, "*rows"]:
    """Whether a row only asks the assistant for something: no evidence for its own answer.

    What a speaker with a name asks is asked of other people, whose answers follow.
    """
    return has(feature_bits, "only asks") & ~has(feature_bits, "named") & ~has(feature_bits, "reply")


def features(
    feature_bits: Int[Tensor, " rows"], part: Int[Tensor, " rows"], held: Int[Tensor, " rows"]
) -> Float[Tensor, "rows features"]:
    """What is known of rows beside their facets.

    Args:
        feature_bits: of each row.
        part: which part of its utterance a row is, from 0 on.
        held: how many facets it holds.
    """
    bits = (feature_bits.unsqueeze(1) >> torch.arange(len(FEATURE_NAMES), device=feature_bits.device)) & 1
    return torch.cat([bits.float(), (part > 0).float().unsqueeze(1), torch.log1p(held.float()).unsqueeze(1)], 1)
