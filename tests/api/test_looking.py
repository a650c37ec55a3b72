"""What the page asks for: the map, why a recall came out so, the timeline, usage over time, the replay check."""

import base64
from typing import Any

import numpy as np
import pytest

from app.api.page import POLICY
from tests.api.service import Json, Service, problem

KINDS = {
    "slot": "<u4", "written": "<u4", "said_at": "<u4", "usage": "u1", "strength": "u1", "reads": "<u2",
    "session": "<u2", "speaker": "<u2",
}  # fmt: skip


def columns(seen: Json) -> dict[str, list[int]]:
    return {name: np.frombuffer(base64.b64decode(seen["columns"][name]), kind).tolist() for name, kind in KINDS.items()}


async def test_the_map_says_of_every_slot_what_the_list_of_slots_says(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", "I sold the car.", session="monday")
    await service.remember(user, "We moved to Porto.", session="tuesday", speaker="Ann")
    await service.chat(user, "What is my dog called?", session_id="friday")
    seen = await service.get(f"/v1/users/{user}/memory/map")
    found = columns(seen)
    slots = await service.pages(f"/v1/users/{user}/memory/slots", "slots", 50)
    assert found["slot"] == [one["slot"] for one in slots]
    assert seen["count"] == len(slots) and seen["slots"] == 4096
    assert [seen["sessions"][place] for place in found["session"]] == [one["session_id"] for one in slots]
    speakers = [seen["speakers"][place] for place in found["speaker"]]
    assert speakers == [one["speaker"] or one["role"] for one in slots]
    assert found["reads"] == [one["reads"] for one in slots]
    assert found["usage"] == pytest.approx([255 * one["usage"] for one in slots], abs=0.6)
    assert found["strength"] == pytest.approx([255 * one["strength"] for one in slots], abs=0.6)
    assert found["written"] == sorted(found["written"]) and found["written"][-1] == seen["clock"]
    problem(await service.call("GET", f"/v1/users/{user}x/memory/map"), 404)


async def test_an_explanation_is_of_the_recall_itself(service: Service, user: str) -> None:
    await service.remember(user, "I live in Lisbon, over the river.", occurred_at="2025-03-03T10:00:00Z")
    await service.remember(user, "The kettle broke.", "I live in Porto now.", occurred_at="2025-06-03T10:00:00Z")
    query = {"query": "Where do I live now?", "k": 3}
    why = await service.post(f"/v1/users/{user}/memory/explain", query)
    recall = await service.post(f"/v1/users/{user}/memory/recall", query)
    plain = [{name: one[name] for name in recall["recalled"][0]} for one in why["recalled"]]
    assert plain == recall["recalled"]
    assert why["confidence"] == recall["confidence"]
    assert why["asks_of_now"] and why["window"] is None
    assert set(why["parts"]) == {"content", "reranked", "recency"}
    for one in why["recalled"]:
        assert {len(line) for line in one["cosines"]} == {len(why["pieces"])}
        assert len(one["cosines"]) == len(one["pieces"])
        assert one["ranks"]["time"] is None and one["ranks"]["content"] >= 1
    assert sum(piece["share"] for piece in why["pieces"]) == pytest.approx(1.0)
    assert sum(why["modes"][mode] for mode in ("forward", "content", "backward")) == pytest.approx(1.0)


async def test_an_explanation_takes_what_a_recall_takes(service: Service, user: str) -> None:
    await service.remember(user, "The kettle is blue.", "The lamp is red.", metadata={"room": "kitchen"})
    await service.remember(user, "The chair is green.", metadata={"room": "hall"}, occurred_at="2020-02-03T00:30:00")
    for more in (
        {"metadata.room": "hall"}, {"metadata": {"room": "kitchen"}}, {"until": "2021-01-01"}, {"role": "assistant"},
        {"min_weight": 0.2}, {"min_confidence": 1.0}, {"asked_at": "2020-02-04T00:10:00"},
    ):  # fmt: skip
        asked = {"query": "What was said yesterday of the chair?", **more}
        recalled = await service.post(f"/v1/users/{user}/memory/recall", asked)
        explained = await service.post(f"/v1/users/{user}/memory/explain", asked)
        assert [one["message_id"] for one in explained["recalled"]] == [
            one["message_id"] for one in recalled["recalled"]
        ], more


async def test_an_explanation_tells_the_time_that_was_understood(service: Service, user: str) -> None:
    await service.remember(user, "I sowed the beans.", occurred_at="2025-05-05T10:00:00Z")
    query = {"query": "What did I do last week?", "asked_at": "2025-05-14T10:00:00Z"}
    why = await service.post(f"/v1/users/{user}/memory/explain", query)
    assert why["window"]["since"] <= "2025-05-05T10:00:00Z" < why["window"]["until"]
    assert why["recalled"][0]["ranks"]["time"] == 1
    refused = problem(await service.call("POST", f"/v1/users/{user}/memory/explain", json={"query": ""}), 422)
    assert refused["errors"][0]["pointer"] == "#/query"
    problem(await service.call("POST", f"/v1/users/{user}/memory/explain", json={"query": "a", "session_id": "b"}), 404)


async def test_the_timeline_has_every_session_the_latest_first_and_filters(service: Service, user: str) -> None:
    path = f"/v1/users/{user}/messages"
    await service.remember(user, "Snow fell.", session="monday", occurred_at="2025-01-06T10:00:00Z")
    await service.remember(user, "50 % off!", session="tuesday", occurred_at="2025-01-07T10:00:00Z", speaker="Ann")
    await service.remember(user, "Rain_fell.", session="friday", occurred_at="2025-01-10T10:00:00Z")
    every = await service.pages(path, "messages", 2)
    assert [one["content"] for one in every] == ["Rain_fell.", "50 % off!", "Snow fell."]
    assert [one["session_id"] for one in every] == ["friday", "tuesday", "monday"]

    async def found(**which: Any) -> list[str]:
        return [one["content"] for one in (await service.get(path, params=which))["messages"]]

    assert await found(contains="FELL") == ["Rain_fell.", "Snow fell."]
    assert await found(contains="%") == ["50 % off!"]
    assert await found(contains="n_f") == ["Rain_fell."]
    assert await found(speaker="Ann") == ["50 % off!"]
    assert await found(session_id="monday") == ["Snow fell."]
    assert await found(role="assistant") == []
    assert await found(since="2025-01-07T10:00:00Z", until="2025-01-10T10:00:00Z") == ["50 % off!"]
    problem(await service.call("GET", path, params={"role": "robot"}), 422)
    problem(await service.call("GET", path, params={"cursor": "x"}), 422)
    problem(await service.call("GET", f"/v1/users/{user}x/messages"), 404)


async def test_what_was_forgotten_leaves_a_gap_that_says_how_many(service: Service, user: str) -> None:
    texts = [f"Number {word}." for word in ("one", "two", "three", "four", "five")]
    kept = (await service.remember(user, *texts))["messages"]
    for place in (1, 2, 4):
        await service.call("DELETE", f"/v1/users/{user}/messages/{kept[place]['id']}")
    path = f"/v1/users/{user}/messages"
    every = await service.pages(path, "messages", 1)
    assert [(one["content"], one["forgotten_after"]) for one in every] == [("Number four.", 1), ("Number one.", 2)]
    filtered = await service.get(path, params={"contains": "one"})
    assert filtered["messages"][0]["forgotten_after"] is None


async def test_usage_over_time_ends_at_the_usage_of_now(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", "I sold the car.")
    for _ in range(3):
        await service.chat(user, "What is my dog called?")
    slot = await service.get(f"/v1/users/{user}/memory/slots/0")
    history = await service.get(f"/v1/users/{user}/memory/slots/0/usage")
    first, *read = history["points"]
    assert (first["number"], first["message_id"]) == (1, None)
    assert first["usage"] == pytest.approx(slot["strength"])
    assert len(read) == slot["reads"] == 3
    last = read[-1]
    faded = last["usage"] * 2 ** (-(history["now"] - last["number"] + 1) / history["halves_after"])
    assert faded == pytest.approx(slot["usage"], rel=1e-4)
    assert history["usage"] == pytest.approx(slot["usage"])
    problem(await service.call("GET", f"/v1/users/{user}/memory/slots/4000/usage"), 404)


async def test_the_check_replays_what_is_left_and_finds_the_same_memory(service: Service, user: str) -> None:
    kept = (await service.remember(user, "My dog is called Biscuit.", "I sold the car."))["messages"]
    await service.chat(user, "What is my dog called?")
    await service.call("DELETE", f"/v1/users/{user}/messages/{kept[1]['id']}")
    done = await service.post(f"/v1/users/{user}/memory/check", {})
    assert done == {"messages": 3, "same": True, "foreign": False, "differences": []}
    problem(await service.call("POST", f"/v1/users/{user}x/memory/check"), 404)


async def test_the_page_is_served_with_a_policy_that_allows_nothing_inline(service: Service) -> None:
    page = await service.call("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/", "/web/main.js", "/web/page.css", "/web/views/chat.js"):
        reply = await service.call("GET", path)
        assert reply.status_code == 200
        assert reply.headers["content-security-policy"] == POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY and "http" not in POLICY
    again = await service.call("GET", "/web/main.js", headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 200
    known = (await service.call("GET", "/web/main.js")).headers["etag"]
    assert (await service.call("GET", "/web/main.js", headers={"If-None-Match": known})).status_code == 304


@pytest.mark.parametrize(
    "path", ["/web/", "/web/..%2fmain.py", "/web/%2e%2e/%2e%2e/README.md", "/web//etc/passwd", "/web/no"]
)
async def test_nothing_beside_the_page_s_files_is_served(service: Service, path: str) -> None:
    problem(await service.call("GET", path), 404)
