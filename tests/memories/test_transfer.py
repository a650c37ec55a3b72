"""A user taken along comes back the same under any name; what is no export comes in nowhere."""

import asyncio
import json
from collections.abc import Callable
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
from tests.memories.histories import History, assert_whole, live_state, logged, said, stored_state
from tests.store.contents import of_user, tables

HEADING = {"kind": "mneme-export", "format": 1, "user_id": "ada", "fingerprint": "f" * 16}
LINE: dict[str, Any] = {
    "id": "a" * 32,
    "external_id": None,
    "session_id": "s",
    "role": "user",
    "speaker": None,
    "content": "We saw a river.",
    "occurred_at": "2025-03-01T12:00:00+00:00",
    "status": "complete",
    "confidence": None,
    "read": [],
}


async def exported(of: Memories, user_id: str) -> bytes:
    return "".join([line async for line in await export(of, user_id)]).encode()


def body(*lines: Any) -> bytes:
    """Lines after a heading; those that are no objects are taken as they are."""
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in (HEADING, *lines)).encode()


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


FORGOTTEN: dict[str, Any] = {"kind": "forgotten", "parts": 1, "gate": 1.0, "after": 2, "order": 1}
READ: dict[str, Any] = {
    "message_id": "a" * 32, "slot": 0, "weight": 0.5, "content": 0.5, "forward": 0.0, "backward": 0.0, "standing": 0.0,
}  # fmt: skip
BAD_PLACES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "freed before it was taken": (LINE, {**FORGOTTEN, "after": 1}, "#/2/after"),
    "freed after the end": (LINE, {**FORGOTTEN, "after": 3}, "#/2/after"),
    "of no parts": (LINE, {**FORGOTTEN, "parts": 0}, "#/2/parts"),
    "of a part and a half": (LINE, {**FORGOTTEN, "parts": 1.5}, "#/2/parts"),
    "with a gate beyond all": (LINE, {**FORGOTTEN, "gate": 1.1}, "#/2/gate"),
    "of no order": (LINE, {**FORGOTTEN, "order": 0}, "#/2/order"),
    "with a text": (LINE, {**FORGOTTEN, "content": "x"}, "#/2/content"),
    "a reading of what is not there": (
        {**LINE, "read": [{**READ, "message_id": "b" * 32}]}, FORGOTTEN, "#/1/read/0/message_id",
    ),
    "a reading of itself": ({**LINE, "read": [READ]}, FORGOTTEN, "#/1/read/0/message_id"),
    "a slot below all": ({**LINE, "read": [{**READ, "slot": -1}]}, FORGOTTEN, "#/1/read/0/slot"),
    "a weight above all": ({**LINE, "read": [{**READ, "weight": 7}]}, FORGOTTEN, "#/1/read/0/weight"),
}  # fmt: skip


def as_now(*lines: dict[str, Any], **more: Any) -> bytes:
    forgotten = sum(line.get("kind") == "forgotten" for line in lines)
    counts = {"messages": len(lines) - forgotten, "forgotten": forgotten}
    heading = {**HEADING, "format": 2, **counts, **more}
    return "\n".join(map(json.dumps, [heading, *lines, {"kind": "mneme-export-end", **counts}])).encode()


@ON_SQLITE
async def test_every_malformed_place_is_refused_by_its_line_and_field(memories: Memories) -> None:
    for name, (first, second, pointer) in BAD_PLACES.items():
        with pytest.raises(BadImport) as refused:
            await import_user(memories, "bob", as_now(first, second))
        assert (name, refused.value.pointer) == (name, pointer)


@ON_SQLITE
async def test_what_no_memory_would_have_written_does_no_harm(memories: Memories) -> None:
    reader = {**LINE, "id": "b" * 32, "confidence": 0.5}
    reading = [{**READ, "slot": slot} for slot in (0, 3, 10**6)]
    lines = [LINE, {**FORGOTTEN, "parts": 10**6}, {**reader, "read": reading}, {**LINE, "id": "c" * 32}]
    mine = {"fingerprint": memories.device.fingerprint, "capacity": memories.slots}
    for user, more in (("bob", mine), ("eve", {**mine, "capacity": 10**9}), ("ida", {"capacity": 1})):
        done = await import_user(memories, user, as_now(*lines, **more))
        assert (done.messages, done.head.capacity) == (3, memories.slots)
        assert (await memories.recall(user, "a river", 5)).recollections
        await memories.forget(user, "a" * 32)
        await memories.recall_and_store(user, said("Which river?"), 3, 2)
        await memories.forget(user, "b" * 32)


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


Changed = Callable[[dict[str, Any]], Any]

