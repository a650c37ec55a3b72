"""Questions about a story that the request brings: nothing is remembered, and no language model is asked."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from app.api.auth import ActingCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.api.schemas import Request
from app.reasoning import stories
from memory_core.stories.answering import QUESTION, Unreadable

MOST_SENTENCES = 256

router = APIRouter(prefix="/v1", tags=["stories"], responses=RESPONSES)
Sentence = Annotated[str, Field(min_length=1, max_length=200)]


class StoryQuestion(Request):
    """A story in its order, and what is asked after it."""

    story: list[Sentence] = Field(
        min_length=1, max_length=MOST_SENTENCES, examples=[["John took the football.", "John went to the garden."]]
    )
    question: Sentence = Field(examples=["Where is the football?"])


class Support(BaseModel):
    """A sentence that the answer was read from; the weights of all sentences sum to 1."""

    sentence: str
    weight: float


class StoryAnswer(BaseModel):
    """An answer, how probable the network holds it, and what it read, most first."""

    answer: str = Field(description="one word or several, separated by commas")
    probability: float
    supporting: list[Support]


@router.post("/answer")
async def answer(acting: ActingCaller, body: StoryQuestion, memories: MemoriesDep) -> StoryAnswer:
    """Answers a question about a short story by the network that learned the bAbI tasks.

    It knows the 145 words of those tasks; others are told in a 422.
    """
    try:
        found = await stories.answer(memories.device, body.story, body.question)
    except Unreadable as error:
        raise RequestValidationError(
            [
                {
                    "type": "value_error",
                    "loc": ("body", "question") if number == QUESTION else ("body", "story", number),
                    "msg": why,
                }
                for number, why in error.where.items()
            ]
        ) from None
    supporting = [Support(sentence=one.sentence, weight=one.weight) for one in found.supporting]
    return StoryAnswer(answer=found.answer, probability=round(found.probability, 4), supporting=supporting)
