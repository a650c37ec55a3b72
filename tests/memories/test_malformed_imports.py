"""What is no whole export of ours is refused by its line and field, and nothing of it comes in."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.memories.memories import Memories
from app.memories.transfer import BadImport, import_user
from tests.conftest import ON_SQLITE
from tests.memories.exports import HEADING, LINE, body
from tests.memories.histories import said
from tests.store.contents import of_user, tables

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
