"""The conversations with labelled evidence, as the training of recall and every benchmark read them.

What may be trained on and what may not is said here and nowhere else: `beam-dev` and `beam-train` are two parts of one
file that share no conversation, and `EVALUATION_ONLY` names the sets that no training may see.
"""

import json
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "shared" / "data"  # beside the project
MOST_CHARACTERS = 32_000  # of one message
UNANSWERABLE = frozenset({"adversarial", "abstention"})  # categories that no turn answers
UPDATES = frozenset({"knowledge_update", "knowledge-update"})  # categories whose later evidence replaces the earlier
WHERE = {
    "locomo-dev": "LoCoMo, https://github.com/snap-research/locomo",
    "longmemeval-pooled-dev": "LongMemEval, https://github.com/xiaowu0162/LongMemEval",
    "realmem": "RealMemBench, https://github.com/AvatarMemory/RealMemBench",
    "qmsum-train": "QMSum, https://github.com/Yale-LILY/QMSum",
    "friendsqa": "FriendsQA, https://github.com/emorynlp/FriendsQA",
    "beam-100k": "BEAM, https://huggingface.co/datasets/Mohammadta/BEAM",
}
BEAM = "beam-100k"
BEAM_KEPT_BACK = frozenset({0, 5, 10})  # by their place in the file, from 0
PARTS: dict[str, tuple[str, Callable[[int], bool]]] = {
    "beam-dev": (BEAM, lambda place: place in BEAM_KEPT_BACK),
    "beam-train": (BEAM, lambda place: place not in BEAM_KEPT_BACK),
}
EVALUATION_ONLY = frozenset({"locomo-dev", "longmemeval-pooled-dev", "beam-dev"})
_TIMES = ("%I:%M %p on %d %B, %Y", "%Y/%m/%d (%a) %H:%M", "%Y-%m-%d (%A)", "%B-%d-%Y")


class MissingData(Exception):
    """A data set that is not there; the message is one line that says what is missing and where it can be had."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said; `spoken` is what Mneme's encoder is given, the speaker's name before the text."""

    id: str
    session: str
    role: str
    speaker: str | None
    at: datetime | None
    text: str

    @property
    def spoken(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text

    @property
    def reply(self) -> bool:
        """Whether an assistant without a name said it."""
        return self.role == "assistant" and self.speaker is None


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the turns that answer it."""

    text: str
    evidence: frozenset[str]
    category: str
    asked_at: datetime | None
    asked_in: str | None = None  # the session in which it was said itself, where it is a turn of the conversation


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, in order, and what is asked about it."""

    id: str
    turns: list[Turn]
    questions: list[Question]


def moment(text: str | None) -> datetime | None:
    """A time as the sets write it, taken as UTC; None where there is none.

    Raises:
        ValueError: written in none of the known ways.
    """
    if text is None:
        return None
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"a time in no known form: {text!r}") from None


def read_conversations(data: Path, name: str, unanswerable: bool = False) -> list[Conversation]:
    """The conversations of a set or of a part of one (see `PARTS`), each with the questions that count.

    Args:
        unanswerable: whether those count too that the conversation does not answer.

    Raises:
        MissingData: the set is not in that folder.
    """
    name, taken = PARTS.get(name, (name, lambda _: True))
    path = data / "recall" / f"{name}.jsonl.xz"
    if not path.is_file():
        origin = WHERE.get(name, "its publisher")
        raise MissingData(f"the data set {path} is missing: it is made from {origin}; --data says where it is")
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [_conversation(json.loads(line), unanswerable) for place, line in enumerate(lines) if taken(place)]


def _conversation(row: Mapping[str, Any], unanswerable: bool) -> Conversation:
    turns = [
        Turn(
            id=turn["id"],
            session=turn["session"],
            role=turn["role"],
            speaker=None if turn["speaker"].lower() in ("user", "assistant") else turn["speaker"],
            at=moment(turn["time"]),
            text=turn["text"][:MOST_CHARACTERS],
        )
        for turn in row["turns"]
        if turn["text"].strip()
    ]
    questions = [
        Question(
            question["question"],
            frozenset(question["evidence"]),
            question["category"],
            moment(question["asked_at"]),
            question.get("asked_in"),
        )
        for question in row["questions"]
        if unanswerable or (question["evidence"] and question["category"] not in UNANSWERABLE)
    ]
    return Conversation(row["id"], turns, questions)
