"""Seeing into the memory and correcting it: why, forgetting with its undo, import, the map, taking leave."""

import asyncio
import itertools
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import torch
from playwright.async_api import BrowserContext, Page, expect

from app.memories.cache import CachedMemory
from app.memories.device import Device
from app.store import memories, users
from app.store.memories import MemoryRecord
from tests.page.conftest import Server, remember

SLOTS = 100_000
MESSAGES, KNOWN = 5_000, 4_500
LOG = """
    INSERT INTO messages (memory_id, seq, id, session_id, role, content, occurred_at, status, external_id)
    WITH RECURSIVE numbers(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < :last)
    SELECT :memory, seq, printf('%032x', seq), 'session-' || ((seq - 1) * 40 / :last), 'user',
           'Message ' || seq || '.',
           '2025-01-01 10:00:00.000000', 'complete', 'seq-' || seq FROM numbers
"""


async def test_why_tells_the_order_the_matches_and_a_curl_that_gives_the_same(
    server: Server, page: Page, window: BrowserContext, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", "The kettle broke.", "It's Ann's bicycle.")
    await window.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(f"{server.url}/#/{user}/why")
    await page.get_by_label("Cue").fill("Is it Ann's bicycle?")
    await page.get_by_role("button", name="Compare two").click()
    await page.get_by_label("Cue to compare with").fill("Which dog?")
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator(".result")).to_have_count(2)
    result = page.locator(".result").first
    ranked = result.locator(".recollection")
    await expect(ranked).to_have_count(3)
    await expect(result).to_contain_text("sure")
    await expect(ranked.first.locator(".moves")).to_contain_text("second stage")
    await ranked.filter(has_text="Ann's bicycle").get_by_text("Matched word pieces").click()
    heat = ranked.filter(has_text="Ann's bicycle").locator(".heat-map")
    names = await heat.locator("thead th").all_inner_texts()
    line = heat.locator("tr", has=page.get_by_role("rowheader", name="bicycle", exact=True)).locator("td")
    assert (await line.all_inner_texts())[names.index("bicycle")].isdigit()
    await result.get_by_role("button", name="Copy as curl").click()
    copied = shlex.split(await page.evaluate("navigator.clipboard.readText()"))
    assert copied[:3] == ["curl", "-s", f"{server.url}/v1/users/{user}/memory/explain"]
    again = (await client.post(copied[2], content=copied[-1], headers={"Content-Type": "application/json"})).json()
    assert [one["content"] for one in again["recalled"]] == await ranked.locator(".quote").all_inner_texts()


