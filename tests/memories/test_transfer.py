"""A user taken along comes back the same under any name, and overwrites nobody."""

import asyncio
import json
from typing import Any

import pytest

from app.memories import inspection
from app.memories.device import Device
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.replay import compare
from app.memories.transfer import BadImport, UserExists, export, import_user
from app.store.database import Conflict
from tests.conftest import ON_SQLITE
from tests.memories.conftest import Another
from tests.memories.exports import HEADING, LINE, body
from tests.memories.histories import History, assert_whole, live_state, logged, said, stored_state
from tests.store.contents import tables


async def exported(of: Memories, user_id: str) -> bytes:
    return "".join([line async for line in await export(of, user_id)]).encode()


@pytest.mark.parametrize("seed", [81, 82])
async def test_a_user_comes_back_with_the_same_memory_under_another_name(
    memories: Memories, another: Another, seed: int
) -> None:
    history = History(memories, "ada", seed, forgets=False)
    await history.go_on(12)
    taken = await exported(memories, "ada")
    done = await import_user(another(), "bob", taken)
    assert (done.messages, done.head.version) == (len(history.messages), 1)
    assert compare(await live_state(memories, "ada"), await live_state(memories, "bob")) == []
    mine, theirs = await logged(memories, "ada"), await logged(memories, "bob")
    assert [(one.id, one.content, one.occurred_at, one.status, one.speaker, one.external_id) for one in mine] == [
        (one.id, one.content, one.occurred_at, one.status, one.speaker, one.external_id) for one in theirs
    ]
    assert await inspection.sessions(memories, "ada", None, 50) == await inspection.sessions(memories, "bob", None, 50)
    again = [json.loads(line) for line in (await exported(memories, "bob")).splitlines()]
    for before, now in zip(map(json.loads, taken.splitlines()[1:-1]), again[1:-1], strict=True):
        assert [one["message_id"] for one in now["read"]] == [one["message_id"] for one in before["read"]]
        for name in ("weight", "confidence"):
            was, is_now = ([line[name]] if name in line else [one[name] for one in line["read"]]
                           for line in (before, now))  # fmt: skip
            assert is_now == pytest.approx(was, abs=1e-4)
        assert {**now, "read": [], "confidence": 0} == {**before, "read": [], "confidence": 0}
    for query in ("who lost the kettle?", "And after that?", "a yellow zebra"):
        one, other = [await memories.recall(user, query, 5) for user in ("ada", "bob")]
        assert [found.message.id for found in one.recollections] == [found.message.id for found in other.recollections]
    await assert_whole(memories, "bob")


@ON_SQLITE
@pytest.mark.parametrize(("seed", "slots"), [(83, 256), (87, 24), (88, 16)])
async def test_live_replayed_and_imported_memories_are_one_tensor_by_tensor_whatever_was_forgotten(
    another: Another, seed: int, slots: int
) -> None:
    memories = another(slots=slots)
    history = History(memories, "ada", seed)
    await history.go_on(25)
    mine = await logged(memories, "ada")
    assert len(mine) < mine[-1].seq, "something was forgotten"
    await assert_whole(memories, "ada")  # live = replay
    await import_user(memories, "bob", await exported(memories, "ada"))
    assert compare(await live_state(memories, "ada"), await live_state(memories, "bob")) == []
    assert compare(await stored_state(memories, "ada"), await stored_state(memories, "bob")) == []
    await assert_whole(memories, "bob")
    theirs = await logged(memories, "bob")
    assert theirs == mine  # numbers included
    for query in ("who lost the kettle?", "And after that?"):
        one, other = [await memories.recall(user, query, 5) for user in ("ada", "bob")]
        assert [(found.message.id, found.slot) for found in one.recollections] == [
            (found.message.id, found.slot) for found in other.recollections
        ]
        assert [found.weight for found in one.recollections] == pytest.approx(
            [found.weight for found in other.recollections], abs=1e-5
        )


