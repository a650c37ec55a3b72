"""`PATCH …/sessions/{session_id}`: a session is called what its user calls it."""

from tests.api.service import Service


async def test_a_session_is_renamed_and_keeps_its_title_while_it_goes_on(service: Service, user: str) -> None:
    await service.remember(user, "We fly on Friday.", session="trip")
    path = f"/v1/users/{user}/sessions"
    assert set((await service.client.get(path)).json()["sessions"][0]) == {
        "session_id", "started_at", "last_at", "messages",
    }  # fmt: skip
    assert (await service.client.patch(f"{path}/trip", json={"title": "Rome"})).status_code == 204
    await service.remember(user, "The hotel is booked.", session="trip")
    (session,) = (await service.client.get(path)).json()["sessions"]
    assert (session["title"], session["session_id"], session["messages"]) == ("Rome", "trip", 2)
    assert (await service.client.patch(f"{path}/trip", json={"title": None})).status_code == 204
    assert "title" not in (await service.client.get(path)).json()["sessions"][0]


async def test_what_cannot_be_renamed_is_told(service: Service, user: str) -> None:
    path = f"/v1/users/{user}/sessions/trip"
    assert (await service.client.patch(path, json={"title": "Rome"})).status_code == 404
    await service.remember(user, "We fly on Friday.", session="trip")
    assert (await service.client.patch(path.replace("trip", "other"), json={"title": "Rome"})).status_code == 404
    wrong = await service.client.patch(path, json={"title": ""})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "#/title"