BAD_LINES: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "#/2"),
    "not an object": ("[]", "#/2"),
    "nested without end": ("[" * 100_000, "#/2"),
    "a field missing": ({key: LINE[key] for key in LINE if key != "content"}, "#/2/content"),
    "a field unknown": ({**LINE, "mood": "good"}, "#/2/mood"),
    "an id of another kind": ({**LINE, "id": "x"}, "#/2/id"),
    "an id with a line break": ({**LINE, "id": "a" * 32 + "\n"}, "#/2/id"),
    "a role unknown": ({**LINE, "role": "boss"}, "#/2/role"),
    "no content": ({**LINE, "content": ""}, "#/2/content"),
    "content too long": ({**LINE, "content": "x" * 32_001}, "#/2/content"),
    "content with a zero": ({**LINE, "content": "a\0b"}, "#/2/content"),
    "content of another kind": ({**LINE, "content": 7}, "#/2/content"),
    "half a character": (json.dumps({**LINE, "content": "?"}).replace("?", "\\ud800"), "#/2"),
    "a session with a space": ({**LINE, "session_id": "a b"}, "#/2/session_id"),
    "a session with a line break": ({**LINE, "session_id": "a\n"}, "#/2/session_id"),
    "a speaker too long": ({**LINE, "speaker": "x" * 129}, "#/2/speaker"),
    "a session of one dot": ({**LINE, "session_id": "."}, "#/2/session_id"),
    "a session of two dots": ({**LINE, "session_id": ".."}, "#/2/session_id"),
    "blank content": ({**LINE, "content": " \n\t\u2003"}, "#/2/content"),
    "content with an escape": ({**LINE, "content": "a\x1b[31m"}, "#/2/content"),
    "content with a next line": ({**LINE, "content": "a\x85b"}, "#/2/content"),
    "a speaker of no letters": ({**LINE, "speaker": ""}, "#/2/speaker"),
    "a blank speaker": ({**LINE, "speaker": " "}, "#/2/speaker"),
    "a speaker with a zero": ({**LINE, "speaker": "a\0"}, "#/2/speaker"),
    "an external id too long": ({**LINE, "external_id": "x" * 257}, "#/2/external_id"),
    "an external id of no letters": ({**LINE, "external_id": ""}, "#/2/external_id"),
    "an external id with a delete": ({**LINE, "external_id": "a\x7f"}, "#/2/external_id"),
    "an external id with a zero": ({**LINE, "external_id": "a\0"}, "#/2/external_id"),
    "a moment that is a number": ({**LINE, "occurred_at": 1_700_000_000}, "#/2/occurred_at"),
    "a moment that is none": ({**LINE, "occurred_at": "yesterday"}, "#/2/occurred_at"),
    "a moment before the year 1": ({**LINE, "occurred_at": "0001-01-01T00:00:00+14:00"}, "#/2/occurred_at"),
    "a moment after the year 9999": ({**LINE, "occurred_at": "9999-12-31T23:59:59-14:00"}, "#/2/occurred_at"),
    "a status unknown": ({**LINE, "status": "lost"}, "#/2/status"),
    "a confidence that is no number": ({**LINE, "confidence": "high"}, "#/2/confidence"),
    "a confidence that is not finite": ({**LINE, "confidence": float("nan")}, "#/2/confidence"),
    "metadata too large": ({**LINE, "metadata": {"a": "x" * 5000}}, "#/2/metadata"),
    "metadata too deep": ({**LINE, "metadata": {"a": [[[[[[[[[]]]]]]]]]}}, "#/2/metadata"),
    "metadata with a zero": ({**LINE, "metadata": {"a": "\0"}}, "#/2/metadata"),
    "a cue that is no text": ({**LINE, "parsed": {"cue": 5}}, "#/2/parsed/cue"),
    "a span of one end": ({**LINE, "parsed": {"span": [1]}}, "#/2/parsed/span/1"),
    "a span beyond the calendar": ({**LINE, "parsed": {"span": [0, 10**15]}}, "#/2/parsed/span/1"),
    "a reading of nothing": ({**LINE, "read": [{"weight": 1.0}]}, "#/2/read/0/message_id"),
    "the same message twice": (LINE, "#/2/id"),
    "the same external id twice": ({**LINE, "id": "b" * 32, "external_id": "x"}, "#/2/external_id"),
}


async def test_every_malformed_line_is_refused_by_its_number_and_field_and_nothing_comes_in(
    memories: Memories,
) -> None:
    await memories.remember("ada", [said("a river")])
    before = await tables(memories.database)
    for name, (line, pointer) in BAD_LINES.items():
        first = {**LINE, "external_id": "x"}
        if name != "the same message twice":
            first["id"] = "c" * 32
        with pytest.raises(BadImport) as refused:
            await import_user(memories, "bob", body(first, line))
        assert (name, refused.value.pointer) == (name, pointer)
        assert str(refused.value)
    assert await tables(memories.database) == before


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"", "#/0"),
        (b"\n \n", "#/0"),
        (b"\xff\xfe", "#"),
        (b"{}", "#/0/kind"),
        (json.dumps(LINE).encode(), "#/0/kind"),
        (json.dumps({**HEADING, "format": 3}).encode(), "#/0/format"),
        (json.dumps({**HEADING, "format": True}).encode(), "#/0/format"),
        (json.dumps({**HEADING, "format": 1.0}).encode(), "#/0/format"),
        (json.dumps({**HEADING, "format": 2}).encode(), "#/0/messages"),
        (b"PK\x03\x04", "#/0"),
    ],
)
async def test_what_is_no_export_is_refused(memories: Memories, content: bytes, pointer: str) -> None:
    with pytest.raises(BadImport) as refused:
        await import_user(memories, "bob", content)
    assert refused.value.pointer == pointer
    assert of_user(await tables(memories.database), "bob") == {}


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
