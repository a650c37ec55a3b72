"""The memory's laws: what a read may depend on, what it leaves, and what forgetting leaves behind."""

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import allocation, candidate_retrieval, writing
from memory_core.allocation import EpisodicConfig
from memory_core.binary_codes import count_pieces
from memory_core.encoder import Encoder, Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.reading import Reading, read_modes
from memory_core.state import EpisodicState
from tests.memory_core import oracle
from tests.memory_core.conftest import SMALL
from tests.memory_core.factories import dense_links, differing, differing_rows, filled, follow_up, moved, saying

NOTHING = Utterance(torch.zeros(0, 16), torch.zeros(0, dtype=torch.int32))


def assert_alike(ours: Reading, theirs: Reading, tolerance: float = 1e-6) -> None:
    assert ours.rows.tolist() == theirs.rows.tolist()
    for part in ("weights", "content", "forward", "backward"):
        torch.testing.assert_close(getattr(ours, part), getattr(theirs, part).cpu(), atol=tolerance, rtol=0)
    assert ours.confidence == pytest.approx(theirs.confidence, abs=10 * tolerance)


def read(memory: EpisodicMemory, state: EpisodicState, cue: Utterance) -> Reading:
    return memory.read([state], [cue])[0]


def test_growing_changes_nothing_that_can_be_seen(small: EpisodicMemory) -> None:
    grown, roomy = filled(small, 30, capacity=128, seed=3), filled(small, 30, capacity=128, seed=3, rows=128)
    assert (grown.rows, roomy.rows) == (64, 128)
    assert differing_rows(grown, roomy, small) == set()
    whole = dataclasses.replace(SMALL, candidates=128)
    exact = copy.deepcopy(small)
    exact.config = whole
    for seed in range(5):
        assert_alike(read(exact, grown, saying(seed, 4)), read(exact, roomy, saying(seed, 4)))


# Twins


def test_functional_twins_leave_the_state_that_they_were_given(small: EpisodicMemory) -> None:
    for state in (filled(small, 5), filled(small, 30)):
        before = state.clone()
        small.write(state, saying(9, 12), 99, 0.5)
        small.note_read(state, torch.tensor([0, 2]), torch.tensor([0.5, 0.25]))
        small.forget(state, int(state.source.max()))
        small.read([state], [saying(10, 4)])
        assert differing(before, state) == []


def test_twins_in_place_give_the_same(small: EpisodicMemory) -> None:
    for sources in (5, 30):
        state = filled(small, sources)
        written, named = small.write(state, saying(9, 12), 99, 0.5)
        mine, named_in_place = small.write_(state.clone(), saying(9, 12), 99, 0.5)
        assert differing(written, mine) == []
        assert named_in_place.changed.tolist() == named.changed.tolist()
        slots, weights = torch.tensor([0, 2]), torch.tensor([0.5, 0.25])
        read, mine = small.note_read(state, slots, weights), state.clone()
        small.note_read_(mine, slots, weights)
        assert differing(read, mine) == []
        (forgotten, changed), mine = small.forget(state, 3), state.clone()
        assert small.forget_(mine, 3).tolist() == changed.tolist()
        assert differing(forgotten, mine) == []


def test_the_same_log_gives_the_same_memory(small: EpisodicMemory) -> None:
    assert differing(filled(small, 40, seed=5), filled(small, 40, seed=5)) == []


# Reading


@settings(max_examples=30, deadline=None)
@given(cue=st.integers(0, 10**6), token_ids=st.integers(1, 4), sources=st.integers(1, 30))
def test_a_reading_is_a_weighting(small: EpisodicMemory, cue: int, token_ids: int, sources: int) -> None:
    asked = saying(cue, token_ids, distinct=60)
    reading = read(small, filled(small, sources), asked)
    parts = torch.stack([reading.content, reading.forward, reading.backward])
    torch.testing.assert_close(parts.sum(0), reading.weights)
    assert (parts >= 0).all()
    assert float(reading.weights.sum()) <= 1 + 1e-6
    modes = read_modes(small, asked.pooled)
    assert float(sum(modes[1:], torch.tensor(0.0))) == pytest.approx(1.0)
    assert all(0 <= float(mode) <= 1 for mode in modes)
    assert float(reading.content.sum()) == pytest.approx(float(modes[2]), abs=1e-5)


@pytest.fixture(scope="module")
def users(small: EpisodicMemory) -> list[tuple[EpisodicState, Utterance]]:
    """Memories of all sizes with cues of all lengths, an empty memory and an empty cue among them."""
    states = [filled(small, n, 64, seed=n) for n in (1, 30, 4, 17)] + [small.empty(64), filled(small, 3)]
    cues = [saying(80 + n, n + 1, distinct=60) for n in range(3)]
    return list(zip(states, [*cues, follow_up(small, 3, False), cues[0], NOTHING], strict=True))


