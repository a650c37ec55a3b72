"""Whether the notes tell what the user asks, as the language model sees it before it replies.

The memory knows how like its slots are to a question, so it is as sure of a dog's name where the cat's is asked for. A
language model that reads both can tell. It is asked in a prompt of its own, with worked examples, for one word; how
likely it says yes, and what the memory knows, are one confidence together (docs/decisions/0006).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from app.assistant.generator import ChatMessage, Generator
from app.assistant.prompt import Recollection, Said, on_one_line, told_texts
from app.assistant.runner import Running
from app.memories.query import last_question
from app.memories.recalled import Recalled
from app.settings import Settings

YES: Final = "yes"
NO: Final = "no"
SYSTEM: Final = (
    "You check notes. Say whether the notes tell the answer to the question, about exactly the one it asks about. "
    "Answer with yes or no."
)
_LEAST: Final = 1e-3  # of a confidence, so that its log odds are finite
_ROOM: Final = 0.4  # of the context, that the notes may take
_LONGEST_QUESTION: Final = 300  # characters of a message, its last


class Calibration(NamedTuple):
    """What turns a model's log odds of yes, and those of the memory's confidence, into one: a logistic regression."""

    odds: float
    known: float
    bias: float

    def confidence(self, odds: float, known: float) -> float:
        """The probability that the notes tell what is asked.

        Args:
            odds: the language model's log odds of yes.
            known: the memory's confidence.
        """
        known = min(max(known, _LEAST), 1.0 - _LEAST)
        total = self.odds * odds + self.known * math.log(known / (1.0 - known)) + self.bias
        return 1.0 / (1.0 + math.exp(-total))


CALIBRATIONS: Final = {"packaged": Calibration(odds=1.56, known=0.31, bias=0.33)}


def check_prompt(
    recalled: Sequence[Recollection], history: Sequence[Said], message: str, context: int
) -> list[ChatMessage]:
    """Builds the messages that ask whether what was recalled, and the session's latest, tell what a message asks."""
    question = on_one_line(last_question(message))[-_LONGEST_QUESTION:]
    notes = told_texts(recalled, history, _ROOM * context)
    return [ChatMessage("system", SYSTEM), *_EXAMPLES, ChatMessage("user", _asked(notes, question))]


class NoteCheck:
    """Asks the language model, where that is of use, and turns what it says into a confidence.

    Args:
        settings: of the service; a language model that `CALIBRATIONS` does not know is not asked.
    """

    def __init__(self, settings: Settings) -> None:
        is_asked = settings.generator_url is None and settings.doubt_below > 0
        self._calibration = CALIBRATIONS.get(settings.generator) if is_asked else None
        self._context = settings.generator_context

    async def prepare(self, generator: Generator) -> None:
        """Has the language model compute what its prompt begins with.

        Raises:
            GeneratorError: it failed.
        """
        if self._calibration is not None:
            await generator.odds([dataclasses.asdict(one) for one in check_prompt([], [], "", self._context)], YES, NO)

    async def confidence(
        self, running: Running[Any], recalled: Recalled, history: Sequence[Said], message: str
    ) -> float:
        """How sure it is that what was recalled, or said in the session, tells what a message asks.

        The memory's own confidence where only that is known: the message asks for nothing that must have been told, or
        names a time, which notes without their days cannot be held against; what was recalled was said by people with
        names, whom the language model mixes up; or it does not say.
        """
        is_of_use = recalled.of_world is False and not recalled.is_dated and message.strip()
        named = any(one.speaker for one in recalled.recollections)
        if self._calibration is None or named or not is_of_use:
            return recalled.confidence
        prompt = check_prompt(recalled.recollections, history, message, self._context)
        odds = await running.odds(prompt, YES, NO)
        return recalled.confidence if odds is None else self._calibration.confidence(odds, recalled.confidence)


def _asked(notes: Sequence[str], question: str) -> str:
    return "\n".join(["Notes:", *(f"- {note}" for note in notes), "", f"Question: {question}", "Do the notes tell it?"])


def _example(notes: Sequence[str], question: str, answer: str) -> list[ChatMessage]:
    return [ChatMessage("user", _asked(notes, question)), ChatMessage("assistant", answer)]


_EXAMPLES: Final = [
    *_example(["My horse is called Star."], "What's my horse called?", YES),
    *_example(["My horse is called Star."], "What's my goldfish called?", NO),
    *_example(["The gym costs 30 euros a month."], "What do I pay for the gym in a year?", YES),
    *_example(["The train was full.", "My colleague Uma has a new bike."], "What was her name again?", YES),
    *_example(["I bought the coat in Vienna.", "The coat is warm."], "What did my coat cost?", NO),
    *_example(["I love Kenya.", "Ann is a nurse at the children's hospital."], "What does Ann do for work?", YES),
    *_example(["We went to Kenya in May.", "My uncle's phone number is 0182."], "What is my aunt's phone number?", NO),
    *_example(["My name is Kim.", "I love Kenya."], "What do you know about me?", YES),
    *_example(["Our boys are Tim, who is nine, and Rolf, who is two.", "I love Kenya."], "How old is Rolf?", YES),
    *_example(["I sold the Volvo and bought a Honda."], "Which car do I have?", YES),
]
