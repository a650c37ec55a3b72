"""The network that ships, asked; and what is said of what it cannot read."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from memory_core import weights
from memory_core.stories import answering
from memory_core.stories.answering import QUESTION, Answerer, StoryWeightsError, Unreadable
from memory_core.stories.picture import draw

STORY = ["Mary went to the garden.", "John went to the office.", "Mary moved to the hallway."]


@pytest.fixture(scope="module")
def shipped() -> Answerer:
    return answering.load(weights.BABI)


def test_what_ships_says_where_somebody_is_and_which_sentence_says_so(shipped: Answerer) -> None:
    found = shipped.answer(STORY, "Where is Mary?")
    assert found.answer == "hallway"
    assert found.probability > 0.9
    assert found.supporting[0].sentence == STORY[2]
    assert shipped.answer(STORY[:2], "Where is Mary?").answer == "garden"
    assert shipped.answer(STORY, "Where is John?").answer == "office"


def test_the_weights_of_the_sentences_are_shares_most_first(shipped: Answerer) -> None:
    supporting = shipped.answer(STORY, "Where is Mary?").supporting
    given = [one.weight for one in supporting]
    assert given == sorted(given, reverse=True)
    assert 0.9 < sum(given) <= 1.001
    assert all(one.sentence == STORY[one.place] for one in supporting)


def test_unknown_words_long_sentences_and_empty_ones_are_named_where_they_stand(shipped: Answerer) -> None:
    with pytest.raises(Unreadable) as error:
        shipped.answer(["Mary ate a pizza.", *STORY, "…", "Mary " + "went " * 20], "Who ate the pizza?")
    assert error.value.where == {
        0: "words that the network never saw: ate, pizza",
        4: "no words",
        5: "21 words; the network reads 11 at most",
        QUESTION: "words that the network never saw: ate, pizza",
    }
    with pytest.raises(Unreadable, match="there is no story to ask about"):
        shipped.answer([], "Where is Mary?")


def test_files_of_something_else_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StoryWeightsError, match="cannot be read"):
        answering.load(tmp_path / "none.safetensors")
    for told in ({}, {"kind": "stories", "schema": "1"}):  # something else, and a network of before
        save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", told)
        with pytest.raises(StoryWeightsError, match="holds no network that reads stories"):
            answering.load(tmp_path / "other.safetensors")


def test_the_picture_of_an_answer_is_a_png(shipped: Answerer, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    question = "Where is Mary?"
    draw(shipped.answer(STORY, question), STORY, question, tmp_path / "read.png")
    assert (tmp_path / "read.png").read_bytes().startswith(b"\x89PNG")