@ON_SQLITE
async def test_a_user_that_came_back_goes_on_as_the_one_that_stayed(memories: Memories) -> None:
    history = History(memories, "ada", seed=89)
    await history.go_on(15)
    await import_user(memories, "bob", await exported(memories, "ada"))
    copy = History(memories, "bob", seed=90)
    copy.messages, copy._external = await logged(memories, "bob"), history._external
    history.choose, history.messages, history.heard, history.gone = copy.choose, await logged(memories, "ada"), [], []
    state = copy.choose.getstate()
    await copy.go_on(8)
    copy.choose.setstate(state)
    await history.go_on(8)
    assert compare(await live_state(memories, "ada"), await live_state(memories, "bob")) == []
    for user in ("ada", "bob"):
        await assert_whole(memories, user)
    await import_user(memories, "eve", await exported(memories, "bob"))
    assert compare(await live_state(memories, "bob"), await live_state(memories, "eve")) == []


@ON_SQLITE
async def test_other_weights_and_smaller_memories_read_anew_and_are_whole(
    memories: Memories, another: Another, other_device: Device
) -> None:
    await History(memories, "ada", seed=91).go_on(15)
    taken = await exported(memories, "ada")
    for user, of in (("bob", another(device=other_device)), ("eve", another(slots=32))):
        await import_user(of, user, taken)
        await assert_whole(of, user)
        assert [message.id for message in await logged(of, user)] == [one.id for one in await logged(memories, "ada")]


def as_before(lines: bytes) -> bytes:
    """An export as the version before wrote it: only messages, each with the messages that its turn had read."""
    _, *rest, _ = map(json.loads, lines.splitlines())
    said = [line for line in rest if line.get("kind") != "forgotten"]
    for line in said:
        line["read"] = [{name: one[name] for name in ("message_id", "weight", "standing")} for one in line["read"]]
    return body(*said)


@ON_SQLITE
async def test_an_export_of_the_version_before_still_comes_in(memories: Memories) -> None:
    await History(memories, "ada", seed=92).go_on(15)
    await import_user(memories, "bob", as_before(await exported(memories, "ada")))
    mine, theirs = await logged(memories, "ada"), await logged(memories, "bob")
    assert [message.id for message in mine] == [message.id for message in theirs]
    assert [message.seq for message in theirs] == list(range(1, len(mine) + 1))
    await assert_whole(memories, "bob")


