"""What exports of other assistants hold: branches, roles, dates, attachments; and what a damaged one is told as."""

import json
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mneme_client.history import KINDS, BadHistory, Conversation, read
from mneme_client.history.files import Document

SAMPLES = Path(__file__).parent / "samples"
FILES = {
    "chatgpt": "chatgpt.json",
    "claude": "claude.json",
    "mem0": "mem0.json",
    "openai": "openai.jsonl",
    "jsonl": "own.jsonl",
}


def sample(kind: str) -> dict[str, Conversation]:
    return {one.session_id: one for one in read(kind, SAMPLES / FILES[kind])}


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in conversation.messages]


def test_of_chatgpt_s_tree_the_branch_that_was_shown_is_told() -> None:
    assert said(sample("chatgpt")["chatgpt:c-rome"]) == [
        ("user", "We fly to Rome in June."),
        ("assistant", "It is warm in Rome then ."),
        ("user", "This is our hotel."),
        ("user", "[attachment: file_0000]"),
        ("user", "And this is the view."),
    ]
    assert said(sample("chatgpt")["chatgpt:c-dog"]) == [
        ("user", "My dog is called Biscuit."), ("assistant", "What a name!"),
    ]  # fmt: skip


def test_chatgpt_s_messages_keep_their_dates_ids_and_attachments() -> None:
    first, reply, photo, *_ = sample("chatgpt")["chatgpt:c-rome"].messages
    assert first.occurred_at == datetime(2024, 5, 1, 10, 1, 40, 250_000, UTC)
    assert first.external_id == "chatgpt:c-rome:n2b"
    assert (reply.metadata["model"], reply.metadata["title"]) == ("gpt-4o", "Trip to Rome")
    assert photo.metadata["attachments"] == ["hotel.jpg"]


def test_what_the_user_wrote_of_themselves_comes_once() -> None:
    assert said(sample("chatgpt")["chatgpt:about-the-user"]) == [
        ("user", "I am a baker in Leiden."), ("user", "Answer in short sentences."),
    ]  # fmt: skip


def test_conversations_come_in_the_order_in_which_they_began() -> None:
    assert list(sample("chatgpt")) == ["chatgpt:about-the-user", "chatgpt:c-dog", "chatgpt:c-rome"]
    assert list(sample("claude")) == ["claude:k-old", "claude:k-garden"]


def test_claude_s_conversations_with_branches_and_without() -> None:
    garden = sample("claude")["claude:k-garden"]
    assert said(garden) == [
        ("user", "When do I sow carrots?"),
        ("assistant", "In April.\n\nNot earlier."),
        ("user", "Row 1: carrots."),
        ("user", "Here is the plan."),
    ]
    assert garden.messages[-1].metadata["attachments"] == ["plan.png"]
    assert garden.messages[0].occurred_at == datetime(2024, 3, 1, 10, 1, tzinfo=UTC)
    old = sample("claude")["claude:k-old"]
    assert [(one.role, one.external_id) for one in old.messages] == [("user", "claude:o1"), ("assistant", "claude:o2")]


def test_mem0_s_memories_are_what_the_user_says_and_when_it_was_last_so() -> None:
    tea, moved = (
        sample("mem0")["mem0:ada"].messages[0],
        [one for name, one in sample("mem0").items() if name != "mem0:ada"],
    )
    assert (tea.role, tea.content, tea.external_id) == (
        "user", "Likes tea more than coffee", "mem0:892db2ae-06d9-49e5-8b3e-585ef9b85b8c",
    )  # fmt: skip
    assert tea.metadata == {"from": "mem0", "categories": ["food"], "metadata": {"source": "chat"}}
    assert moved[0].messages[0].occurred_at == datetime(2025, 6, 1, tzinfo=timezone(-timedelta(hours=7)))


def test_openai_s_messages_line_by_line() -> None:
    plain, named = read("openai", SAMPLES / FILES["openai"])[::-1]
    assert said(named) == [("user", "I sold the bike."), ("assistant", "A pity.")]
    assert [one.external_id for one in named.messages] == ["openai:msg_1", "openai:msg_2"]
    assert named.messages[0].metadata["attachments"] == ["input_image"]
    assert [role for role, _ in said(plain)] == ["system", "user", "tool", "assistant"]
    assert len({one.external_id for one in plain.messages}) == 4


def test_lines_of_one_s_own() -> None:
    found = sample("jsonl")
    music = found["music"].messages[0]
    assert (music.external_id, music.metadata) == ("diary/1", {"app": "diary"})
    first, second = found["import"].messages
    assert first.external_id != second.external_id and first.content == second.content
    assert [
        one.speaker for name, one in ((name, one.messages[0]) for name, one in found.items()) if "jsonl" in name
    ] == ["Bob"]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_twice_gives_the_same_ids(kind: str) -> None:
    ids = [one.external_id for conversation in sample(kind).values() for one in conversation.messages]
    assert len(set(ids)) == len(ids)
    assert ids == [one.external_id for conversation in sample(kind).values() for one in conversation.messages]


