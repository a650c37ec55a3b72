"""Row-sparse links: symmetric at all times, joined around what goes, and cut to the strongest K."""

import pytest
import torch

from memory_core.episodic import EpisodicMemory
from memory_core.links import clear_links_, write_links_
from memory_core.state import EpisodicState
from tests.memory_core.factories import dense_links, dense_weighting


def linked(memory: EpisodicMemory, gates: list[float]) -> EpisodicState:
    """Slots 0, 1, 2, ... written one after the other with these gates."""
    state = memory.empty(16)
    for slot, gate in enumerate(gates):
        write_links_(state, slot, gate)
    return state


def precedence(state: EpisodicState) -> torch.Tensor:
    return dense_weighting(state.precedence_slots, state.precedence_weights, state.rows)


def test_full_gates_make_a_chain(small: EpisodicMemory) -> None:
    links = dense_links(linked(small, [1.0] * 4))
    assert links.nonzero().tolist() == [[1, 0], [2, 1], [3, 2]]
    assert (links[links > 0] == 1.0).all()


def test_statements_are_tied_across_the_reply_between_them(small: EpisodicMemory) -> None:
    links = dense_links(linked(small, [1.0, 0.3, 1.0]))
    assert float(links[1, 0]) == pytest.approx(0.3)
    assert float(links[2, 0]) == pytest.approx(0.7)
    assert float(links[2, 1]) == pytest.approx(0.3)


def test_what_was_around_a_cleared_slot_is_joined(small: EpisodicMemory) -> None:
    state = linked(small, [1.0, 1.0, 1.0])
    changed = clear_links_(state, 1)
    assert dense_links(state).nonzero().tolist() == [[2, 0]]
    assert float(dense_links(state)[2, 0]) == 1.0
    assert set(changed.tolist()) == {0, 2}


def test_joining_keeps_the_stronger_of_two_ways(small: EpisodicMemory) -> None:
    state = linked(small, [1.0, 0.3, 1.0])
    clear_links_(state, 1)
    assert float(dense_links(state)[2, 0]) == pytest.approx(0.7)  # not 0.3 * 0.3
    weaker = linked(small, [1.0, 0.9, 1.0])
    clear_links_(weaker, 1)
    assert float(dense_links(weaker)[2, 0]) == pytest.approx(0.81)  # not 0.1


def test_clearing_the_latest_slot_hands_its_precedence_back(small: EpisodicMemory) -> None:
    state = linked(small, [1.0, 0.3])
    clear_links_(state, 1)
    assert float(precedence(state)[0]) == pytest.approx(1.0)
    assert not dense_links(state).any()


def test_clearing_the_only_slot_leaves_nothing(small: EpisodicMemory) -> None:
    state = linked(small, [1.0])
    assert clear_links_(state, 0).tolist() == []
    assert not precedence(state).any()
    assert (state.precedence_slots == -1).all()


def test_the_chain_survives_clearing_all_that_lies_between(small: EpisodicMemory) -> None:
    state = linked(small, [1.0] * 8)
    for slot in (3, 1, 6, 2, 5, 4):
        clear_links_(state, slot)
    assert dense_links(state).nonzero().tolist() == [[7, 0]]


def test_a_cleared_slot_leaves_the_last_reading(small: EpisodicMemory) -> None:
    state = linked(small, [1.0, 1.0])
    small.note_read_(state, torch.tensor([1, 0]), torch.tensor([0.75, 0.25]))
    clear_links_(state, 1)
    assert dense_weighting(state.read_slots, state.read_weights, 16).tolist() == [0.25, *[0.0] * 15]


def test_faint_precedence_is_dropped(small: EpisodicMemory) -> None:
    state = linked(small, [1.0, 0.99])
    assert precedence(state).nonzero().flatten().tolist() == [1]
    assert float(precedence(linked(small, [1e-6])).sum()) == 0.0


def test_a_full_row_gives_up_its_weakest_link(tight: EpisodicMemory) -> None:
    gates = [1.0, 0.2, 0.3, 0.4, 0.5, 0.1]  # slot 0 leads to five others, the tight memory keeps three
    whole, kept = torch.zeros(16, 16), dense_links(linked(tight, gates))
    left = 1.0
    for slot, gate in enumerate(gates[1:], 1):
        whole[slot, 0], left = gate * left, left * (1 - gate)
    assert int((kept[:, 0] > 0).sum()) == 3
    torch.testing.assert_close(kept[:, 0].sort().values[-3:], whole[:, 0].sort().values[-3:])
    torch.testing.assert_close(kept, dense_links(linked(tight, gates), backward=True))


def test_a_row_full_of_stronger_links_refuses_a_weaker_one(tight: EpisodicMemory) -> None:
    state = linked(tight, [1.0, 0.3, 0.3, 0.3])
    before = dense_links(state)[:, 0].clone()
    write_links_(state, 4, 0.05)
    assert torch.equal(dense_links(state)[:, 0], before)
    assert torch.equal(dense_links(state), dense_links(state, backward=True))


def test_a_write_names_all_rows_that_it_changed(tight: EpisodicMemory) -> None:
    state = linked(tight, [1.0, 0.1, 0.1, 0.1])
    before = state.clone()
    changed = set(write_links_(state, 4, 0.9).tolist()) | {4}
    for slot in range(16):
        same = all(
            torch.equal(getattr(state, name)[slot], getattr(before, name)[slot])
            for name in ("forward_slots", "forward_weights", "backward_slots", "backward_weights")
        )
        assert same or slot in changed
    assert not torch.equal(state.backward_slots[1:4], before.backward_slots[1:4])  # a link gave way
