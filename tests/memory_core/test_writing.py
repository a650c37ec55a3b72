"""Writing: who gets which slot, how strongly, and what a place without content takes."""

import copy
import dataclasses
import functools

import pytest
import torch

from memory_core import writing
from memory_core.binary_codes import count_pieces, decode_word, slot_keys
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from tests.memory_core.conftest import SMALL
from tests.memory_core.factories import dense_links, differing, filled, saying


def test_an_empty_memory_holds_nothing(small: EpisodicMemory) -> None:
    state = small.empty(1000)
    assert (state.rows, state.slots_used, int(state.capacity)) == (16, 0, 1000)
    assert small.empty(4).rows == 4
    assert small.empty(1000, rows=100).rows == 100
    assert small.empty(50, rows=100).rows == 50


@pytest.mark.parametrize(("token_ids", "parts"), [(0, 1), (1, 1), (4, 1), (5, 2), (12, 3), (16, 4), (400, 4)])
def test_an_utterance_takes_a_slot_for_every_facets_pieces_up_to_a_quarter(
    small: EpisodicMemory, token_ids: int, parts: int
) -> None:
    said = saying(3, token_ids)
    state, written = small.write(small.empty(16), said, source=1)
    assert writing.slots_of(small.config, token_ids, 16) == parts == len(written.rows) == state.slots_used
    assert state.part[written.rows].tolist() == list(range(parts))
    for row, held in zip(written.rows, torch.split(said.token_ids[:16], 4), strict=True):
        assert state.token_ids[row, : len(held)].tolist() == sorted(held.tolist(), reverse=True)


def test_parts_are_tied_in_their_order(small: EpisodicMemory) -> None:
    state, _ = small.write(small.empty(16), saying(1, 12), source=1)
    assert dense_links(state).nonzero().tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_all_parts_together_leave_what_one_part_would(small: EpisodicMemory, parts: int) -> None:
    state, _ = small.write(small.empty(16), saying(1, 4), source=1)
    state, _ = small.write(state, saying(2, 4 * parts), source=2, gate=0.3)
    left = state.precedence_weights[state.precedence_slots == 0]
    assert float(left) == pytest.approx(0.7)


def test_a_full_memory_evicts_the_least_used(small: EpisodicMemory) -> None:
    state = small.empty(16)
    for source in range(1, 17):
        state, _ = small.write(state, saying(source, 4), source)
    state = small.note_read(state, torch.tensor([0, 1, 2, 4]), torch.tensor([0.9, 0.8, 0.7, 0.6]))
    state, written = small.write(state, saying(17, 4), 17)
    assert written.rows.tolist() == [3]  # the oldest of those that were not read
    assert state.source.tolist() == [1, 2, 3, 17, *range(5, 17)]


def test_weakly_written_replies_go_before_the_statements_around_them(small: EpisodicMemory) -> None:
    state = small.empty(16)
    for source in range(1, 17):
        state, _ = small.write(state, saying(source, 4), source, gate=0.3 if source % 2 == 0 else 1.0)
    for source in range(17, 21):
        state, _ = small.write(state, saying(source, 4), source)
    assert [source for source in range(1, 17) if source not in state.source] == [2, 4, 6, 8]


def test_a_memory_never_holds_more_than_its_capacity(small: EpisodicMemory) -> None:
    for capacity in (1, 2, 3, 5, 16, 23):
        state = filled(small, 40, capacity)
        assert state.rows == capacity
        assert state.slots_used <= capacity
        assert 40 in state.source


def test_what_was_just_written_and_what_came_before_it_stay(small: EpisodicMemory) -> None:
    state = small.empty(16)
    for source in range(1, 30):
        state, written = small.write(state, saying(source, 16), source, gate=1e-6 if source % 2 else 1.0)
        assert (state.source[written.rows] == source).all()
        assert int((state.source == source).sum()) == 4
        assert source == 1 or int((state.source == source - 1).sum()) == 4


