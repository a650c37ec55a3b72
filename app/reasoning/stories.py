"""The network that answers questions about stories, where the service computes."""

import functools
from collections.abc import Sequence

from app.memories.device import Device
from memory_core import weights
from memory_core.stories import answering
from memory_core.stories.answering import Answer, Answerer


async def answer(device: Device, story: Sequence[str], question: str) -> Answer:
    """What the network that ships answers.

    Raises:
        Unreadable: a sentence, or the question, has words that it never saw.
    """
    return await device.run(_answer, story, question)


def _answer(story: Sequence[str], question: str) -> Answer:
    return _shipped().answer(story, question)


@functools.cache
def _shipped() -> Answerer:
    """Loaded when it is first asked: most services never are."""
    return answering.load(weights.BABI)
