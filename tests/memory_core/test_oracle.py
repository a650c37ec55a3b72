"""The sparse memory equals the dense reference when nothing is truncated: 16 rows, 16 links, 16 candidates."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch

from memory_core.binary_codes import decode_word
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.message_features import MessageFeatures
from memory_core.reading import Reading
from memory_core.state import EpisodicState
from tests.memory_core.factories import dense_links, dense_weighting, follow_up, moved, saying
from tests.memory_core.oracle import Array, DenseMemory

ROWS = 16


@pytest.mark.parametrize(("seed", "sharing"), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 4), (7, 4)])
def test_a_random_life_gives_the_dense_memory(
    small: EpisodicMemory, device: torch.device, seed: int, sharing: int
) -> None:
    memory, capacity = copy.deepcopy(small).to(device), ROWS // sharing
    memory.config = dataclasses.replace(memory.config, sharing=sharing)
    dense, state, choose = DenseMemory(memory, capacity), memory.empty(capacity), random.Random(seed)
    for source in range(1, 45):
        said = saying(seed * 1000 + source, choose.randint(1, 12))
        gate = choose.choice([1.0, 0.3, 0.5, choose.uniform(0.05, 1.0)])
        at = choose.choice([0, 1_000 + 60 * source])
        state, written = memory.write_(state, moved(said, device), source, gate, MessageFeatures(at=at))
        assert dense.write(said, source, gate, at) == written.rows.tolist()
        _assert_states_agree(dense, state)
        if choose.random() < 0.6:
            cue = _a_cue(memory, choose, said)
            start = choose.randint(900, 4_000)
            span = choose.choice([None, (start, start + choose.randint(1, 600))])
            reading, expected = memory.read([state], [moved(cue, device)], spans=[span])[0], dense.read(cue, span)
            _assert_readings_agree(reading, expected.content, expected.forward, expected.backward)
            assert reading.confidence == pytest.approx(expected.confidence, abs=1e-5)
            if choose.random() < 0.7:
                kept = choose.randint(1, 8)
                memory.note_read_(state, reading.rows[:kept], reading.weights[:kept])
                dense.note_read(_dense(reading.rows[:kept], reading.weights[:kept]))
        if choose.random() < 0.2:
            gone = choose.choice([source, choose.randint(1, source)])
            memory.forget_(state, gone)
            dense.forget(gone)
            _assert_states_agree(dense, state)


def _a_cue(memory: EpisodicMemory, choose: random.Random, said: Utterance) -> Utterance:
    seed = choose.randrange(10**6)
    kind = choose.choice(["ask", "ask", "repeat", "after", "before"])
    if kind == "ask":
        return saying(seed, choose.randint(1, 4), distinct=50)
    if kind == "repeat":
        return Utterance(said.facets[:4], said.token_ids[:4])
    return follow_up(memory, seed, backward=kind == "before")


def _dense(slots: torch.Tensor, weights: torch.Tensor) -> Array:
    return dense_weighting(slots, weights, ROWS).double().numpy()


def _assert_states_agree(dense: DenseMemory, state: EpisodicState) -> None:
    assert state.rows == ROWS
    assert int(state.clock) == dense.clock
    for column in ("source", "part", "touched", "said_at"):
        assert getattr(state, column).tolist() == getattr(dense, column), column
    assert [[p for p in row if p >= 0] for row in state.token_ids.tolist()] == dense.token_ids
    held = (state.token_ids >= 0).unsqueeze(-1)
    np.testing.assert_allclose((decode_word(state.words) * held).cpu().numpy(), dense.words, atol=1e-6)
    np.testing.assert_allclose(state.usage.cpu(), dense.usage, atol=1e-6)
    np.testing.assert_allclose(state.strength.cpu(), dense.strength, atol=1e-6)
    np.testing.assert_allclose(dense_links(state), dense.links, atol=1e-6)
    np.testing.assert_allclose(dense_links(state, backward=True), dense.links, atol=1e-6)
    np.testing.assert_allclose(_dense(state.precedence_slots, state.precedence_weights), dense.precedence, atol=1e-6)
    np.testing.assert_allclose(_dense(state.read_slots, state.read_weights), dense.last_read, atol=1e-6)
    token_ids = torch.arange(60)
    assert state.piece_counts[token_ids].tolist() == [dense.piece_count(int(piece)) for piece in token_ids]


def _assert_readings_agree(reading: Reading, content: Array, forward: Array, backward: Array) -> None:
    for part, expected in (("content", content), ("forward", forward), ("backward", backward)):
        np.testing.assert_allclose(_dense(reading.rows, getattr(reading, part)), expected, atol=1e-5, err_msg=part)
    np.testing.assert_allclose(_dense(reading.rows, reading.weights), content + forward + backward, atol=1e-5)
