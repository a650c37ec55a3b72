"""Looking into a memory shows what is in it: every slot once, every tensor as it is, every weight accounted for."""

import dataclasses
import io
from datetime import timedelta
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load

from app.memories import inspection
from app.memories.inspection import Order, SlotView
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.transfer import import_user
from app.store.filters import Filter
from memory_core import allocation
from memory_core.binary_codes import decode_word
from tests.memories.conftest import Another
from tests.memories.histories import START, History, assert_whole, live_state, logged, said


@pytest.fixture
async def history(memories: Memories) -> History:
    """A history with everything in it, forgetting too."""
    history = History(memories, "ada", seed=78)
    await history.go_on(12)
    while len(history.heard) < 2:
        await history.recall_and_store()
    return history


async def test_pages_in_every_order_show_every_slot_once(memories: Memories, history: History) -> None:
    state = await live_state(memories, "ada")
    used = (state.source > 0).nonzero().squeeze(1).tolist()
    order: Order
    for order in get_args(Order):
        for limit in (1, 7, 1000):
            shown: list[SlotView] = []
            after = None
            while page := await inspection.slots(memories, "ada", order, limit, after):
                assert len(page) <= limit
                shown += page
                after = (page[-1].key, page[-1].slot)
            assert sorted(view.slot for view in shown) == used
            keys = [view.key for view in shown]
            assert keys == sorted(keys, reverse=order != "slot")


async def test_a_slot_is_shown_with_its_message_and_links(memories: Memories, history: History) -> None:
    state, messages = await live_state(memories, "ada"), {one.seq: one for one in await logged(memories, "ada")}
    for view in await inspection.slots(memories, "ada", "written", 1000):
        assert view.message == messages[int(state.source[view.slot])]
        assert (view.part, view.reads) == (int(state.part[view.slot]), int(state.reads[view.slot]))
        assert view.usage == pytest.approx(float(allocation.usage_now(state)[view.slot]))
        assert {slot for slot, _ in view.after} == {int(slot) for slot in state.forward_slots[view.slot] if slot >= 0}
        assert {slot for slot, _ in view.before} == {int(slot) for slot in state.backward_slots[view.slot] if slot >= 0}
        assert all(0 < weight <= 1 for _, weight in view.before + view.after)
        assert view.word == [] and view.token_ids == []


async def test_a_slot_that_messages_share_is_shown_once_with_all_of_them(another: Another) -> None:
    of = another(slots=16)
    names = ["kettle", "tiger", "lemon"]
    done = await of.remember("ada", [said(name) for name in names for _ in range(16)])
    assert done.slots_used == 16
    shown = await inspection.slots(of, "ada", "written", 1000)
    assert [view.slot for view in shown] == list(range(15, -1, -1))
    for view in shown:
        seqs = [33 + view.slot, 17 + view.slot, 1 + view.slot]
        assert [one.message.seq for one in (view, *view.shared_with)] == seqs
        assert {one.slot for one in view.shared_with} == {view.slot}
        assert [slots for message, slots in done.messages if message.seq in seqs] == [[view.slot]] * 3
    whole = await inspection.whole_slot(of, "ada", 5)
    assert [one.message.content for one in (whole, *whole.shared_with)] == names[::-1]
    assert len(whole.token_ids) == len(whole.word) <= of.core.config.facets
    assert set(names) <= set(whole.token_ids)
    recalled = await of.recall("ada", "the tiger", 48)
    assert {one.slot for one in recalled.recollections} <= set(range(16))
    await of.forget("ada", done.messages[5 + 16][0].id)
    left = await inspection.whole_slot(of, "ada", 5)
    assert [one.message.content for one in (left, *left.shared_with)] == ["lemon", "kettle"]
    assert "tiger" not in left.token_ids
    seen = await inspection.summary(of, "ada")
    assert (seen.slots, seen.slots_used, sum(seen.usage_histogram)) == (16, 16, 16)
    await assert_whole(of, "ada")


async def test_one_slot_whole_shows_its_word_piece_by_piece(memories: Memories) -> None:
    done = await memories.remember("ada", [said("yes")])
    (slot,) = done.messages[0][1]
    view = await inspection.whole_slot(memories, "ada", slot)
    assert sorted(view.token_ids) == sorted(["1", "january", "202", "##5", ",", "yes"])
    state = await live_state(memories, "ada")
    torch.testing.assert_close(torch.tensor(view.word), decode_word(state.words[slot, : len(view.token_ids)]))
    for empty in (slot + 1, 15, 16, 10_000):
        with pytest.raises(NotFound):
            await inspection.whole_slot(memories, "ada", empty)


@pytest.mark.parametrize("format", ["npz", "safetensors"])
async def test_the_matrix_loads_back_as_the_state(memories: Memories, history: History, format: str) -> None:
    state = await live_state(memories, "ada")
    if format == "npz":
        content = await inspection.matrix(memories, "ada", "npz")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            tensors = {name: torch.from_numpy(file[name]) for name in file.files}
    else:
        tensors = load(await inspection.matrix(memories, "ada", "safetensors"))
    assert tensors.keys() == state.tensors().keys()
    for name, tensor in state.tensors().items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor), name