def test_a_zip_file_is_taken_as_it_was_downloaded(tmp_path: Path) -> None:
    every = json.loads((SAMPLES / "chatgpt.json").read_text())
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/conversations-000.json", json.dumps(every[:1]))
        archive.writestr("export/conversations-001.json", "\ufeff" + json.dumps(every[1:]))
        archive.writestr("export/user.json", "{}")
        archive.writestr("__MACOSX/export/._conversations-000.json", "junk")
    found = read("chatgpt", tmp_path / "export.zip")
    assert {one.session_id for one in found} >= {"chatgpt:c-rome", "chatgpt:c-dog"}
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(tmp_path / "folder")
    (tmp_path / "folder" / "__MACOSX" / "export" / "._conversations-000.json").unlink()
    assert [one.session_id for one in read("chatgpt", tmp_path / "folder")] == [one.session_id for one in found]


def test_what_no_message_may_have_is_taken_out_and_long_texts_are_cut(tmp_path: Path) -> None:
    long = "\n".join(f"Line {number} of the report." for number in range(3000))
    lines = [
        {"content": "a\x00b\x1b[1m \ud800", "external_id": "odd"},
        {"content": long, "external_id": "long"},
        {"content": " "},
    ]
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in lines))
    [found] = read("jsonl", file)
    assert found.messages[0].content == "ab[1m "
    pieces = found.messages[1:]
    assert "".join(one.content for one in pieces) == long and all(len(one.content) <= 32_000 for one in pieces)
    assert [one.external_id for one in pieces] == ["long", "long#2", "long#3"]
    assert found.skipped == 1


def changed(path: list[Any], value: Any) -> str:
    every = json.loads((SAMPLES / "chatgpt.json").read_text())
    place = every
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(every)


LAST = [0, "mapping", "n9"]
BAD: dict[str, tuple[str, str, str]] = {
    "cut": ("chatgpt", (SAMPLES / "chatgpt.json").read_text()[:2000], "line 101, column 16: the file ends in"),
    "no JSON": ("chatgpt", '[\n{"a": }]', "x.json, line 2, column 7: no JSON"),
    "another kind": ("chatgpt", (SAMPLES / "claude.json").read_text(), "conversation 1: it has no id"),
    "another kind too": ("claude", (SAMPLES / "chatgpt.json").read_text(), "conversation 1: it has no uuid"),
    "no list": ("claude", '"x"', "x.json: must be a JSON list, is a text"),
    "no tree": ("chatgpt", changed([0, "mapping"], []), "('Trip to Rome'), mapping: must be a JSON object, is a list"),
    "no message": ("chatgpt", changed([*LAST, "message"], 7), "message n9: must be a JSON object, is a number"),
    "no time": ("chatgpt", changed([*LAST, "message", "create_time"], 1e99), "n9, create_time: 1e+99 is no time"),
    "nothing": ("mem0", "[]", "there is no message to remember"),
    "no memory": ("mem0", '[{"id": 3}]', "x.json, memory 1: it has no id"),
    "a role": ("openai", '[{"role": "boss", "content": "x"}]', "x.json, message 1, role: \"boss\" is none of"),
    "a field": ("jsonl", '{"content": "x"}\n\n{"content": "y", "mood": 1}', "x.json, line 3, mood"),
    "our own": ("jsonl", '{"kind": "mneme-export", "format": 2}', "send it to POST /v1/users/USER/import"),
    "deep": ("chatgpt", "[" * 100_000, "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_one_line_that_says_where(name: str, tmp_path: Path) -> None:
    kind, content, told = BAD[name]
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(BadHistory) as bad:
        read(kind, tmp_path / "x.json")
    assert told in str(bad.value) and "\n" not in str(bad.value)


def test_a_damaged_zip_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", (SAMPLES / "chatgpt.json").read_text() * 50)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadHistory, match="damaged"):
        read("chatgpt", file)
    file.write_bytes(whole[:200] + bytes(50) + whole[250:])
    with pytest.raises(BadHistory, match="damaged"):
        read("chatgpt", file)
    (tmp_path / "latin.json").write_bytes("[\n\xe4]".encode("latin-1"))
    with pytest.raises(BadHistory, match=r"latin.json, line 2: not UTF-8 at byte 2"):
        read("chatgpt", tmp_path / "latin.json")
    with pytest.raises(BadHistory, match="No such file"):
        read("chatgpt", tmp_path / "none.json")


JUNK: list[Any] = [None, 7, 1e18, "\0\ud800", [], {}, [None], {"a": []}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, one in inner for place in places(one, (*path, name)))]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_anywhere_is_read_or_told_in_one_line(kind: str) -> None:
    text = (SAMPLES / FILES[kind]).read_text()
    lines = text.splitlines() if FILES[kind].endswith("jsonl") else [text]
    told = 0
    for number, line in enumerate(lines):
        for path in places(json.loads(line)):
            for junk in JUNK:
                whole: Any = [json.loads(line)]
                holder, name = whole, 0
                for step in path:
                    holder, name = holder[name], step
                holder[name] = junk
                changed_text = "\n".join([*lines[:number], json.dumps(whole[0]), *lines[number + 1 :]])
                try:
                    found = list(KINDS[kind](Document("x.json", changed_text)))
                except BadHistory as bad:
                    told += 1
                    assert "\n" not in str(bad)
                else:
                    assert all(message.content.strip() for one in found for message in one.messages)
    assert told
