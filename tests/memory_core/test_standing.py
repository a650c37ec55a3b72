"""What stands, and what takes the place of what: cases that nobody trained on, and the rules around them."""

from pathlib import Path

import pytest
import torch

from benchmarks import intents as benchmark
from benchmarks.standing import HELD, cases, stood
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.intents import INTENTS
from memory_core.standing import SHARE, standing, weights
from memory_core.training.intent_sentences import SentencesError, read
from memory_core.training.standing_pairs import shipped, statements


def test_what_takes_whose_place_is_told_as_the_document_says(memory: EpisodicMemory, encoder: Encoder) -> None:
    every = cases()[::2]
    lines = [pair for case in every for pair in zip(case, stood(encoder, memory, case, sure=True), strict=True)]
    assert sum(line.stands == found for line, found in lines) / len(lines) >= 0.9


def test_held_sentences_are_told_as_the_document_says(memory: EpisodicMemory, encoder: Encoder) -> None:
    assert memory.intents is not None
    chances, truth = benchmark.measure(encoder, memory.intents, read([HELD])[::2])
    place = INTENTS.index("standing")
    assert benchmark.accuracy(chances[:, place], truth[:, place]) >= 75


def test_a_memory_of_which_nothing_stands_reads_nothing(memory: EpisodicMemory, encoder: Encoder) -> None:
    state = memory.empty(16)
    assert len(standing(memory, state, 8).rows) == 0
    (said,) = encoder.encode(["The shed is green."])
    state, _ = memory.write_(state, said, 1)
    found = standing(memory, state, 8)
    assert len(found.rows) == len(weights(found)) == 0


def test_what_stands_is_the_newest_first_and_shares_the_weighting(memory: EpisodicMemory, encoder: Encoder) -> None:
    state = memory.empty(16)
    for number, said in enumerate(encoder.encode(["Call me Sam.", "I'm allergic to nuts."]), 1):
        state, _ = memory.write_(state, said, number)
    found = standing(memory, state, 8)
    assert state.source[found.rows].tolist() == [2, 1]
    assert float(weights(found).sum()) == pytest.approx(SHARE)
    assert torch.equal(standing(memory, state, 1).rows, found.rows[:1])


def test_the_statements_that_ship_are_about_many_matters() -> None:
    told = shipped(1)
    assert len({one.about for one in told}) >= 100
    nuts = [one.about for one in told if one.text == "I'm allergic to nuts."]
    milk = [one.about for one in told if one.text == "Milk is fine again."]
    assert nuts and milk and nuts != milk


def test_a_bad_file_of_statements_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("[allergy to {food}]\n", encoding="utf-8")
    with pytest.raises(SentencesError, match=r"a\.txt:1"):
        statements([path], 1)
