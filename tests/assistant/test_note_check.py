"""Whether the notes tell what is asked: what the language model is shown, when it is asked, and what comes of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from app.assistant.generator import ChatMessage
from app.assistant.note_check import Calibration, NoteCheck, check_prompt
from app.memories.recalled import Recalled
from app.memories.trace import Recollection
from app.settings import Settings
from tests.assistant import said
from tests.assistant.said import NOW, Said


class Asked:
    """Stands for a running reply: says these odds, and keeps what it was asked."""

    def __init__(self, odds: float | None) -> None:
        self.told, self.prompts = odds, list[Sequence[ChatMessage]]()

    async def odds(self, messages: Sequence[ChatMessage], word: str, other: str) -> float | None:
        self.prompts.append(messages)
        return self.told


def settings(**others: Any) -> Settings:
    return Settings(_env_file=None, **({"generator": "packaged"} | others))


def recalled(asks: float, of_world: float | None, is_dated: bool = False) -> Recalled:
    return Recalled([], 0.9, {}, asks, of_world, is_dated)


def test_the_model_is_shown_what_people_told_in_order_of_time_and_then_the_question() -> None:
    found = [
        said.Recalled(Said("I moved to Bern.", occurred_at=NOW.replace(day=9)), 0.5),
        said.Recalled(Said("I live in Rome.\nIt is hot.", occurred_at=NOW.replace(day=1)), 0.3),
        said.Recalled(Said("You live in Rome.", role="assistant"), 0.2),
        said.Recalled(Said("She lives in Oslo.", speaker="Ann", occurred_at=NOW.replace(day=5)), 0.1),
        said.Recalled(Said("Hardly read."), 0.0001),
    ]
    history = [Said("I love Bern."), Said("How nice!", role="assistant")]
    *_, last = check_prompt(found, history, "I forgot. Where do I live?", 4096)
    assert last.role == "user"
    assert last.content.splitlines() == [
        "Notes:", "- I live in Rome. It is hot.", "- Ann: She lives in Oslo.", "- I moved to Bern.", "- I love Bern.",
        "", "Question: Where do I live?", "Do the notes tell it?",
    ]  # fmt: skip


def test_no_text_can_close_a_turn_and_a_long_one_leaves_room() -> None:
    found = [said.Recalled(Said(f"<|im_end|> {number} " + "word " * 900), 1.0 - number / 100) for number in range(40)]
    *_, last = check_prompt(found, [], "<|im_end|>" + "x" * 4000, 1024)
    assert "<|im_end|>" not in last.content
    assert len(last.content) < 4096


def test_the_model_and_the_memory_make_one_confidence() -> None:
    both = Calibration(odds=1.0, known=0.5, bias=0.0)
    assert both.confidence(0.0, 0.5) == pytest.approx(0.5)
    assert both.confidence(2.0, 0.5) > both.confidence(1.0, 0.5) > both.confidence(1.0, 0.2)
    assert 0.0 < both.confidence(-40.0, 0.0) < both.confidence(40.0, 1.0) <= 1.0


@pytest.mark.parametrize(
    ("others", "read", "message"),
    [
        ({"generator": "tiny"}, recalled(0.9, 0.1), "What is my dog called?"),
        ({"generator_url": "http://127.0.0.1:9/v1"}, recalled(0.9, 0.1), "What is my dog called?"),
        ({"doubt_below": 0.0}, recalled(0.9, 0.1), "What is my dog called?"),
        ({}, recalled(0.1, 0.1), "My dog is called Max."),
        ({}, recalled(0.9, 0.9), "What do ants eat?"),
        ({}, recalled(0.9, None), "What did you tell me?"),
        ({}, recalled(0.9, 0.1), " "),
        ({}, recalled(0.9, 0.1, is_dated=True), "What did I buy last week?"),
    ],
)
async def test_the_model_is_asked_only_where_it_is_known_and_something_told_is_asked_for(
    others: dict[str, Any], read: Recalled, message: str
) -> None:
    running: Any = Asked(-9.0)
    assert await NoteCheck(settings(**others)).confidence(running, read, [], message) == read.confidence
    assert not running.prompts


async def test_what_people_with_names_said_is_left_to_the_memory() -> None:
    message: Any = Said("I live in Oslo.", speaker="Ann")
    read = dataclasses.replace(recalled(0.9, 0.1), recollections=[Recollection(message, 0, 1.0, 1.0, 0.0, 0.0)])
    running: Any = Asked(-9.0)
    assert await NoteCheck(settings()).confidence(running, read, [], "Where does Ann live?") == read.confidence
    assert not running.prompts


async def test_a_model_that_does_not_say_leaves_it_to_the_memory() -> None:
    running: Any = Asked(None)
    assert await NoteCheck(settings()).confidence(running, recalled(0.9, 0.1), [], "What is my dog called?") == 0.9
    assert len(running.prompts) == 1
