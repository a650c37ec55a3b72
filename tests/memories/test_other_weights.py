"""A memory of other weights is not used until it is replayed, and the replay carries all of it over."""

from typing import Any

import pytest

from app.memories import inspection
from app.memories.device import Device
from app.memories.live import ForeignMemory
from app.memories.memories import Memories
from app.memories.replay import Replayed, compare, replay
from app.memories.transfer import export
from app.store import memories as stored
from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from tests.memories.conftest import Another
from tests.memories.histories import (
    History,
    assert_whole,
    differing,
    live_state,
    logged,
    memory_id,
    said,
)
from tests.store.contents import tables


async def test_a_memory_of_other_weights_is_not_used_nor_changed(another: Another, other_device: Device) -> None:
    of, foreign = another(), another(device=other_device)
    history = History(of, "ada", seed=45, forgets=False)
    await history.go_on(6)
    before = await tables(of.database)
    for call in (
        lambda: foreign.remember("ada", [said("a river")]),
        lambda: foreign.recall_and_store("ada", said("a river"), 3, 3),
        lambda: foreign.recall("ada", "a river", 3),
        lambda: foreign.forget("ada", history.messages[0].id),
        lambda: inspection.summary(foreign, "ada"),
    ):
        with pytest.raises(ForeignMemory, match="mneme replay"):
            await call()
    done = await replay(foreign.database, foreign.device, "ada", write=False)
    assert done == Replayed("ada", len(history.messages), [], foreign=True, written=False)
    assert await tables(of.database) == before
    lines = "".join([part async for part in await export(foreign, "ada")]).splitlines()
    assert len(lines) == len(history.messages) + 2
    await foreign.erase("ada")
    assert not any(rows for name, rows in (await tables(of.database)).items() if name != "alembic_version")


@pytest.mark.parametrize("seed", [46, 47])
async def test_a_memory_is_carried_over_to_other_weights_with_its_traces(
    another: Another, other_device: Device, seed: int
) -> None:
    of, carried = another(), another(device=other_device)
    history = History(of, "ada", seed)
    await history.go_on(16)
    before, log_before = await tables(of.database), await logged(of, "ada")
    done = await replay(carried.database, carried.device, "ada", write=True)
    assert done == Replayed("ada", len(history.messages), [], foreign=True, written=True)
    await assert_whole(carried, "ada")
    with pytest.raises(ForeignMemory):
        await of.recall("ada", "a river", 3)
    unsure = [{**vars(message), "confidence": None} for message in log_before]
    assert [{**vars(message), "confidence": None} for message in await logged(carried, "ada")] == unsure
    assert (await tables(of.database))["forgotten"] == before["forgotten"]
    # Every turn that had read has read again, as many messages, and nothing that its owner had forgotten.
    there = {message.seq for message in log_before}
    old, new = (_found(content["reads"]) for content in (before, await tables(of.database)))
    assert {seq for seq, _ in new} <= {message.seq for message in log_before if message.confidence is not None}
    assert {source for _, source in new} <= there
    for seq in {seq for seq, _ in old}:
        assert sum(one == seq for one, _ in new) <= sum(one == seq for one, _ in old)
    history.of = carried
    await history.go_on(8)
    await assert_whole(carried, "ada")
    again = await replay(of.database, of.device, "ada", write=True)
    assert again is not None and again.written
    await assert_whole(of, "ada")


def _found(rows: list[dict[str, Any]]) -> set[tuple[int, int]]:
    return {(row["seq"], row["source"]) for row in rows}


async def test_a_carried_over_memory_reads_what_the_new_weights_would_have_read(
    another: Another, other_device: Device
) -> None:
    of, carried, fresh = another(), another(device=other_device), another(device=other_device)
    for user, one in (("ada", of), ("bob", fresh)):
        for turn in range(6):
            await one.remember(user, [said(f"river {turn} runs to the sea by village {turn}")])
            await one.recall_and_store(user, said(f"where does river {turn // 2} run?"), 3, 3)
    await replay(carried.database, carried.device, "ada", write=True)
    assert compare(await live_state(carried, "ada"), await live_state(fresh, "bob")) == []
    for ada, bob in zip(await logged(carried, "ada"), await logged(fresh, "bob"), strict=True):
        assert ada.confidence == pytest.approx(bob.confidence, abs=1e-5)
        mine = await inspection.trace(carried, "ada", ada.id)
        theirs = await inspection.trace(fresh, "bob", bob.id)
        assert [read.source for read, _ in mine.read] == [read.source for read, _ in theirs.read]


async def test_a_carried_over_turn_reads_nothing_that_was_forgotten_since(
    speaking: Memories, another: Another, encoder: Encoder
) -> None:
    day = ["We took the ferry to the island.", "Then we climbed the lighthouse.", "In the evening we ate mussels."]
    told = await speaking.remember("ada", [said(content) for content in day])
    await speaking.recall_and_store("ada", said("When did we take the ferry?"), 1, 0)
    heard = await speaking.recall_and_store("ada", said("What happened after that?"), 2, 0)
    assert heard.recalled.recollections[0].content == day[1]
    await speaking.forget("ada", told.messages[1][0].id)
    device = Device(lambda: (encoder, EpisodicMemory(encoder, EpisodicConfig(read=32))))
    carried = another(device=device)
    await replay(carried.database, device, "ada", write=True)
    await assert_whole(carried, "ada")
    read = (await inspection.trace(carried, "ada", heard.remembered.messages[0][0].id)).read
    assert len(read) == 1
    assert read[0][1].content in (day[0], day[2])
    async with carried.database.reading() as connection:
        assert await stored.reads_from(connection, await memory_id(carried), told.messages[1][0].seq) == []
    device.close()


async def test_a_failed_carrying_over_leaves_the_memory_as_it_was(
    another: Another, other_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = another()
    await History(of, "ada", seed=48).go_on(6)
    before, live = await tables(of.database), await live_state(of, "ada")

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(stored, "add_reads", fail)
        with pytest.raises(ZeroDivisionError):
            await replay(of.database, other_device, "ada", write=True)
    assert await tables(of.database) == before
    assert differing(live, await live_state(of, "ada")) == []