async def test_a_trace_accounts_for_every_weight_by_mode(memories: Memories, history: History) -> None:
    heard = await memories.recall_and_store(
        "ada", said("where did uncle walk when he had lost the yellow kettle?"), 6, 6
    )
    message, slots = heard.remembered.messages[0]
    view = await inspection.trace(memories, "ada", message.id)
    assert view.message == message
    assert [one.slot for one in view.written] == slots
    assert [one.part for one in view.written] == list(range(len(slots)))
    assert view.read
    for read, source in view.read:
        assert read.weight == pytest.approx(read.content + read.forward + read.backward + read.standing, abs=1e-6)
        assert min(read.content, read.forward, read.backward) >= 0
        assert source.seq == read.source < message.seq
    assert 0 < sum(read.weight for read, _ in view.read) <= 1 + 1e-5
    for one in heard.recalled.recollections:
        mine = [read for read, source in view.read if source == one.message]
        assert one.weight == pytest.approx(sum(read.weight for read in mine))
        parts = one.by_content + one.by_forward + one.by_backward + one.by_standing
        assert one.weight == pytest.approx(parts, abs=1e-6)
        assert one.slot == max(mine, key=lambda read: read.weight).slot
    assert {source.id for _, source in view.read} == {one.message.id for one in heard.recalled.recollections}


async def test_a_message_that_read_nothing_has_a_trace_of_what_it_wrote(memories: Memories) -> None:
    done = await memories.remember("ada", [said("a river")])
    view = await inspection.trace(memories, "ada", done.messages[0][0].id)
    assert view.read == [] and [one.slot for one in view.written] == done.messages[0][1]
    with pytest.raises(NotFound):
        await inspection.trace(memories, "ada", "0" * 32)


async def test_a_glance_counts_what_is_there(memories: Memories, history: History) -> None:
    state, messages = await live_state(memories, "ada"), await logged(memories, "ada")
    seen = await inspection.summary(memories, "ada")
    used = int((state.source > 0).sum())
    assert (seen.slots, seen.slots_used, sum(seen.usage_histogram)) == (256, used, used)
    assert (seen.word_shape, seen.dtype, seen.bytes) == ([8, 16], "bit", state.nbytes)
    assert seen.fingerprint == memories.device.fingerprint
    held = [message.occurred_at for message in messages if (state.source == message.seq).any()]
    assert (seen.oldest, seen.newest) == (min(held), max(held))
    assert seen.last_read is not None


async def test_a_glance_goes_by_when_things_were_said_not_by_when_they_were_written(another: Another) -> None:
    of = another(slots=4)
    days = [5, 9, 1, 12, *[7] * 14]  # the two first are given up by a memory of 4 slots, each shared by 4
    drafts = [dataclasses.replace(said("a river"), occurred_at=START + timedelta(days=day)) for day in days]
    done = await of.remember("ada", drafts)
    assert [bool(slots) for _, slots in done.messages] == [False] * 2 + [True] * 16
    seen = await inspection.summary(of, "ada")
    assert (seen.oldest, seen.newest) == (START + timedelta(days=1), START + timedelta(days=12))
    await of.forget("ada", done.messages[2][0].id)
    await of.forget("ada", done.messages[3][0].id)
    seen = await inspection.summary(of, "ada")
    assert seen.oldest == seen.newest == START + timedelta(days=7)


async def test_a_glance_at_an_empty_memory_works(memories: Memories) -> None:
    await import_user(memories, "ada", b'{"kind": "mneme-export", "format": 1}\n')
    seen = await inspection.summary(memories, "ada")
    assert (seen.slots_used, seen.oldest, seen.newest, seen.last_read) == (0, None, None, None)
    assert await inspection.slots(memories, "ada", "usage", 10) == []
    assert (await memories.recall("ada", "river", 3)).recollections == []
    await memories.recall_and_store("ada", said("a river"), 3, 3)


async def test_sessions_and_their_messages_come_in_pages_the_last_used_first(memories: Memories) -> None:
    for number in range(12):
        await memories.remember("ada", [said(f"river {number}", f"session{number % 5}")])
    shown, before = [], None
    while page := await inspection.sessions(memories, "ada", before, 2):
        shown += page
        before = page[-1].last_seq
    assert [one.id for one in shown] == [f"session{number}" for number in (1, 0, 4, 3, 2)]
    messages, after = [], 0
    while part := await inspection.session_log(memories, "ada", Filter("session1"), after, 2):
        messages += part
        after = part[-1].seq
    assert [message.content for message in messages] == ["river 1", "river 6", "river 11"]
    with pytest.raises(NotFound):
        await inspection.sessions(memories, "bob", None, 2)
    with pytest.raises(NotFound):
        await inspection.session_log(memories, "bob", Filter("session1"), 0, 2)
