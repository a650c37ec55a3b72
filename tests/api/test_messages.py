"""What messages carry, how lists and recalls are filtered, and what is forgotten or edited."""

from typing import Any

import pytest

from tests.api.service import Service, problem

MESSAGES = "/v1/users/{}/messages"


async def remember(service: Service, user: str, *messages: dict[str, Any], session: str = "s") -> list[str]:
    body = {"session_id": session, "messages": list(messages)}
    return [one["id"] for one in (await service.post(MESSAGES.format(user), body, 201))["messages"]]


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


async def same_as_its_log(service: Service, user: str) -> None:
    assert (await service.post(f"/v1/users/{user}/memory/check", {}))["differences"] == []


async def test_a_message_comes_back_with_all_that_it_was_sent_with(service: Service, user: str) -> None:
    sent = {
        "role": "tool", "content": "Water boils at 100 degrees.", "name": "lookup", "external_id": "t1",
        "metadata": {"source": "encyclopedia", "page": 7, "tags": ["physics"], "nested": {"ü": None}},
        "occurred_at": "2026-05-04T23:30:00-08:00",
    }  # fmt: skip
    await remember(service, user, sent)
    (logged,) = await service.log(user, "s")
    assert {name: logged[name] for name in sent} == sent
    (found,) = (await service.post(f"/v1/users/{user}/memory/recall", {"query": "When does water boil?"}))["recalled"]
    assert (found["metadata"], found["name"], found["role"]) == (sent["metadata"], "lookup", "tool")


async def test_of_a_list_of_parts_the_text_is_kept_and_the_others_are_named(service: Service, user: str) -> None:
    parts = [
        {"type": "text", "text": "My cat Miso"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "sleeps on the piano."},
    ]
    await remember(service, user, said(parts, metadata={"a": 1}))
    (logged,) = await service.log(user, "s")
    assert logged["content"] == "My cat Miso\nsleeps on the piano."
    assert logged["metadata"] == {"a": 1, "parts": ["image_url"]}


WRONG: list[tuple[dict[str, Any], str]] = [
    (said([]), "content"),
    (said([{"type": "image_url"}]), "content"),
    (said([{"type": "text"}]), "content"),
    (said([{"text": "a"}]), "content"),
    (said([{"type": "text", "text": " "}]), "content"),
    (said("a", metadata=[]), "metadata"),
    (said("a", metadata={"x": "y" * 5000}), "metadata"),
    (said("a", metadata={"x": "\0"}), "metadata"),
    (said("a", metadata={"x": [[[[[[[[[1]]]]]]]]]}), "metadata"),
    (said("a", name=""), "name"),
    ({"role": "function", "content": "a"}, "role"),
]


@pytest.mark.parametrize(("message", "field"), WRONG)
async def test_a_wrong_message_is_refused_with_the_field(
    service: Service, user: str, message: dict[str, Any], field: str
) -> None:
    response = await service.call("POST", MESSAGES.format(user), json={"messages": [message]})
    assert problem(response, 422)["errors"][0]["pointer"] == f"#/messages/0/{field}"


async def test_lists_and_recalls_are_filtered(service: Service, user: str) -> None:
    at = "2026-05-{:02}T12:00:00Z".format
    await remember(
        service, user,
        said("The lake was cold.", occurred_at=at(1), metadata={"app": "diary", "stars": 5, "draft": True}),
        said("The lake was warm.", occurred_at=at(2), metadata={"app": "mail"}, speaker="Ann"),
        {"role": "assistant", "content": "The lake sounds nice.", "occurred_at": at(3)},
    )  # fmt: skip
    await remember(service, user, said("The lake was frozen.", occurred_at=at(4)), session="t")
    wanted = {
        "role=assistant": ["The lake sounds nice."],
        "speaker=Ann": ["The lake was warm."],
        f"since={at(2)}&until={at(3)}": ["The lake was warm."],
        "metadata.app=diary": ["The lake was cold."],
        "metadata.stars=5": ["The lake was cold."],
        "metadata.draft=true&metadata.app=diary": ["The lake was cold."],
        "metadata.app=diary&role=assistant": [],
        "metadata.app=nothing": [],
    }
    for query, contents in wanted.items():
        page = await service.get(f"/v1/users/{user}/sessions/s/messages?{query}")
        assert (query, [one["content"] for one in page["messages"]]) == (query, contents)
        page = await service.get(f"{MESSAGES.format(user)}?{query}")
        assert (query, [one["content"] for one in page["messages"]]) == (query, contents)
    recalls: list[tuple[dict[str, Any], set[str]]] = [
        ({"session_id": "t"}, {"The lake was frozen."}),
        ({"role": "assistant"}, {"The lake sounds nice."}),
        ({"speaker": "Ann"}, {"The lake was warm."}),
        ({"since": at(4)}, {"The lake was frozen."}),
        ({"metadata": {"stars": 5}}, {"The lake was cold."}),
        ({"metadata.app": "mail"}, {"The lake was warm."}),
        ({"metadata": {"app": "mail"}, "until": at(2)}, set()),
    ]
    for body, found in recalls:
        assert set(await service.recalled(user, "How was the lake?", **body)) == found, body