def test_a_slot_that_is_shared_keeps_the_rarest_of_each(small: EpisodicMemory) -> None:
    sharing = copy.deepcopy(small)
    sharing.config = dataclasses.replace(SMALL, sharing=3)
    token_ids = [[7, 30, 9, 20], [1, 2], [40, 3, 5, 50], [8, 60, 6]]
    said = [Utterance(saying(len(each), len(each)).facets, torch.tensor(each, dtype=torch.int32)) for each in token_ids]
    state, written = sharing.write(sharing.empty(2), said[0], 1)
    state, written = sharing.write(state, said[1], 2)
    assert state.token_ids[:2].tolist() == [[30, 20, 9, 7], [2, 1, -1, -1]]
    state, written = sharing.write(state, said[2], 3)  # in the first one's slot
    assert (written.rows.tolist(), written.narrowed.tolist()) == ([2], [0])
    assert state.token_ids[:3].tolist() == [[30, 20, -1, -1], [2, 1, -1, -1], [50, 40, -1, -1]]
    torch.testing.assert_close(decode_word(state.words[0, :2]), said[0].facets[[1, 3]].sign() / 4)
    state, written = sharing.write(state, said[3], 4)  # in the second one's, which has room enough
    assert (written.rows.tolist(), written.narrowed.tolist()) == ([3], [])
    assert state.token_ids[3].tolist() == [60, 8, -1, -1]
    state, written = sharing.write(state, said[2], 5)
    assert (written.rows.tolist(), written.narrowed.tolist()) == ([4], [0, 2])
    assert state.token_ids[[0, 2, 4]].tolist() == [[30, -1, -1, -1], [50, -1, -1, -1], [50, -1, -1, -1]]
    assert (state.slots_used, state.rows) == (2, 6)
    state, written = sharing.write(state, said[0], 6)
    state, written = sharing.write(state, said[0], 7)  # no room for a seventh: the least used goes
    assert written.rows.tolist() == [0]
    assert sorted(state.source.tolist()) == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("gate", [1e-6, 0.3, 1.0])
@pytest.mark.parametrize("sources", [2, 30], ids=["roomy", "full"])
def test_a_blank_write_takes_what_the_forgotten_write_took(small: EpisodicMemory, gate: float, sources: int) -> None:
    start = filled(small, sources)
    kept, written = small.write(start, saying(99, 10), 99, gate)
    kept, _ = small.forget(kept, 99)
    blank, blanked = writing.write_tombstone_(small, start.clone(), len(written.rows), 99, gate)
    assert blanked.rows.tolist() == written.rows.tolist()
    small.forget_(blank, 99)
    assert differing(kept, blank) == []


def test_precedence_gates_tell_statements_questions_and_replies_apart(small: EpisodicMemory) -> None:
    gate = functools.partial(writing.precedence_gate, small.config)
    assert gate("My dog is called Biscuit", reply=False) == 1.0
    assert gate("What is my dog called? \n", reply=False) == small.config.question_gate
    assert gate("Hello! Are you there? Who is it?", reply=False) == small.config.asking_gate
    assert gate("It is called Biscuit.", reply=True) == small.config.reply_gate
    assert small.config.question_gate < small.config.reply_gate < small.config.asking_gate < 1.0
    assert gate("", reply=False) == 1.0
    assert gate("The shop is on Mill Lane\nWhen does it open?", reply=False) == small.config.asking_gate
    assert gate("I was thinking… Is it open?", reply=False) == small.config.asking_gate
    assert gate("店は水車通りにあります。いつ開きますか？", reply=False) == small.config.asking_gate


def test_keys_and_counts_recomputed_equal_those_kept(small: EpisodicMemory) -> None:
    state = small.empty(64)
    for source in range(1, 60):
        state, _ = small.write_(state, saying(source, source % 14), source, 0.5)
        if source % 7 == 0:
            small.forget_(state, source - 3)
    assert torch.equal(slot_keys(state.words, state.token_ids), state.keys)
    assert torch.equal(count_pieces(state.token_ids, small.vocabulary), state.piece_counts)
    assert int(state.piece_counts.max()) > 1


def test_a_piece_said_twice_in_a_slot_counts_once(small: EpisodicMemory) -> None:
    twice = Utterance(saying(1, 3).facets, torch.tensor([5, 5, 6], dtype=torch.int32))
    state, _ = small.write(small.empty(16), twice, 1)
    assert state.piece_counts[[5, 6]].tolist() == [1, 1]


def test_counting_the_pieces_of_an_empty_memory_gives_zeros(small: EpisodicMemory) -> None:
    state = small.empty(16)
    assert torch.equal(count_pieces(state.token_ids, small.vocabulary), state.piece_counts)


def test_words_are_stored_as_the_signs_of_their_facets(small: EpisodicMemory) -> None:
    said = saying(1, 4)
    state, _ = small.write(small.empty(16), said, 1)
    rarest_first = torch.sort(said.token_ids, descending=True, stable=True).indices
    torch.testing.assert_close(decode_word(state.words[0]), said.facets[rarest_first].sign() / 4)
    assert state.words[0].nbytes == said.facets.numel() // 8