@ON_SQLITE
async def test_a_file_that_is_not_whole_is_refused_wherever_it_ends(memories: Memories) -> None:
    await History(memories, "ada", seed=93).go_on(12)
    whole = (await exported(memories, "ada")).decode().splitlines()
    for kept in range(1, len(whole)):
        with pytest.raises(BadImport, match="ends early") as refused:
            await import_user(memories, "bob", "\n".join(whole[:kept]).encode())
        assert refused.value.pointer == f"#/{kept - 1}"
    for without in (1, len(whole) // 2, len(whole) - 2):
        with pytest.raises(BadImport, match=r"no message before|lines are missing|must be from"):
            await import_user(memories, "bob", "\n".join(whole[:without] + whole[without + 1 :]).encode())
    with pytest.raises(BadImport, match="nothing may follow"):
        await import_user(memories, "bob", "\n".join([*whole, whole[1]]).encode())
    assert (await import_user(memories, "bob", "\n\n".join(whole).encode())).messages


@ON_SQLITE
async def test_lines_are_counted_as_the_file_has_them(memories: Memories) -> None:
    lines = json.dumps(HEADING) + "\n\n" + json.dumps(LINE) + "\n \n" + json.dumps({**LINE, "id": "x"})
    with pytest.raises(BadImport) as refused:
        await import_user(memories, "bob", lines.encode())
    assert (refused.value.pointer, refused.value.where) == ("#/4/id", "line 5, id")


@ON_SQLITE
async def test_what_is_forgotten_while_it_is_exported_ends_the_export_without_an_end(
    memories: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.memories.transfer._EXPORTED_AT_ONCE", 2)
    done = await memories.remember("ada", [said(f"river {number}") for number in range(6)])
    lines = await export(memories, "ada")
    taken = [await anext(lines), await anext(lines)]
    await memories.remember("ada", [said("a later one")])
    taken.append(await anext(lines))
    await memories.forget("ada", done.messages[0][0].id)
    with pytest.raises(Conflict):
        await anext(lines)
    with pytest.raises(BadImport, match="4 of 6 messages"):
        await import_user(memories, "bob", "".join(taken).encode())


async def test_what_comes_back_is_recalled_as_before(speaking: Memories) -> None:
    told = ["My dog is called Biscuit.", "I work in a bakery in Leiden.", "We took the ferry.", "Then we ate mussels."]
    done = await speaking.remember("ada", [said(content) for content in told] + [said("a slip of the tongue")])
    await speaking.forget("ada", done.messages[-1][0].id)
    await speaking.recall_and_store("ada", said("When did we take the ferry?"), 2, 2)
    await import_user(speaking, "bob", await exported(speaking, "ada"))
    for query in ("What is my dog called?", "Where do I work?", "What happened after that?"):
        one, other = [await speaking.recall(user, query, 5) for user in ("ada", "bob")]
        assert [found.content for found in one.recollections] == [found.content for found in other.recollections]
        assert [found.weight for found in one.recollections] == pytest.approx(
            [found.weight for found in other.recollections], abs=1e-4
        )
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)


async def test_a_long_log_is_exported_whole_and_in_order(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.memories.transfer._MESSAGES_AT_ONCE", 4)
    for count in (3, 4, 5, 8):
        user = f"user{count}"
        await memories.remember(user, [said(f"river {number}") for number in range(count)])
        lines = (await exported(memories, user)).decode().splitlines()
        assert [json.loads(line)["content"] for line in lines[1:-1]] == [f"river {number}" for number in range(count)]
        assert (await import_user(memories, f"{user}.again", "\n".join(lines).encode())).messages == count


async def test_odd_characters_come_back_as_they_were(memories: Memories) -> None:
    odd = [
        '"quoted" \\ and \u2028 lines\nbroken\ttwice',
        "日本語 und Grüße 🦫 é e\u0301",
        "\u2029 \ufeff next line?\r\n",
    ]
    await memories.remember("ada", [said(content) for content in odd])
    await import_user(memories, "bob", await exported(memories, "ada"))
    assert [message.content for message in await logged(memories, "bob")] == odd


async def test_exporting_nobody_is_told_before_the_first_line(memories: Memories) -> None:
    with pytest.raises(NotFound):
        await export(memories, "nobody")


async def test_a_user_who_is_there_is_not_overwritten(memories: Memories, another: Another) -> None:
    await History(memories, "ada", seed=85).go_on(4)
    before = await tables(memories.database)
    for of in (memories, another()):
        with pytest.raises(UserExists):
            await import_user(of, "ada", body(LINE))
    assert await tables(memories.database) == before


async def test_of_imports_at_once_one_comes_in_whole(memories: Memories, another: Another) -> None:
    for number in range(3):
        user, lines = (
            f"user{number}",
            [[{**LINE, "id": f"{one}{place}" * 16} for place in range(6)] for one in range(3)],
        )
        ended = await asyncio.gather(
            *(
                import_user(of, user, body(*mine))
                for of, mine in zip((memories, another(), memories), lines, strict=True)
            ),
            return_exceptions=True,
        )
        came = [one for one in ended if not isinstance(one, BaseException)]
        assert len(came) == 1
        assert {type(one) for one in ended if isinstance(one, BaseException)} == {UserExists}
        assert len({message.id[0] for message in await logged(memories, user)}) == 1
        await assert_whole(memories, user)


async def test_a_user_begun_while_the_import_computes_is_not_overwritten(
    memories: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = memories.device.encode

    async def encode(texts: list[str]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(memories.device, "encode", real)
            await memories.remember("ada", [said("I was quicker")])
        return await real(texts)

    with monkeypatch.context() as patch:
        patch.setattr(memories.device, "encode", encode)
        with pytest.raises(UserExists):
            await import_user(memories, "ada", body(LINE))
    assert [message.content for message in await logged(memories, "ada")] == ["I was quicker"]
    await assert_whole(memories, "ada")


async def test_an_import_larger_than_the_memory_keeps_every_message(another: Another) -> None:
    of = another(slots=16)
    lines = [{**LINE, "id": f"{number:032x}", "content": f"river {number}"} for number in range(60)]
    done = await import_user(of, "ada", body(*lines))
    assert (done.messages, done.slots_used) == (60, 16)
    assert len(await logged(of, "ada")) == 60
    await assert_whole(of, "ada")