async def test_a_filter_that_is_none_is_refused(service: Service, user: str) -> None:
    await remember(service, user, said("The lake was cold."))
    response = await service.call("GET", f"/v1/users/{user}/sessions/s/messages", params={'metadata.a"b': "c"})
    problem(response, 422)
    body = {"query": "The lake?", "metadata": {'a"b': "c"}}
    response = await service.call("POST", f"/v1/users/{user}/memory/recall", json=body)
    assert problem(response, 422)["errors"][0]["pointer"] == "#/metadata"


async def test_recall_gives_what_matters_and_is_never_padded(service: Service, user: str) -> None:
    facts = ["I keep bees.", "The train was late.", "We painted the fence.", "Dinner was soup."]
    await remember(service, user, *(said(fact) for fact in facts))
    body = {"query": "Do I keep bees?", "k": 50}
    path = f"/v1/users/{user}/memory/recall"
    whole = await service.post(path, body)
    assert all(one["weight"] > 0 for one in whole["recalled"])
    best = whole["recalled"][0]
    few = await service.post(path, {**body, "min_weight": best["weight"] - 1e-6})
    assert [one["content"] for one in few["recalled"]] == [best["content"]] == ["I keep bees."]
    sure = await service.post(path, {**body, "min_confidence": whole["confidence"]})
    assert sure["recalled"] == whole["recalled"]
    none = await service.post(path, {**body, "min_confidence": min(1.0, whole["confidence"] + 1e-6)})
    assert (none["recalled"], none["confidence"]) == ([], whole["confidence"])


async def test_the_same_external_id_with_another_text_is_a_conflict_that_tells_both(
    service: Service, user: str
) -> None:
    (known,) = await remember(service, user, said("My key is under the mat.", external_id="k"))
    assert await remember(service, user, said("My key is under the mat.", external_id="k")) == [known]
    body = {"messages": [said("A new one."), said("My key is in the shed.", external_id="k")]}
    told = problem(await service.call("POST", MESSAGES.format(user), json=body), 409)
    assert told["message_id"] == known
    assert len(set(told["digests"].values())) == 2 and set(told["digests"]) == {"stored", "sent"}
    assert "mat" not in str(told) and "shed" not in str(told)
    assert [one["content"] for one in await service.log(user, "s")] == ["My key is under the mat."]


async def test_an_edited_message_is_recalled_by_its_new_text_alone(service: Service, user: str) -> None:
    first, _ = await remember(
        service, user, said("My passport is in the blue drawer.", metadata={"a": 1}), said("I like owls.")
    )
    await service.chat(user, "Where is my passport?", session_id="s")
    reply = await service.call(
        "PATCH", f"{MESSAGES.format(user)}/{first}", json={"content": "My passport is at the bank."}
    )
    assert reply.status_code == 200 and reply.json()["messages"][0]["id"] == first
    contents = {one["id"]: one for one in await service.log(user, "s")}
    assert contents[first]["content"] == "My passport is at the bank."
    assert contents[first]["metadata"] == {"a": 1}
    found = await service.recalled(user, "Where is my passport?")
    assert "My passport is at the bank." in found and not any(
        "drawer" in one for one in found if "passport is in" in one
    )
    assert not any("blue drawer" in one["content"] for one in contents.values() if one["role"] == "user")
    await same_as_its_log(service, user)
    missing = await service.call("PATCH", f"{MESSAGES.format(user)}/{'0' * 32}", json={"content": "a"})
    problem(missing, 404)


async def test_forgetting_tells_which_replies_recalled_the_message_and_forgets_them_too(
    service: Service, user: str
) -> None:
    gone, kept = await remember(service, user, said("My dog is called Max."), said("The piano is out of tune."))
    turn = await service.chat(user, "What is my dog called?", session_id="s")
    reply = turn["reply_message_id"]
    assert gone in {one["message_id"] for one in turn["recalled"]}
    told = await service.get(f"{MESSAGES.format(user)}/{gone}/recalled-by")
    assert [one["id"] for one in told["replies"]] == [reply]

    done = await service.call("DELETE", f"{MESSAGES.format(user)}/{gone}?with_replies=true")
    assert done.status_code == 200
    assert done.json() == {"forgotten": [gone, reply], "replies_that_recalled": [reply]}
    assert {one["id"] for one in await service.log(user, "s")} == {kept, turn["user_message_id"]}
    await same_as_its_log(service, user)


async def test_forgetting_alone_names_the_replies_in_a_header_and_keeps_them(service: Service, user: str) -> None:
    gone, kept = await remember(service, user, said("My dog is called Max."), said("The piano is out of tune."))
    turn = await service.chat(user, "What is my dog called?", session_id="s")
    done = await service.call("DELETE", f"{MESSAGES.format(user)}/{gone}")
    assert (done.status_code, done.content) == (204, b"")
    assert done.headers["x-recalled-by"] == turn["reply_message_id"]
    left = [one["id"] for one in await service.log(user, "s")]
    assert left == [kept, turn["user_message_id"], turn["reply_message_id"]]
    (fresh,) = await remember(service, user, said("We sailed to the island."))
    done = await service.call("DELETE", f"{MESSAGES.format(user)}/{fresh}")
    assert done.status_code == 204 and "x-recalled-by" not in done.headers
    await same_as_its_log(service, user)


