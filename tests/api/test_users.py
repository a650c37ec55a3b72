"""A user's messages, memory, sessions, export, import and erasure: every route but chat."""

import io
import json
from collections.abc import AsyncGenerator

import numpy as np
import pytest
import safetensors.numpy

from benchmarks.scripted_model import Prompt
from tests.api.service import Service, problem
from tests.api.test_chat import RECOLLECTION

SAID = ["My dog is called Biscuit.", "The ferry leaves at noon.", "Ottoline keeps bees by the lighthouse."]
ENTRY = {"id", "external_id", "role", "speaker", "name", "content", "metadata", "occurred_at", "status"}
SLOT = {
    "slot", "message_id", "external_id", "session_id", "role", "speaker", "text", "occurred_at", "part", "usage",
    "strength", "reads", "links", "shared_with",
}  # fmt: skip
GLANCE = {
    "version", "slots", "slots_used", "word_shape", "dtype", "bytes", "fingerprint", "usage_histogram", "oldest",
    "newest", "last_read",
}  # fmt: skip


async def test_remembering_answers_with_every_field_of_the_contract(service: Service, user: str) -> None:
    done = await service.remember(user, *SAID)
    assert set(done) == {"messages", "memory"}
    assert set(done["memory"]) == {"version", "slots_used"}
    assert [set(one) for one in done["messages"]] == [{"id", "external_id", "slots"}] * 3
    assert done["memory"]["slots_used"] == 3
    assert len({slot for one in done["messages"] for slot in one["slots"]}) == 3


async def test_an_import_is_idempotent_on_the_callers_ids(service: Service, user: str) -> None:
    messages = [{"role": "user", "content": text, "external_id": f"m/{n} é"} for n, text in enumerate(SAID)]
    path, body = f"/v1/users/{user}/messages", {"session_id": "s1", "messages": messages}
    first = await service.post(path, body, 201)
    again = await service.post(path, body, 201)
    assert again == first
    more = [*messages, {"role": "user", "content": "And one more.", "external_id": "new"}]
    longer = await service.post(path, {"session_id": "s1", "messages": more}, 201)
    assert longer["messages"][:3] == first["messages"]
    assert [one["external_id"] for one in await service.log(user, "s1")] == ["m/0 é", "m/1 é", "m/2 é", "new"]


async def test_the_same_external_id_twice_in_one_import_is_one_message(service: Service, user: str) -> None:
    done = await service.remember(user, "Said once.", "Said once.", external_id="x")
    assert done["messages"][0] == done["messages"][1]
    assert len(await service.log(user, "monday")) == 1


async def test_a_message_keeps_all_that_was_said_of_it(service: Service, user: str) -> None:
    said = {
        "role": "assistant", "content": "Hi.\nYou.", "speaker": "Ada", "external_id": "e1",
        "occurred_at": "2023-01-02T03:04:05.678901Z",
    }  # fmt: skip
    done = await service.post(f"/v1/users/{user}/messages", {"session_id": "s1", "messages": [said]}, 201)
    (entry,) = await service.log(user, "s1")
    assert entry == {**said, "id": done["messages"][0]["id"], "status": "complete", "name": None, "metadata": {}}


async def test_a_thousand_messages_are_remembered_at_once_and_paged_through(service: Service, user: str) -> None:
    messages = [{"role": "user", "content": f"Number {n}."} for n in range(1000)]
    await service.post(f"/v1/users/{user}/messages", {"session_id": "s1", "messages": messages}, 201)
    log = await service.pages(f"/v1/users/{user}/sessions/s1/messages", "messages", 300)
    assert [one["content"] for one in log] == [one["content"] for one in messages]
    for order in ("slot", "usage", "reads", "strength", "written"):
        slots = await service.pages(f"/v1/users/{user}/memory/slots?order={order}", "slots", 300)
        assert sorted(slot["text"] for slot in slots) == sorted(one["content"] for one in messages), order