def test_a_reading_does_not_depend_on_the_users_beside_it(
    small: EpisodicMemory, users: list[tuple[EpisodicState, Utterance]], device: torch.device
) -> None:
    there = copy.deepcopy(small).to(device)
    states, cues = [state.to(device) for state, _ in users], [moved(cue, device) for _, cue in users]
    together = there.read(states, cues)
    for (state, cue), beside in zip(users, together, strict=True):
        assert_alike(read(small, state, cue), beside, 1e-6 if device.type == "cpu" else 1e-5)


def test_a_batch_permutes_with_its_users(small: EpisodicMemory, users: list[tuple[EpisodicState, Utterance]]) -> None:
    order = [3, 5, 0, 4, 2, 1]
    together = small.read([state for state, _ in users], [cue for _, cue in users])
    permuted = small.read([users[user][0] for user in order], [users[user][1] for user in order])
    for user, reading in zip(order, permuted, strict=True):
        assert_alike(reading, together[user])


def test_reading_nobody_gives_nothing(small: EpisodicMemory) -> None:
    assert small.read([], []) == []


def test_content_addresses_only_among_the_slots_that_it_may(small: EpisodicMemory) -> None:
    state = filled(small, 8)
    allowed = state.source % 2 == 1
    free, bound = small.read([state] * 2, [saying(5, 4)] * 2, among=[None, allowed])
    assert (bound.content[~allowed[bound.rows]] == 0).all()
    assert float(bound.content.sum()) == pytest.approx(float(free.content.sum()), abs=1e-6)
    none = small.read([state], [saying(5, 4)], among=[torch.zeros(state.rows, dtype=torch.bool)])[0]
    assert not none.content.any()


def test_a_form_of_a_word_is_the_word_where_the_wording_counts(small: EpisodicMemory) -> None:
    memory = copy.deepcopy(small)
    state = memory.empty(16)
    for source, token_ids in enumerate(([7, 9], [11, 12]), start=1):
        state, _ = memory.write(state, Utterance(saying(source, 2).facets, torch.tensor(token_ids).int()), source)
    cue = Utterance(saying(3, 2).facets, torch.tensor([3, 9], dtype=torch.int32))
    assert candidate_retrieval.retrieve(memory, state, cue).exact.tolist() == [[0, 1], [0, 0]]
    memory.lemma_ids[7] = 3
    stage = candidate_retrieval.retrieve(memory, state, cue)
    assert stage.exact.tolist() == [[1, 1], [0, 0]]
    assert stage.terms.shares.tolist() == pytest.approx([0.5, 0.5])  # "9" stands in one slot, so does a form of "3"


def test_of_a_long_cue_the_rarest_pieces_count(small: EpisodicMemory) -> None:
    state, stopword_mask = small.empty(16), saying(1, 4)
    for source in range(1, 9):
        state, _ = small.write(state, stopword_mask, source)
    rare = Utterance(saying(2, 4).facets, torch.tensor([90, 91, 92, 93], dtype=torch.int32))
    state, _ = small.write(state, rare, 9)
    long = Utterance(
        torch.cat([stopword_mask.facets, rare.facets]), torch.cat([stopword_mask.token_ids, rare.token_ids])
    )
    whole, short = read(small, state, long), read(small, state, rare)
    assert int(whole.rows[0]) == int(short.rows[0]) == 8
    assert whole.confidence == pytest.approx(short.confidence)


@pytest.mark.parametrize("gate", [1e-6, 1.0])
def test_no_input_makes_a_reading_undefined(small: EpisodicMemory, gate: float) -> None:
    at_rest = small.empty(16)
    state, _ = small.write(at_rest, NOTHING, 1, gate)
    state, _ = small.write(state, saying(1, 4), 2, gate)
    state, _ = writing.write_tombstone_(small, state, 2, 3, gate)
    state = small.note_read(state, torch.tensor([0, 1]), torch.tensor([1.0, 0.0]))
    assert allocation.usage_now(state).max() <= 1
    worn = dataclasses.replace(state, usage=(state.source > 0).float())
    for _ in range(3):
        worn = small.note_read(worn, torch.tensor([0, 1]), torch.tensor([1.0, 0.0]))
        assert ((worn.usage >= 0) & (worn.usage <= 1)).all()
    at_right_angles = Utterance(torch.eye(16)[:1] * 0.0, torch.tensor([77], dtype=torch.int32))
    strange = Utterance(saying(3, 3).facets, torch.tensor([30000, 30001, 30002], dtype=torch.int32))
    cues = [NOTHING, at_right_angles, strange, saying(1, 4), saying(4, 60), follow_up(small, 1, True)]
    for memory_state in (at_rest, state, worn):
        for reading in small.read([memory_state] * len(cues), cues):
            assert all(torch.isfinite(part).all() for part in reading[:5])
            assert 0 <= reading.confidence <= 1
            assert int(reading.rows.numel()) == 0 or memory_state is not at_rest


