"""The learned write gate: it learns which messages are asked for, and what it deems worthless goes first."""

import copy
import math

import pytest
import torch

from memory_core.episodic import EpisodicMemory
from memory_core.message_features import FEATURE_NAMES, FEATURES, MessageFeatures, features
from memory_core.training.calibration import fit_write_gate
from memory_core.write_gate import WriteGate
from tests.memory_core.factories import saying

FIRST_PERSON = FEATURE_NAMES.index("first person")


def test_features_are_a_rows_traits_whether_it_goes_on_and_how_much_it_holds() -> None:
    told = features(torch.tensor([0b0000101, 0]), torch.tensor([0, 2]), torch.tensor([0, 9]))
    assert told.shape == (2, FEATURES)
    assert told[0].tolist() == [1, 0, 1] + [0] * (FEATURES - 3)
    assert told[1].tolist() == pytest.approx([0] * (FEATURES - 2) + [1, math.log(10)])


@pytest.fixture(scope="module")
def gate() -> WriteGate:
    """One for which what is told in the first person, and at length, is asked for."""
    torch.manual_seed(1)
    drawn = torch.Generator().manual_seed(1)
    sets = []
    for rows, often in ((400, 0.5), (40, 0.1)):  # of uneven size, and with uneven shares of what is asked for
        feature_bits = torch.randint(0, 2 ** len(FEATURE_NAMES), (rows,), generator=drawn)
        held = torch.randint(1, 30, (rows,), generator=drawn)
        told = features(feature_bits, torch.zeros_like(held), held)
        sets.append((told, ((told[:, FIRST_PERSON] > 0) & (held > 30 * (1 - often))).float()))
    return fit_write_gate(sets).requires_grad_(False)


def test_it_learns_what_is_asked_for(gate: WriteGate) -> None:
    feature_bits = torch.tensor([1 << FIRST_PERSON, 1 << FIRST_PERSON, 0, 0])
    strong, *others = gate(
        features(feature_bits, torch.zeros_like(feature_bits), torch.tensor([29, 2, 29, 2]))
    ).tolist()
    assert strong > 0.7 and max(others) < 0.3


def test_a_row_is_as_strong_and_as_used_as_it_says(small: EpisodicMemory, gate: WriteGate) -> None:
    memory = copy.deepcopy(small)
    memory.write_gate = gate
    state, written = memory.write(
        memory.empty(64), saying(1, 6), 1, 1.0, MessageFeatures(feature_bits=1 << FIRST_PERSON)
    )
    expected = gate(features(torch.tensor([1 << FIRST_PERSON] * 2), torch.tensor([0, 1]), torch.tensor([4, 2])))
    torch.testing.assert_close(state.strength[written.rows], expected)
    torch.testing.assert_close(state.usage[written.rows], expected)


def test_what_it_deems_worthless_goes_first(small: EpisodicMemory, gate: WriteGate) -> None:
    memory = copy.deepcopy(small)
    memory.write_gate = gate
    state = memory.empty(16)
    for source in range(1, 17):
        state, _ = memory.write(
            state, saying(source, 4), source, 1.0, MessageFeatures(feature_bits=(source != 9) << FIRST_PERSON)
        )
    state, _ = memory.write(state, saying(17, 4), 17, 1.0, MessageFeatures(feature_bits=1 << FIRST_PERSON))
    assert 9 not in state.source.tolist()
    assert set(range(1, 18)) - {9} == set(state.source.tolist())


def test_a_question_is_written_less_strongly_whatever_it_says(small: EpisodicMemory, gate: WriteGate) -> None:
    memory = copy.deepcopy(small)
    memory.write_gate = gate
    told, asked = (memory.write(memory.empty(16), saying(1, 4), 1, rule)[0].strength[0] for rule in (1.0, 0.05))
    assert float(asked) == pytest.approx(0.05 * float(told))


def test_the_links_go_by_the_precedence_gate_alone(small: EpisodicMemory, gate: WriteGate) -> None:
    memory = copy.deepcopy(small)
    memory.write_gate = gate
    state, _ = memory.write(memory.empty(16), saying(1, 4), 1)
    state, _ = memory.write(state, saying(2, 4), 2, 0.3)
    assert float(state.precedence_weights[state.precedence_slots == 0]) == pytest.approx(0.7)