async def test_recall_answers_with_every_field_and_changes_nothing(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    before = await service.get(f"/v1/users/{user}/memory")
    body = {"query": "What is my dog called?", "k": 2, "asked_at": "2024-01-01T00:00:00Z", "session_id": "monday"}
    found = await service.post(f"/v1/users/{user}/memory/recall", body)
    assert set(found) == {"recalled", "confidence", "timings_ms"}
    assert 0 <= found["confidence"] <= 1
    assert len(found["recalled"]) == 2
    assert all(set(one) == RECOLLECTION for one in found["recalled"])
    assert found["recalled"][0]["content"] == SAID[0]
    assert await service.get(f"/v1/users/{user}/memory") == before


async def test_recall_in_one_session_finds_only_what_was_said_there(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", session="a")
    await service.remember(user, "My cat is called Treacle.", session="b")
    assert (await service.recalled(user, "What is my pet called?", k=1, session_id="b")) == [
        "My cat is called Treacle."
    ]
    missing = {"query": "?!", "session_id": "nowhere"}
    problem(await service.call("POST", f"/v1/users/{user}/memory/recall", json=missing), 404)


async def test_the_glance_has_every_field_of_the_contract(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    summary = await service.get(f"/v1/users/{user}/memory")
    assert set(summary) == GLANCE
    assert summary["slots_used"] == sum(summary["usage_histogram"]) == 3
    assert summary["fingerprint"] == (await service.get("/version"))["fingerprint"]
    assert summary["last_read"] is None
    await service.chat(user, "Hello there.")
    assert (await service.get(f"/v1/users/{user}/memory"))["last_read"] is not None


async def test_slots_have_every_field_and_link_to_their_neighbours_in_time(service: Service, user: str) -> None:
    done = await service.remember(user, *SAID)
    first, second, third = (one["slots"][0] for one in done["messages"])
    slots = {slot["slot"]: slot for slot in await service.pages(f"/v1/users/{user}/memory/slots", "slots", 2)}
    assert all(set(slot) == SLOT for slot in slots.values())
    assert first in [link["slot"] for link in slots[second]["links"]["before"]]
    assert third in [link["slot"] for link in slots[second]["links"]["after"]]
    whole = await service.get(f"/v1/users/{user}/memory/slots/{second}")
    assert set(whole) == SLOT | {"pieces", "word"}
    assert {name: whole[name] for name in SLOT} == slots[second]
    assert "ferry" in whole["pieces"]
    assert np.allclose(np.linalg.norm(np.array(whole["word"][: len(whole["pieces"])]), axis=1), 1, atol=0.05)


async def test_the_matrix_comes_in_both_formats_with_the_same_tensors(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    path = f"/v1/users/{user}/memory/matrix"
    default = await service.call("GET", path)
    assert "memory.npz" in default.headers["content-disposition"]
    with np.load(io.BytesIO(default.content)) as npz:
        arrays = {name: npz[name] for name in npz.files}
    tensors = safetensors.numpy.load((await service.call("GET", f"{path}?format=safetensors")).content)
    assert {"usage", "words", "forward_slots", "backward_slots"} <= set(arrays)
    assert any(name.startswith("precedence") for name in arrays)
    for name, array in tensors.items():
        assert np.array_equal(array, arrays[name]), name


async def test_the_trace_tells_what_a_turn_read_and_wrote(service: Service, user: str) -> None:
    done = await service.remember(user, *SAID)
    reply = await service.chat(user, "What is my dog called?")
    trace = await service.get(f"/v1/users/{user}/messages/{reply['user_message_id']}/trace")
    assert set(trace) == {"message_id", "confidence", "read", "written"}
    assert [set(one) for one in trace["read"]] == [{"slot", "message_id", "weight", "modes"}] * len(trace["read"])
    assert trace["read"][0]["message_id"] == done["messages"][0]["id"]
    of_reply = await service.get(f"/v1/users/{user}/messages/{reply['reply_message_id']}/trace")
    assert of_reply["read"] == []
    assert of_reply["confidence"] is None
    written = [one["slot"] for one in trace["written"] + of_reply["written"]]
    assert written == reply["memory"]["written"]


async def test_a_deleted_message_is_gone_from_everywhere(service: Service, user: str) -> None:
    done = await service.remember(user, *SAID)
    gone = done["messages"][0]["id"]
    reply = await service.chat(user, "What is my dog called?")
    assert (await service.call("DELETE", f"/v1/users/{user}/messages/{gone}")).status_code == 204
    for path in (
        f"/v1/users/{user}/sessions/monday/messages",
        f"/v1/users/{user}/memory/slots",
        f"/v1/users/{user}/messages/{reply['user_message_id']}/trace",
        f"/v1/users/{user}/export",
    ):
        assert gone not in (await service.call("GET", path)).text, path
    assert SAID[0] not in await service.recalled(user, "What is my dog called?")
    problem(await service.call("GET", f"/v1/users/{user}/messages/{gone}/trace"), 404)
    problem(await service.call("DELETE", f"/v1/users/{user}/messages/{gone}"), 404)


async def test_sessions_come_newest_first_and_each_exactly_once(service: Service, user: str) -> None:
    for number in range(7):
        await service.remember(user, f"Session {number}.", session=f"s{number}")
    await service.remember(user, "Again.", session="s2")
    path = f"/v1/users/{user}/sessions"
    entries = await service.pages(path, "sessions", 3)
    assert all(set(one) == {"session_id", "started_at", "last_at", "messages"} for one in entries)
    assert [one["session_id"] for one in entries] == ["s2", "s6", "s5", "s4", "s3", "s1", "s0"]
    assert [one["messages"] for one in entries] == [2, 1, 1, 1, 1, 1, 1]
    assert await service.pages(path, "sessions", 1) == await service.pages(path, "sessions", 1000) == entries


async def test_pages_are_whole_while_the_user_goes_on_talking(service: Service, user: str) -> None:
    await service.remember(user, *(f"Number {n}." for n in range(5)))
    path = f"/v1/users/{user}/sessions/monday/messages"
    page = await service.get(path, params={"limit": 2})
    await service.remember(user, "Number 5.")
    rest = await service.get(path, params={"limit": 10, "cursor": page["next_cursor"]})
    assert [one["content"] for one in page["messages"] + rest["messages"]] == [f"Number {n}." for n in range(6)]
    assert rest["next_cursor"] is None
    assert all(set(one) == ENTRY for one in rest["messages"])


async def test_what_is_exported_comes_back_under_another_name(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    await service.chat(user, "What is my dog called?", session_id="s1", occurred_at="2024-01-01T00:00:00Z")
    lines = await service.call("GET", f"/v1/users/{user}/export")
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    parsed = [json.loads(line) for line in lines.text.strip().split("\n")]
    assert len(parsed) == 1 + 5 + 1
    other = f"{user}.2"
    done = await service.call("POST", f"/v1/users/{other}/import", content=lines.content)
    assert done.status_code == 201, done.text
    assert set(done.json()) == {"messages", "memory"}
    assert done.json()["messages"] == 5
    for path in ("sessions", "sessions/s1/messages", "sessions/monday/messages"):
        assert await service.get(f"/v1/users/{other}/{path}") == await service.get(f"/v1/users/{user}/{path}"), path
    mine, theirs = [(await service.get(f"/v1/users/{one}/memory/slots"))["slots"] for one in (user, other)]
    assert [(one["slot"], one["message_id"], one["reads"]) for one in theirs] == [
        (one["slot"], one["message_id"], one["reads"]) for one in mine
    ]
    again = (await service.call("GET", f"/v1/users/{other}/export")).text.strip().split("\n")
    for line, before in zip(again[1:-1], parsed[1:-1], strict=True):
        after = json.loads(line)
        found, expected = [[(one["message_id"], one["weight"]) for one in of.pop("read")] for of in (after, before)]
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected], abs=1e-4)
        assert after.pop("confidence") == pytest.approx(before.pop("confidence"), abs=1e-4)
        assert after == before


async def test_an_import_never_overwrites_a_user(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    lines = (await service.call("GET", f"/v1/users/{user}/export")).content
    problem(await service.call("POST", f"/v1/users/{user}/import", content=lines), 409)
    assert len(await service.log(user, "monday")) == 3


@pytest.mark.parametrize(
    ("field", "wrong", "detail"),
    [
        ("content", " ", "must not be blank"),
        ("content", "a\x1bb", "must not contain the control character U+001B"),
        ("speaker", "\x85", "must not be blank"),
        ("session_id", "..", "must not be . or ..: no client could write it into a path"),
    ],
)
async def test_an_import_refuses_what_the_other_routes_refuse_and_in_the_same_words(
    service: Service, user: str, field: str, wrong: str, detail: str
) -> None:
    await service.remember(user, *SAID)
    heading, first, second, *rest = (await service.call("GET", f"/v1/users/{user}/export")).text.strip().split("\n")
    body = "\n".join([heading, first, json.dumps({**json.loads(second), field: wrong}), *rest])
    reply = problem(await service.call("POST", f"/v1/users/{user}.2/import", content=body), 422)
    assert reply["errors"] == [{"pointer": f"#/2/{field}", "in": "body", "detail": detail}]
    messages = [{"role": "user", "content": "Hello there.", **({field: wrong} if field != "session_id" else {})}]
    session = {"session_id": wrong} if field == "session_id" else {}
    path = f"/v1/users/{user}.2/messages"
    said = problem(await service.call("POST", path, json={"messages": messages, **session}), 422)
    assert said["errors"][0]["detail"] == detail
    problem(await service.call("GET", f"/v1/users/{user}.2/memory"), 404)


async def test_a_reply_with_odd_characters_or_without_measure_is_kept_so_that_it_can_be_brought_back(
    service: Service, user: str
) -> None:
    async def odd(_: Prompt) -> AsyncGenerator[str, None]:
        yield "Bis\x00cuit"
        yield "\x1b"
        yield "\ud800!"
        yield "a" * 40_000

    service.model.script = odd
    reply = await service.chat(user, "What is my dog called?")
    assert reply["reply"] == "Biscuit!" + "a" * 31_992
    lines = (await service.call("GET", f"/v1/users/{user}/export")).content
    done = await service.call("POST", f"/v1/users/{user}.2/import", content=lines)
    assert done.status_code == 201, done.text


async def test_a_broken_import_names_its_line_and_leaves_no_user(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    heading, first, second, *rest = (await service.call("GET", f"/v1/users/{user}/export")).text.strip().split("\n")
    wrong = json.dumps({**json.loads(second), "role": "robot"})
    cases = {
        "#/2/role": "\n".join([heading, first, wrong, *rest]),
        "#/2/id": "\n".join([heading, first, first, *rest]),
        "#/1": "\n".join([heading, "{", second, *rest]),
        "#/3": "\n".join([heading, first, "", second]),
        "#/0": "",
        "#": b"\xff\xfe",
        "#/0/kind": first,
    }
    for pointer, body in cases.items():
        reply = problem(await service.call("POST", f"/v1/users/{user}.2/import", content=body), 422)
        assert reply["errors"][0]["pointer"].startswith(pointer), (pointer, reply)
    problem(await service.call("GET", f"/v1/users/{user}.2/memory"), 404)


async def test_an_erased_user_is_gone_and_may_begin_anew(service: Service, user: str) -> None:
    await service.remember(user, *SAID)
    await service.chat(user, "What is my dog called?")
    assert (await service.call("DELETE", f"/v1/users/{user}")).status_code == 204
    for path in ("memory", "memory/slots", "memory/slots/0", "memory/matrix", "sessions", "export"):
        problem(await service.call("GET", f"/v1/users/{user}/{path}"), 404)
    problem(await service.call("DELETE", f"/v1/users/{user}"), 404)
    reply = await service.chat(user, "What is my dog called?")
    assert reply["recalled"] == []


async def test_a_user_that_does_not_exist_is_404_everywhere_and_is_not_made(service: Service, user: str) -> None:
    message = "0" * 32
    for method, path, body in [
        ("POST", "memory/recall", {"query": "Who?"}),
        ("GET", "memory", None),
        ("GET", "memory/slots", None),
        ("GET", "memory/slots/0", None),
        ("GET", "memory/matrix", None),
        ("GET", f"messages/{message}/trace", None),
        ("DELETE", f"messages/{message}", None),
        ("GET", "sessions", None),
        ("GET", "sessions/s1/messages", None),
        ("GET", "export", None),
    ]:
        problem(await service.call(method, f"/v1/users/{user}/{path}", json=body), 404)


async def test_another_users_message_and_session_are_not_found(service: Service, user: str) -> None:
    done = await service.remember(user, "My PIN is 4931.", session="secret")
    message, other = done["messages"][0]["id"], f"{user}-other"
    await service.remember(other, "Hello there.")
    problem(await service.call("GET", f"/v1/users/{other}/messages/{message}/trace"), 404)
    problem(await service.call("DELETE", f"/v1/users/{other}/messages/{message}"), 404)
    problem(await service.call("GET", f"/v1/users/{other}/sessions/secret/messages"), 404)
    body = {"query": "What is my PIN?", "session_id": "secret"}
    problem(await service.call("POST", f"/v1/users/{other}/memory/recall", json=body), 404)
    assert await service.recalled(other, "What is my PIN?") == ["Hello there."]
    reply = await service.chat(other, "What is my PIN?", session_id="secret")
    assert "4931" not in json.dumps([reply["recalled"], service.model.prompts])
    assert len(await service.log(user, "secret")) == 1


async def test_the_same_external_id_is_another_message_for_another_user(service: Service, user: str) -> None:
    mine = await service.remember(user, "Mine.", external_id="1")
    theirs = await service.remember(f"{user}-other", "Theirs.", external_id="1")
    assert mine["messages"][0]["id"] != theirs["messages"][0]["id"]
    assert [one["content"] for one in await service.log(f"{user}-other", "monday")] == ["Theirs."]


async def test_users_whose_names_differ_in_case_or_marks_are_different_users(service: Service, user: str) -> None:
    names = [f"{user}.a", f"{user}.A", f"{user}_a", f"{user}:a", f"{user}@a", f"{user}-a"]
    for name in names:
        await service.remember(name, f"I am {name}.")
    for name in names:
        assert [one["content"] for one in await service.log(name, "monday")] == [f"I am {name}."]
        assert await service.recalled(name, "Who am I?") == [f"I am {name}."]