def test_an_empty_cue_reads_by_strength_alone(small: EpisodicMemory) -> None:
    state = small.empty(16)
    for source, gate in ((1, 1.0), (2, 0.5), (3, 0.5)):
        state, _ = small.write(state, saying(source, 4), source, gate)
    content = read(small, state, NOTHING)
    by_slot = content.content[torch.argsort(content.rows)]
    torch.testing.assert_close(by_slot / by_slot.sum(), torch.tensor([0.5, 0.25, 0.25]))


def test_a_reading_cut_to_its_strongest_slots_keeps_the_contents_share(tight: EpisodicMemory) -> None:
    state = filled(tight, 16)
    cue = follow_up(tight, 2, backward=False)  # similar to nothing in particular, so that all slots share its weight
    content = read_modes(tight, cue.pooled)[2]
    without_links = dataclasses.replace(state, forward_slots=-torch.ones_like(state.forward_slots))
    without_links = dataclasses.replace(without_links, backward_slots=-torch.ones_like(state.backward_slots))
    reading = read(tight, without_links, cue)
    assert len(reading.rows) == tight.config.read < state.slots_used
    assert float(reading.weights.sum()) == pytest.approx(float(content), abs=1e-6)


# What a reading leaves


def test_a_noted_reading_is_kept_and_uses_its_slots(small: EpisodicMemory) -> None:
    state = filled(small, 6)
    reading = read(small, state, saying(3, 4))
    slots, weights = reading.rows[:3], reading.weights[:3]
    noted, before = small.note_read(state, slots, weights), allocation.usage_now(state)
    assert noted.read_slots[:3].tolist() == slots.tolist()
    assert (noted.read_slots[3:] == -1).all()
    assert torch.equal(noted.read_weights[:3], weights)
    assert (noted.reads[slots] == 1).all()
    assert (noted.touched[slots] == noted.clock).all()
    expected = oracle.usage_after_write(before[slots].double().numpy(), 0.5 * weights.double().numpy(), np.ones(3))
    np.testing.assert_allclose(noted.usage[slots], expected, atol=1e-6)


def test_setting_the_last_reading_changes_nothing_else(small: EpisodicMemory) -> None:
    state = filled(small, 6)
    after = state.clone()
    small.set_last_read_(after, torch.tensor([2, 1]), torch.tensor([0.5, 0.25]))
    assert differing(state, after) == ["read_slots", "read_weights"]
    assert (after.read_slots[:2].tolist(), after.read_weights[:2].tolist()) == ([2, 1], [0.5, 0.25])


def test_a_follow_up_starts_from_as_many_as_the_memory_keeps_and_all_that_was_read_is_used_more(
    tight: EpisodicMemory,
) -> None:
    state = tight.note_read(filled(tight, 16), torch.arange(12), torch.full((12,), 1 / 16))
    assert state.read_slots.tolist() == list(range(8))
    assert int(state.reads.sum()) == 12


def test_usage_halves_with_every_memory_full_of_messages(small: EpisodicMemory) -> None:
    state, _ = small.write(small.empty(16), saying(1, 4), 1)
    state, _ = small.write(state, saying(2, 4), 17)
    assert allocation.usage_now(state)[:2].tolist() == [0.5, 1.0]


def test_usage_can_be_restored_from_what_was_read(small: EpisodicMemory) -> None:
    state, log = small.empty(16), []
    for source in range(1, 12):
        state, _ = small.write(state, saying(source, 4), source, 0.5)
        if source % 3 == 0:
            weight = 0.1 * source
            state = small.note_read(state, torch.tensor([1]), torch.tensor([weight]))
            log.append((source, weight))
    restored = state.clone()
    restored.usage[1] = restored.touched[1] = restored.reads[1] = 0
    small.restore_usage_(restored, 1, log[:])
    assert differing(restored, state) == []


# Forgetting


