"""A reading tells whether its text asks for something, and whether the memory doubts that it holds anything of it."""

from datetime import UTC, datetime

import pytest

from app.memories.memories import Memories
from app.memories.messages import Draft
from tests.conftest import ON_SQLITE

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SURE = 1.01


@ON_SQLITE
@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("What is my goldfish called?", True),
        ("Remember our talk about my journey to Peru?", True),
        ("Tell me which car I drive.", True),
        ("I'm pregnant!", False),
        ("Thanks, bye!", False),
        ("My parrot is called Coco.", False),
    ],
)
async def test_a_reading_tells_what_asks_and_what_is_doubtful(speaking: Memories, text: str, asks: bool) -> None:
    await speaking.remember("ada", [Draft("user", "My horse is called Star.", "s", START)])
    heard = (await speaking.recall_and_store("ada", Draft("user", text, "s", START), 3, 0)).recalled
    assert heard.of_statement != asks
    assert heard.doubtful(SURE) and not heard.doubtful(0.0)
    assert (await speaking.recall("ada", text, 3)).of_statement != asks


@ON_SQLITE
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("What is my goldfish called?", True),
        ("When did Olga leave the choir?", True),
        ("Wie heißt meine Katze?", True),
        ("What were we talking about?", False),
        ("What is the capital of Peru?", False),
        ("What could I bring to the picnic?", False),
        ("Are you a robot?", False),
        ("Wie viele Beine hat eine Ameise?", False),
        ("My parrot is called Coco.", False),
    ],
)
async def test_a_reading_tells_what_only_who_was_told_can_answer(speaking: Memories, text: str, told: bool) -> None:
    await speaking.remember("ada", [Draft("user", "My horse is called Star.", "s", START)])
    assert ((await speaking.recall("ada", text, 3)).of_world is False) == told
