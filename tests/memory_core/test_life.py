"""What holds of a memory after anything that can happen to it, in any order, while its links give way to each other."""

import copy
import dataclasses

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from memory_core import allocation, writing
from memory_core.binary_codes import count_pieces, slot_keys
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState
from tests.memory_core.factories import dense_links, dense_weighting, differing_rows, follow_up, saying

CAPACITY = 24
SHARED = 8  # slots, each shared by three
GATES = st.sampled_from([1.0, 0.5, 0.3, 0.05, 1e-6])


class Life(RuleBasedStateMachine):
    memory: EpisodicMemory
    capacity = CAPACITY
    sources = Bundle("sources")

    def __init__(self) -> None:
        super().__init__()
        self.state: EpisodicState = self.memory.empty(self.capacity)
        self.source = 0

    @rule(
        target=sources, seed=st.integers(0, 10**6), token_ids=st.integers(0, 40), gate=GATES, skipped=st.integers(0, 3)
    )
    def write(self, seed: int, token_ids: int, gate: float, skipped: int) -> int:
        self.source += 1 + skipped
        said, before = saying(seed, token_ids), self.state
        self.state, written = self.memory.write(before, said, self.source, gate)
        assert len(written.rows) == writing.slots_of(self.memory.config, token_ids, self.capacity) <= self.capacity // 4
        assert differing_rows(before, self.state, self.memory) <= set(written.changed.tolist())
        assert int((self.state.source == self.source).sum()) == len(written.rows)
        if latest := int(before.source.max()):  # the utterance before it is never taken
            assert torch.equal(self.state.source == latest, wider(before.source == latest, self.state.rows))
        return self.source

    @rule(source=sources)
    def forget(self, source: int) -> None:
        before = self.state
        self.state, changed = self.memory.forget(before, source)
        assert differing_rows(before, self.state, self.memory) <= set(changed.tolist())
        assert not (self.state.source == source).any()

    @rule(seed=st.integers(0, 10**6), token_ids=st.integers(0, 10), kept=st.integers(0, 8), noted=st.booleans())
    def ask(self, seed: int, token_ids: int, kept: int, noted: bool) -> None:
        self.read(saying(seed, token_ids, distinct=50), kept if noted else None)

    @rule(seed=st.integers(0, 10**6), backward=st.booleans(), kept=st.integers(0, 8))
    def follow(self, seed: int, backward: bool, kept: int) -> None:
        self.read(follow_up(self.memory, seed, backward), kept)

    def read(self, cue: Utterance, kept: int | None) -> None:
        reading = self.memory.read([self.state], [cue])[0]
        parts = torch.stack([reading.content, reading.forward, reading.backward])
        assert torch.isfinite(parts).all()
        assert (parts >= 0).all()
        torch.testing.assert_close(parts.sum(0), reading.weights)
        assert float(reading.weights.sum()) <= 1 + 1e-5
        assert (reading.weights.diff() <= 0).all()
        assert 0 <= reading.confidence <= 1
        assert len(reading.rows) <= self.memory.config.read
        assert len(set(reading.rows.tolist())) == len(reading.rows)
        assert (self.state.source[reading.rows] > 0).all()
        if kept is not None:
            slots, weights, before = reading.rows[:kept], reading.weights[:kept], self.state
            self.state = self.memory.note_read(before, slots, weights)
            assert differing_rows(before, self.state, self.memory) <= set(slots.tolist())

    @invariant()
    def links_are_symmetric(self) -> None:
        assert torch.equal(dense_links(self.state), dense_links(self.state, backward=True))
        assert ((self.state.forward_slots >= 0) == (self.state.forward_weights > 0)).all()
        assert ((self.state.backward_slots >= 0) == (self.state.backward_weights > 0)).all()

    @invariant()
    def links_run_from_earlier_to_later(self) -> None:
        order = self.state.source * 1000 + self.state.part
        for later, earlier in dense_links(self.state).nonzero().tolist():
            assert int(self.state.source[earlier]) > 0
            assert order[earlier] < order[later]

    @invariant()
    def links_and_precedence_are_weightings(self) -> None:
        links = dense_links(self.state)
        precedence = dense_weighting(self.state.precedence_slots, self.state.precedence_weights, self.state.rows)
        assert (links >= 0).all()
        assert (links.sum(1) <= 1 + 1e-5).all()
        assert (links.sum(0) <= 1 + 1e-5).all()
        assert (precedence >= 0).all()
        assert float(precedence.sum()) <= 1 + 1e-5
        assert (self.state.source[precedence > 0] > 0).all()

    @invariant()
    def what_is_recomputed_equals_what_was_kept(self) -> None:
        assert torch.equal(slot_keys(self.state.words, self.state.token_ids), self.state.keys)
        assert torch.equal(count_pieces(self.state.token_ids, self.memory.vocabulary), self.state.piece_counts)

    @invariant()
    def free_slots_hold_nothing(self) -> None:
        free = self.state.source == 0
        assert not self.state.words[free].any()
        assert (self.state.token_ids[free] == -1).all()
        for column in ("part", "touched", "usage", "strength", "reads", "forward_weights", "backward_weights"):
            assert not getattr(self.state, column)[free].any(), column
        noted = self.state.read_slots[self.state.read_slots >= 0]
        assert (self.state.source[noted] > 0).all()

    @invariant()
    def usage_and_strength_are_shares(self) -> None:
        for column in (self.state.usage, self.state.strength, allocation.usage_now(self.state)):
            assert ((column >= 0) & (column <= 1)).all()

    @invariant()
    def nothing_takes_more_room_than_there_is(self) -> None:
        assert self.state.rows <= CAPACITY
        assert self.state.slots_used <= self.capacity
        held = (self.state.token_ids >= 0).sum(1)
        for slot in range(min(self.capacity, self.state.rows)):
            assert int(held[slot :: self.capacity].sum()) <= self.memory.config.facets


def wider(marks: torch.Tensor, slots: int) -> torch.Tensor:
    """The same marks in a memory that may have grown."""
    return torch.cat([marks, marks.new_zeros(slots - len(marks))])


def test_whatever_happens_a_memory_stays_whole(tight: EpisodicMemory) -> None:
    _live(tight, CAPACITY)


def test_whatever_happens_a_memory_whose_slots_are_shared_stays_whole(tight: EpisodicMemory) -> None:
    shared = copy.deepcopy(tight)
    shared.config = dataclasses.replace(tight.config, sharing=CAPACITY // SHARED)
    _live(shared, SHARED)


def _live(memory: EpisodicMemory, capacity: int) -> None:
    run_state_machine_as_test(
        type("OneLife", (Life,), {"memory": memory, "capacity": capacity}),
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