def test_forgetting_removes_every_trace(small: EpisodicMemory) -> None:
    state = filled(small, 4, 64, seed=2)
    without = count_pieces(state.token_ids, small.vocabulary)
    state, written = small.write(state, saying(7, 11), 5)
    state, _ = small.write(state, saying(8, 4), 6, gate=0.5)
    state = small.note_read(state, written.rows, torch.tensor([0.5, 0.3, 0.1]))
    forgotten, changed = small.forget(state, 5)
    gone = written.rows
    assert set(gone.tolist()) <= set(changed.tolist())
    assert not (forgotten.source == 5).any()
    for name in ("words", "keys", "part", "touched", "usage", "strength", "reads"):
        assert not getattr(forgotten, name)[gone].any(), name
    assert (forgotten.token_ids[gone] == -1).all()
    for name in ("forward_slots", "backward_slots", "precedence_slots", "read_slots"):
        assert not torch.isin(getattr(forgotten, name), gone).any(), name
        assert (getattr(forgotten, name)[gone] == -1).all() or name in ("precedence_slots", "read_slots")
    assert not forgotten.read_weights.any()
    later = count_pieces(saying(8, 4).token_ids.unsqueeze(0), small.vocabulary)
    assert torch.equal(forgotten.piece_counts, without + later)


def test_forgetting_the_latest_gives_the_memory_from_before(small: EpisodicMemory) -> None:
    before = filled(small, 4, 64, seed=2)
    after, _ = small.write(before, saying(7, 11), 5)
    after, _ = small.forget(after, 5)
    assert differing_rows(before, after, small) == set()
    assert torch.equal(before.piece_counts, after.piece_counts)


def test_forgetting_ties_what_came_before_to_what_came_after(small: EpisodicMemory) -> None:
    state = small.empty(16)
    for source, token_ids in ((1, 4), (2, 12), (3, 4)):
        state, _ = small.write(state, saying(source, token_ids), source)
    state, _ = small.forget(state, 2)
    assert dense_links(state).nonzero().tolist() == [[4, 0]]
    assert float(dense_links(state)[4, 0]) == 1.0


def test_forgetting_what_is_not_there_changes_nothing(small: EpisodicMemory) -> None:
    state = filled(small, 5)
    after, changed = small.forget(state, 77)
    assert changed.tolist() == []
    assert differing(state, after) == []


def test_a_forgotten_slot_is_the_next_one_taken(small: EpisodicMemory) -> None:
    state = filled(small, 30)
    gone = int(state.source.min())
    freed = (state.source == gone).nonzero().flatten()
    state, _ = small.forget(state, gone)
    _, written = small.write(state, saying(3, 4), 31)
    assert written.rows.tolist() == freed[:1].tolist()


# The first stage


def test_the_first_stage_keeps_what_the_exact_reading_finds_best(encoder: Encoder) -> None:
    names, things = (
        ("Ana", "Ben", "Chloe", "Dev", "Emil", "Farah", "Gus", "Hana"),
        ("cello", "boat", "oven", "garden", "thesis"),
    )
    verbs = ("repaired", "sold", "wrote to me about", "never liked")
    texts = [f"{name} {verb} the {thing}" for name in names for verb in verbs for thing in things]
    few = EpisodicMemory(encoder, EpisodicConfig(candidates=16))
    exact = EpisodicMemory(encoder, EpisodicConfig(candidates=512))
    few.reranker = exact.reranker = None  # which weighs what the stage found, and here all is near to all
    state, said = few.empty(256), encoder.encode(texts)
    for source, utterance in enumerate(said, 1):
        state, _ = few.write_(state, utterance, source)
    assert state.rows > 16
    best = [int(reading.rows[0]) for reading in few.read([state] * len(said), said)]
    assert best == list(range(len(texts)))
    some = range(0, len(texts), 9)
    exactly = exact.read([state] * len(some), [said[text] for text in some])
    assert [int(reading.rows[0]) for reading in exactly] == list(some)


def test_with_candidates_for_all_slots_the_first_stage_cuts_nothing(
    sized: Callable[[EpisodicConfig], EpisodicMemory],
) -> None:
    cut, exact = (sized(dataclasses.replace(SMALL, candidates=count, read=64)) for count in (63, 64))
    state = filled(cut, 40, 64, rows=64)  # a row is left free, so that 63 candidates are all there are
    gone = int(state.source[0])
    cut.forget_(state, gone)
    for seed in range(8):
        assert_alike(read(cut, state, saying(seed, 4)), read(exact, state, saying(seed, 4)))


# The fingerprint


def test_a_fingerprint_names_all_that_decides_what_a_log_becomes(
    sized: Callable[[EpisodicConfig], EpisodicMemory],
) -> None:
    memory = sized(SMALL)
    assert memory.fingerprint() == sized(SMALL).fingerprint()
    trained = copy.deepcopy(memory)
    trained.follow_up_prototypes[0, 0] += 1e-3
    configs = (
        dataclasses.replace(SMALL, links=4),
        dataclasses.replace(SMALL, reply_gate=0.2),
        dataclasses.replace(SMALL, repeats=4),
    )
    others = {sized(config).fingerprint() for config in configs}
    assert len({memory.fingerprint(), trained.fingerprint(), *others}) == 5