async def test_forgetting_can_be_taken_back_for_ten_seconds_and_then_is_for_good(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    first, second = await remember(client, user, "My dog is called Biscuit.", "I sold the car.")
    await page.clock.install()
    await page.goto(f"{server.url}/#/{user}/timeline")
    kept = page.locator("li.said", has_text="Biscuit")
    await kept.get_by_role("button", name="Forget").click()
    await expect(page.locator("li.said", has_text="Biscuit")).to_have_count(0)
    await expect(page.get_by_role("button", name="Undo forgetting: My dog")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(kept).to_have_count(1)
    await kept.get_by_role("button", name="Forget").click()
    await page.locator(".toast").get_by_role("button", name="Undo").click()
    await expect(kept).to_have_count(1)
    await page.clock.fast_forward(11_000)
    assert (await client.get(f"/v1/users/{user}/messages/{first}/trace")).status_code == 200
    await page.locator("li.said", has_text="car").get_by_role("button", name="Forget").click()
    assert (await client.get(f"/v1/users/{user}/messages/{second}/trace")).status_code == 200
    await page.clock.fast_forward(10_000)
    await expect(page.locator(".gap")).to_have_text("1 message forgotten here")
    await expect(page.locator(".toast")).to_have_count(0)
    assert (await client.get(f"/v1/users/{user}/messages/{second}/trace")).status_code == 404
    assert (await client.post(f"/v1/users/{user}/memory/check")).json()["same"]


async def test_the_replies_that_recalled_a_message_go_with_it_when_wanted(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", "I sold the car.")
    await client.post("/v1/chat", json={"user_id": user, "message": "Which dog?", "session_id": "friday"})
    await page.clock.install()
    await page.goto(f"{server.url}/#/{user}/timeline")
    await page.locator("li.said", has_text="Biscuit").get_by_role("button", name="Forget").click()
    await page.get_by_label("Forget the reply that recalled it too").check()
    await page.clock.fast_forward(10_000)
    await expect(page.locator("li.said")).to_have_count(2)
    found = (await client.get(f"/v1/users/{user}/messages")).json()["messages"]
    assert [one["content"] for one in found] == ["Which dog?", "I sold the car."]


async def test_a_message_is_corrected_and_what_it_said_before_is_gone(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biskit.", "I sold the car.")
    await page.goto(f"{server.url}/#/{user}/timeline")
    await page.locator("li.said", has_text="Biskit").get_by_role("button", name="Correct").click()
    await page.get_by_label("What it should say").fill("My dog is called Biscuit.")
    await page.locator("form.correcting").get_by_role("button", name="Correct").click()
    await expect(page.locator("li.said").first).to_contain_text("My dog is called Biscuit.")
    found = (await client.get(f"/v1/users/{user}/messages")).json()["messages"]
    assert [one["content"] for one in found] == ["My dog is called Biscuit.", "I sold the car."]
    assert "Biskit" not in (await client.get(f"/v1/users/{user}/export")).text


async def test_leaving_the_page_forgets_at_once_what_waits(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    (only,) = await remember(client, user, "My dog is called Biscuit.")
    await page.goto(f"{server.url}/#/{user}/timeline")
    await page.get_by_role("button", name="Forget").click()
    await page.goto("about:blank")
    for _ in range(100):
        if (await client.get(f"/v1/users/{user}/messages/{only}/trace")).status_code == 404:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is still there")


async def test_an_import_of_5000_messages_shows_its_progress_and_adds_nothing_twice(
    server: Server, page: Page, client: httpx.AsyncClient, user: str, tmp_path: Path
) -> None:
    server.run(fill(server, user, KNOWN, free=MESSAGES - KNOWN))  # an import that goes on where it was cut
    lines = [
        json.dumps({"role": "user", "content": f"Message {one}.", "session_id": session, "external_id": f"seq-{one}"})
        for one in range(1, MESSAGES + 1)
        for session in [f"session-{(one - 1) * 40 // KNOWN}" if one <= KNOWN else "new"]
    ]
    file = tmp_path / "notes.jsonl"
    file.write_text("\n".join(lines))
    await page.goto(f"{server.url}/#/{user}/keeping")
    await page.get_by_label("File").set_input_files(file)
    await page.get_by_role("button", name="Import").click()
    seen = set[int]()
    done = page.get_by_text("All 5,000 messages are remembered.")
    while not await done.is_visible():
        if await page.locator("progress").count():
            seen.add(int(await page.locator("progress").evaluate("bar => bar.value")))
        await page.wait_for_timeout(50)
    assert len(seen) > 5 and max(seen) <= MESSAGES
    kept = (await client.get(f"/v1/users/{user}/export")).text.splitlines()
    assert sum("external_id" in line for line in kept) == MESSAGES
    file.write_text("\n".join(lines[:50]) + "\nnothing\n")
    await page.get_by_label("File").set_input_files(file)
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("alert")).to_contain_text("Line 51")
    file.write_text("\n".join(lines[:50]))
    await page.get_by_label("File").set_input_files(file)
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_text("All 50 messages are remembered.")).to_be_visible()
    kept = (await client.get(f"/v1/users/{user}/export")).text.splitlines()
    assert sum("external_id" in line for line in kept) == MESSAGES


async def fill(server: Server, user: str, count: int = SLOTS, free: int = 0) -> None:
    """Gives a user a memory of so many messages, a slot each, with so many slots free."""
    service = server.app.state.memories
    record = MemoryRecord(user.ljust(32, "0")[:32], 1, service.device.fingerprint, count + free, count, count, b"", b"")
    state = service.core.empty(count + free, count)
    state.source.copy_(torch.arange(1, count + 1))
    state.touched.copy_(state.source)
    state.clock.fill_(count)
    state.usage.uniform_()
    state.strength.uniform_(0.1, 1.0)
    state.reads.random_(0, 30)
    async with service.database.writing() as connection:
        await users.add(connection, user, datetime.now(UTC))
        await memories.begin(connection, user, record)
        await memories.advance(connection, 0, record)
        await connection.execute(sa.text(LOG), {"memory": record.id, "last": count})
    service.live.cache.put(user, CachedMemory(record, state))


@pytest.mark.slow
async def test_a_hundred_thousand_slots_are_drawn_and_panned_at_once(server: Server, page: Page, user: str) -> None:
    server.run(fill(server, user))
    await page.goto(f"{server.url}/#/{user}/map")
    await expect(page.locator(".legend")).to_contain_text("100,000 of 100,000 slots used", timeout=20_000)
    painted = await page.evaluate("performance.getEntriesByName('map painted').at(-1).duration")
    assert painted <= 300
    box = await page.locator("canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 300, box["y"] + 200)
    for _ in range(6):
        await page.mouse.wheel(0, -100)
    await page.evaluate("window.frames_ = []; (function next(now) {frames_.push(now); requestAnimationFrame(next)})(0)")
    await page.mouse.down()
    for step in range(30):
        await page.mouse.move(box["x"] + 300 + 5 * step, box["y"] + 200 + 3 * step)
    await page.mouse.up()
    times = await page.evaluate("frames_.slice(2)")
    between = sorted(after - before for before, after in itertools.pairwise(times))
    assert between[len(between) // 2] <= 1000 / 30
    await page.get_by_label("Coloured by", exact=True).select_option("Session")
    await expect(page.locator(".legend")).to_contain_text("and 30 more")
    await page.mouse.move(box["x"] + 310, box["y"] + 210)
    await expect(page.locator(".tip")).to_contain_text("Message ")
    await page.locator(".map-frame").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await expect(page.locator(".slot-page")).to_contain_text("Links before and after")


async def test_a_slot_s_chain_can_be_walked(server: Server, page: Page, client: httpx.AsyncClient, user: str) -> None:
    await remember(client, user, "Snow fell.", "The pipes froze.", "We called a plumber.")
    await client.post("/v1/chat", json={"user_id": user, "message": "Who froze pipes?", "session_id": "later"})
    await page.goto(f"{server.url}/#/{user}/map/slot/0")
    slot = page.locator(".slot-page")
    await expect(slot.locator(".curve")).to_contain_text("Read 1 time")
    await slot.locator(".chain .after a").first.click()
    await expect(slot.locator(".held .quote")).to_have_text("The pipes froze.")
    await expect(slot.locator(".chain .before")).to_contain_text("Snow fell.")
    await slot.get_by_role("link", name="In its session").click()
    await expect(page.locator("article.marked")).to_contain_text("The pipes froze.")


async def test_everything_goes_only_when_its_name_is_typed(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", session="monday")
    await remember(client, user, "I sold the car.", session="tuesday")
    await page.goto(f"{server.url}/#/{user}/keeping")
    await page.get_by_role("button", name="Replay check").click()
    await expect(page.locator(".verdict")).to_contain_text("exactly what its 2 messages make of it")
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Export").click()
    saved = await (await saving.value).path()
    assert len(saved.read_text().splitlines()) == 4  # a heading, two messages, an end
    await page.get_by_label("A session").select_option("monday")
    await page.get_by_role("button", name="Forget session").click()
    sure = page.get_by_role("dialog").get_by_role("button", name="Forget session")
    await expect(sure).to_be_disabled()
    await page.get_by_label("Type monday to confirm").fill("monday")
    await sure.click()
    await expect(page.get_by_text("1 of 4,096 slots used")).to_be_visible()
    await page.get_by_role("button", name="Forget everything").click()
    await page.get_by_label(f"Type {user} to confirm").fill(user)
    await page.get_by_role("dialog").get_by_role("button", name="Forget everything").click()
    await expect(page.get_by_text(f"Nothing is remembered of {user} yet")).to_be_visible()
    assert (await client.get(f"/v1/users/{user}/memory")).status_code == 404


async def test_what_stands_is_shown_with_what_it_took_the_place_of_and_can_be_forgotten(
    server: Server, tiny_device: Device, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_device.memory, "told_intents", lambda utterance, header=0: {"standing": 0.9})
        (stands,) = await remember(client, user, "I eat meat again.")
    await remember(client, user, "The kettle broke.")
    was = {"message_id": "0" * 32, "content": "I'm vegetarian.", "occurred_at": "2026-01-01T10:00:00Z"}
    replaced = {"replaced": [{**was, "by": {**was, "message_id": stands, "content": "I eat meat again."}}]}
    await page.route("**/memory/standing/replaced", lambda route: route.fulfill(json=replaced))
    await page.goto(f"{server.url}/#/{user}/timeline")
    box = page.get_by_label("Holds until revoked")
    await expect(box.locator("> ul > li")).to_have_count(1)
    await expect(box.locator("> ul > li")).to_contain_text("I eat meat again.")
    await expect(box.locator("> ul > li")).to_contain_text("90 %")
    await box.get_by_text("What took whose place").click()
    await expect(box.locator("details s")).to_have_text("I'm vegetarian.")
    await box.get_by_role("button", name="Forget: I eat meat again.").click()
    await expect(box.locator("> ul > li")).to_contain_text("This is being forgotten")
