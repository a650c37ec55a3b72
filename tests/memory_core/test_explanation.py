"""An explanation is of the reading itself, and tells what each of its parts did."""

from datetime import UTC, datetime

import pytest
import torch

from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.explanation import explain, match
from memory_core.language.header import header
from memory_core.state import EpisodicState

SAID = [
    ("Ann", 3, "I live in Lisbon, in a flat over the river."),
    ("Ann", 4, "We bought a kettle and two chairs."),
    ("Ben", 5, "I live in Oslo, near the harbour."),
    ("Ann", 9, "I live in Porto now, next to the market."),
    ("Ben", 12, "My bicycle was stolen on the way home."),
]


@pytest.fixture(scope="module")
def told(memory: EpisodicMemory, encoder: Encoder) -> EpisodicState:
    state = memory.empty(64)
    for source, (speaker, day, text) in enumerate(SAID, 1):
        at = datetime(2025, 5, day, 12, tzinfo=UTC)
        utterance = encoder.encode([header(speaker, at) + text])[0]
        features = memory.message_features(text, speaker, at=at)
        state, _ = memory.write_(state, utterance, source, 1.0, features)
    return state


def test_what_is_explained_is_the_reading_that_the_memory_gives(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    cue = encoder.encode(["Where does Ann live now?"])[0]
    why, reading = explain(memory, told, [cue]), memory.read([told], [cue])[0]
    assert why.reading.rows.tolist() == reading.rows.tolist()
    torch.testing.assert_close(why.reading.weights, reading.weights)
    assert why.reading.confidence == reading.confidence
    assert why.candidates == len(SAID)
    assert float(why.terms.shares.sum()) == pytest.approx(1.0)


def test_without_renewal_the_later_home_would_not_come_before_the_earlier(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    why = explain(memory, told, encoder.encode(["Where does Ann live now?"]))
    assert why.current_state
    assert {"content", "reranked", "speaker", "recency"} == set(why.orders)
    assert why.orders["reranked"].index(4) < why.orders["reranked"].index(1)
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in why.orders.values())


def test_without_the_name_the_other_speaker_s_home_stands_higher(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    orders = explain(memory, told, encoder.encode(["Where does Ben live?"])).orders
    assert orders["reranked"].index(3) <= orders["speaker"].index(3)
    assert orders["reranked"] != orders["speaker"]


def test_a_time_window_is_told_by_what_would_be_without_it(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    cue = encoder.encode(["Where did I live?"])[0]
    span = (int(datetime(2025, 5, 3, tzinfo=UTC).timestamp()), int(datetime(2025, 5, 4, tzinfo=UTC).timestamp()))
    with_time = explain(memory, told, [cue], span=span).orders
    assert with_time["time"] == explain(memory, told, [cue]).orders["reranked"]
    assert with_time["reranked"].index(1) <= with_time["time"].index(1)
    assert "time" not in explain(memory, told, [cue]).orders


def test_a_word_that_stands_in_both_matches_itself_best(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    why = explain(memory, told, encoder.encode(["Who has a bicycle?"]))
    found = match(told, why.terms, 4)
    cue, row = encoder.names(why.terms.token_ids), encoder.names(found.token_ids)
    assert found.cosines.shape == (len(row), len(cue))
    assert row[int(found.cosines[:, cue.index("bicycle")].argmax())] == "bicycle"


def test_an_empty_memory_is_explained_too(memory: EpisodicMemory, encoder: Encoder) -> None:
    why = explain(memory, memory.empty(64), encoder.encode(["Where does Ann live now?"]))
    assert why.orders["reranked"] == []
    assert why.candidates == 0
