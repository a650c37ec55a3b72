"""A reading tells whether its text asks for something, and whether only who was told can answer it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.assistant.generator import Generator
from app.assistant.note_check import CALIBRATIONS, Calibration
from app.assistant.prompt import IN_ENGLISH
from app.assistant.runner import Runner
from app.assistant.turn import Answered, Ask, Assistant
from app.memories.memories import Memories
from app.memories.messages import Draft
from app.settings import Settings
from benchmarks.scripted_model import ScriptedModel
from tests.conftest import ON_SQLITE

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


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
async def test_a_reading_tells_what_asks(speaking: Memories, text: str, asks: bool) -> None:
    await speaking.remember("ada", [Draft("user", "My horse is called Star.", "s", START)])
    heard = (await speaking.recall_and_store("ada", Draft("user", text, "s", START), 3, 0)).recalled
    assert heard.of_statement != asks
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


@ON_SQLITE
@pytest.mark.parametrize(
    ("question", "outdated"), [("Where do I live?", {1: 3}), ("Where did I live before I moved?", {})]
)
async def test_a_reading_tells_what_outdates_what_where_it_is_asked_how_things_stand(
    speaking: Memories, question: str, outdated: dict[int, int]
) -> None:
    for text in ("I live in Rome.", "It rained all day.", "I moved from Rome to Bern last weekend."):
        await speaking.remember("ada", [Draft("user", text, "s", START)])
    assert (await speaking.recall("ada", question, 3)).outdated == outdated
    draft = Draft("user", question, "t", START)
    assert (await speaking.recall_and_store("ada", draft, 3, 0)).recalled.outdated == outdated


@ON_SQLITE
@pytest.mark.parametrize(("odds", "untold"), [(-3.0, True), (3.0, False)])
async def test_what_the_notes_do_not_tell_is_said_to_the_model_that_replies(
    speaking: Memories, monkeypatch: pytest.MonkeyPatch, odds: float, untold: bool
) -> None:
    async def says(*_: Any) -> float:
        return odds

    monkeypatch.setitem(CALIBRATIONS, "packaged", Calibration(odds=1.0, known=0.0, bias=0.0))
    monkeypatch.setattr(Generator, "odds", says)
    await speaking.remember("ada", [Draft("user", "My horse is called Star.", "s", START)])
    async with ScriptedModel() as model:
        generator = Generator(model.url, None, "default", 10)
        runner, settings = Runner(generator), Settings(_env_file=None, generator="packaged")
        ask = Ask("ada", "What is my horse called?", "t", START, 4, 64, 0.0)
        events = [event async for event in Assistant(speaking, runner, settings).turn(ask)]
        await generator.aclose()
    assert isinstance(events[-1], Answered)
    assert (IN_ENGLISH.untold in model.prompts[-1][-1]["content"]) == untold
