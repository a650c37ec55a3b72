"""A user taken along comes back the same under any name; what is no export comes in nowhere."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.memories import inspection
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.replay import compare
from app.memories.transfer import BadImport, UserExists, export, import_user
from tests.memories.conftest import Another
from tests.memories.histories import History, assert_whole, live_state, logged, said
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
    for before, now in zip(map(json.loads, taken.splitlines()[1:]), again[1:], strict=True):
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


async def test_a_user_with_gaps_comes_back_without_them_and_goes_on(memories: Memories) -> None:
    history = History(memories, "ada", seed=83)
    await history.go_on(30)
    assert history.gone or len(history.messages) < (await logged(memories, "ada"))[-1].seq
    await import_user(memories, "bob", await exported(memories, "ada"))
    mine, theirs = await logged(memories, "ada"), await logged(memories, "bob")
    assert [message.id for message in mine] == [message.id for message in theirs]
    assert [message.seq for message in theirs] == list(range(1, len(mine) + 1))
    await assert_whole(memories, "bob")
    copy = History(memories, "bob", seed=84)
    copy.messages, copy._external = theirs, history._external
    await copy.go_on(12)
    await assert_whole(memories, "bob")
    await assert_whole(memories, "ada")


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
        assert [json.loads(line)["content"] for line in lines[1:]] == [f"river {number}" for number in range(count)]
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
        (json.dumps({**HEADING, "format": 2}).encode(), "#/0/format"),
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
    of = another(slots=4)
    lines = [{**LINE, "id": f"{number:032x}", "content": f"river {number}"} for number in range(60)]
    done = await import_user(of, "ada", body(*lines))
    assert (done.messages, done.slots_used) == (60, 4)
    assert len(await logged(of, "ada")) == 60
    await assert_whole(of, "ada")