async def test_a_session_is_forgotten_whole_and_nothing_else(service: Service, user: str) -> None:
    await remember(service, user, said("My boat is called Tallulah."), said("The boat is green."), session="boat")
    await service.chat(user, "What is my boat called?", session_id="boat")
    await remember(service, user, said("I like owls."), session="owls")
    await service.chat(user, "What do I like? And the boat?", session_id="owls")
    path = f"/v1/users/{user}/sessions/boat"
    assert (await service.call("DELETE", path)).status_code == 204
    problem(await service.call("GET", f"{path}/messages"), 404)
    problem(await service.call("DELETE", path), 404)
    assert len(await service.log(user, "owls")) == 3
    assert "I like owls." in await service.recalled(user, "What do I like?")
    await same_as_its_log(service, user)


async def test_users_are_listed_a_page_at_a_time(service: Service, user: str) -> None:
    names = sorted(f"{user}-{letter}" for letter in "abc")
    for name in names:
        await remember(service, name, said("I like owls.", occurred_at="2026-05-04T12:00:00Z"))
    found = [one for one in await service.pages("/v1/users", "users", 2) if one["user_id"] in names]
    assert [one["user_id"] for one in found] == names
    assert (found[0]["messages"], found[0]["slots_used"]) == (1, 1)
    assert found[0]["last_at"].startswith("2026-05-04T12:00:00")
    for cursor in (
        "bm90",
        "WyJcdTAwMDAiXQ",
        "WyJcdWQ4MDAiXQ",
    ):  # not; ["\\u0000"] and ["\\ud800"], which no database holds
        refused = problem(await service.call("GET", "/v1/users", params={"cursor": cursor}), 422)
        assert refused["errors"][0] == {"pointer": "#/cursor", "in": "query", "detail": "not a cursor of this list"}


async def test_a_system_message_is_nobodys_own_statement(service: Service, user: str) -> None:
    await remember(service, user, {"role": "system", "content": "I like tea."}, said("I like tea."))
    slots = {one["role"]: one for one in (await service.get(f"/v1/users/{user}/memory/slots"))["slots"]}
    assert slots["system"]["strength"] < slots["user"]["strength"] / 2


async def test_a_message_that_is_put_takes_the_place_of_the_one_known_by_its_external_id(
    service: Service, user: str
) -> None:
    async def put(content: str, session: str, **more: Any) -> str:
        body = {"session_id": session, "message": said(content, external_id="note:1", **more)}
        response = await service.call("PUT", MESSAGES.format(user), json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["messages"][0]["id"])

    first = await put("My dog is called Biskit.", "s1", metadata={"a": 1})
    await remember(service, user, said("I sold the car.", external_id="other"), session="s1")
    assert await put("My dog is called Biscuit.", "s2", metadata={"b": 2}) == first
    found = (await service.get(MESSAGES.format(user)))["messages"]
    assert [(one["content"], one["session_id"], one["metadata"]) for one in found] == [
        ("My dog is called Biscuit.", "s2", {"b": 2}), ("I sold the car.", "s1", {}),
    ]  # fmt: skip
    assert await service.recalled(user, "What is my dog called?", k=1) == ["My dog is called Biscuit."]
    assert await put("My dog is called Biscuit.", "s2", metadata={"c": 3}) == first
    assert [one["metadata"] for one in (await service.get(MESSAGES.format(user)))["messages"]] == [{"c": 3}, {}]
    await same_as_its_log(service, user)
    without = await service.call("PUT", MESSAGES.format(user), json={"message": said("x")})
    assert problem(without, 422)["errors"][0]["pointer"] == "#/message/external_id"


async def test_messages_are_found_by_the_callers_ids(service: Service, user: str) -> None:
    ids = ["a/b?c", "ü", "third"]
    await remember(service, user, *(said(f"Thing {place}", external_id=name) for place, name in enumerate(ids)))
    path = MESSAGES.format(user)
    assert [one["external_id"] for one in (await service.get(path, params={"external_id": ids[:2]}))["messages"]] == [
        "ü", "a/b?c",
    ]  # fmt: skip
    assert (await service.get(path, params={"external_id": "nobody's"}))["messages"] == []
    problem(await service.call("GET", path, params={"external_id": ["x"] * 101}), 422)


async def test_what_is_sent_again_is_not_encoded_again(service: Service, user: str) -> None:
    encoded: list[str] = []
    device = service.app.state.memories.device
    real = device.encode

    async def encode(texts: list[str]) -> Any:
        encoded.extend(texts)
        return await real(texts)

    sent = [said("My dog is called Biscuit.", external_id="1"), said("I sold the car.", external_id="2")]
    first = await remember(service, user, *sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "encode", encode)
        again = await remember(service, user, *sent, said("It rains.", external_id="3"), said("It snows."))
    assert again[:2] == first and len(set(again)) == 4
    assert [text.rpartition(", ")[2] for text in encoded] == ["It rains.", "It snows."]
