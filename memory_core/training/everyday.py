"""Conversations of one user with an assistant, made from sentences that ship: what recall learns everyday use from.

A user tells facts among chatter, asks for the same thing again and again, has a brother beside the sister, tells of
others what holds of them alone, and changes what was so. The other sets have none of that: people who talk with each
other hardly ever ask twice.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from memory_core.training.conversations import Conversation, Question, Turn

EVERYDAY = "everyday"
_FOLDER = Path(__file__).with_name(EVERYDAY)
_CONVERSATIONS = 24
_FACTS, _SIBLINGS, _CONTRASTS, _UPDATES, _CHATTER, _ASKING = 16, 3, 8, 8, 45, 5  # of each in a conversation
_ASKED_AGAIN = 0.6  # of the facts, those asked for in the conversation itself
_ACKNOWLEDGED = ("I see.", "Noted.", "That sounds good.", "Oh dear.", "Thanks for telling me.", "Nice!")
_UNKNOWN = "I don't remember you telling me that."


def conversations(seed: int) -> list[Conversation]:
    """The conversations, the same ones for the same seed."""
    chosen = random.Random(f"{seed} {EVERYDAY}")
    return [_conversation(f"{EVERYDAY}-{number}", chosen) for number in range(_CONVERSATIONS)]


class _Log:
    """A conversation as it grows: turns in the order in which they are said, some minutes or hours apart."""

    def __init__(self, chosen: random.Random) -> None:
        self.turns: list[Turn] = []
        self._chosen = chosen
        self._at = datetime(2024, 1, 8, 8, tzinfo=UTC) + timedelta(days=chosen.randrange(400))

    def say(self, role: str, text: str) -> str:
        self._at += timedelta(minutes=self._chosen.choice((1, 3, 40, 300, 900)))
        number = str(len(self.turns) + 1)
        self.turns.append(Turn(number, f"{self._at:%Y-%m-%d}", role, None, self._at, text))
        return number


def _conversation(name: str, chosen: random.Random) -> Conversation:
    log = _Log(chosen)
    questions: list[Question] = []
    steps: list[tuple[float, str, tuple[str, ...]]] = []  # place in the conversation, what it is, its texts

    def add(kind: str, *texts: str, after: float = 0.0) -> float:
        place = chosen.uniform(after, 1.0)
        steps.append((place, kind, texts))
        return place

    for fact, *asked in chosen.sample(list(lines("facts")), _FACTS):
        told = add("fact", fact, *asked)
        for again in range(chosen.choice((1, 2, 3)) if chosen.random() < _ASKED_AGAIN else 0):
            add("again", asked[again % len(asked)], fact, after=told)
    for form, question, whose, things in chosen.sample(list(lines("siblings")), _SIBLINGS):
        both = list(zip(whose.split(" ; "), things.split(" ; "), strict=True))
        chosen.shuffle(both)
        for of, thing in both:
            add("fact", form.replace("{of}", of).replace("{is}", thing), question.replace("{of}", _in_question(of)))
    for fact, other, question in chosen.sample(list(lines("contrasts")), _CONTRASTS):
        told = add("fact", fact, question)
        add("chatter", other, after=told if chosen.random() < 0.7 else 0.0)
    for before, now, question in chosen.sample(list(lines("updates")), _UPDATES):
        add("update", before, now, question, after=add("before", before))
    for text in chosen.sample([line for (line,) in lines("chatter")], _CHATTER):
        add("chatter", text)
    for question, reply in chosen.sample(list(lines("asking")), _ASKING):
        add("asking", question, reply)
    told_in: dict[str, str] = {}
    for _, kind, texts in sorted(steps):
        match kind:
            case "fact" | "before" | "chatter":
                told_in[texts[0]] = log.say("user", texts[0])
                questions += [Question(one, frozenset({told_in[texts[0]]}), kind, None) for one in texts[1:]]
                if chosen.random() < 0.5:
                    log.say("assistant", chosen.choice(_ACKNOWLEDGED))
            case "update":
                before, now, question = texts
                told_in[now] = log.say("user", now)
                questions.append(
                    Question(question, frozenset({told_in[before], told_in[now]}), "knowledge-update", None)
                )
            case "again":
                log.say("user", texts[0])
                log.say("assistant", chosen.choice((f"You told me: {texts[1]}", _UNKNOWN)))
            case "asking":
                log.say("user", texts[0])
                log.say("assistant", texts[1])
    return Conversation(name, log.turns, questions)


def _in_question(of: str) -> str:
    return of[0].lower() + of[1:]


def lines(name: str) -> Iterator[tuple[str, ...]]:
    """The lines of a file of sentences, cut at their bars: facts, siblings, contrasts, updates, chatter or asking."""
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield tuple(part.strip() for part in line.split(" | "))
