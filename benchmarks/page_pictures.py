"""The pictures of docs/page.md, and how soon the page is there: the real service, a written story, and Chromium.

The story is the demo's, said among small talk, so that the memory has something to find it in. Replies follow a script:
the pictures are of the page and of what the memory recalls, not of a language model.
"""

import asyncio
import json
import random
import shutil
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.demo import SCENARIO
from benchmarks.scripted_model import Prompt, ScriptedModel, asked
from benchmarks.serving import PROJECT, Server, told_in_one_line

FOLDER = PROJECT / "docs" / "pictures"
USER = "nora"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAYS = 180
A_DAY = 9
REPLIES = {
    "What is my dog called?": "Your dog is called **Biscuit**, the beagle you adopted in February.",
    "What did I do first in Kyoto?": "You climbed up through the red gates of *Fushimi Inari* at sunrise.",
    "And after that?": "Then you had breakfast in a tiny bakery: melon bread and milk tea.",
}


class NoBrowser(Exception):
    """There is no Chromium."""


async def reply(prompt: Prompt) -> AsyncGenerator[str, None]:
    """What the script says to the user's words."""
    for word in REPLIES.get(asked(prompt), "I see.").split(" "):
        yield word + " "


async def main() -> None:
    """Makes the pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise NoBrowser("no chromium here: scripts/test-browser installs it")
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with ScriptedModel(reply) as model:
        server = Server({"GENERATOR_URL": model.url, "SLOTS": 2048})
        await asyncio.to_thread(server.start)
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
                first = await tell(client)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                await time_first_view(browser, f"{server.url}/#/{USER}/chat/in-july")
                await take_all(browser, f"{server.url}/#/{USER}", first)
                await browser.close()
        finally:
            await asyncio.to_thread(server.stop)


async def tell(client: httpx.AsyncClient) -> int:
    """Remembers small talk and, on its days, the story; then asks. Returns the slot of the walk through the gates."""
    choose = random.Random(7)
    lines = (PROJECT / "benchmarks" / "other_messages.txt").read_text().splitlines()
    talk = [line for line in lines if line.strip() and "dog" not in line]
    sessions: dict[str, list[dict[str, Any]]] = {}
    for day in range(DAYS):
        at = START + timedelta(days=day, hours=choose.randrange(10))
        sessions[f"{at:%Y-%m-%d}"] = [
            said(choose.choice(talk), at + timedelta(minutes=2 * place)) for place in range(A_DAY)
        ]
    for session in json.loads(SCENARIO.read_text())["sessions"][:-1]:
        at = datetime.fromisoformat(session["at"])
        lines = [turn["say"] for turn in session["turns"] if not turn["say"].endswith("?")]
        sessions[session["id"]] = [said(line, at + timedelta(minutes=place)) for place, line in enumerate(lines)]
    slot = 0
    for name, messages in sorted(sessions.items(), key=lambda entry: str(entry[1][0]["occurred_at"])):
        done = await post(client, f"/v1/users/{USER}/messages", {"session_id": name, "messages": messages})
        for message, kept in zip(messages, done["messages"], strict=True):
            slot = kept["slots"][0] if "Fushimi" in message["content"] else slot
    for question in REPLIES:
        await post(client, "/v1/chat", {"user_id": USER, "session_id": "in-july", "message": question})
    latest = (await client.get(f"/v1/users/{USER}/messages", params={"role": "user"})).json()["messages"]
    for gone in latest[len(REPLIES) + 1 : len(REPLIES) + 3]:
        (await client.delete(f"/v1/users/{USER}/messages/{gone['id']}")).raise_for_status()
    return slot


def said(content: str, at: datetime) -> dict[str, Any]:
    return {"role": "user", "content": content, "occurred_at": at.isoformat()}


async def post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(path, json=body)
    response.raise_for_status()
    return dict(response.json())


async def time_first_view(browser: Browser, address: str) -> None:
    """Prints how soon a new browser window shows the chat, and what it takes."""
    paint, ready, size = [], [], 0
    for _ in range(5):
        page = await new_page(browser, "light")
        await page.goto(address)
        await page.locator("article.user").first.wait_for()
        ready.append(await page.evaluate("performance.now()"))
        paint.append(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        size = await page.evaluate("performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)")
        await page.context.close()
    print(f"first paint {median(paint):.0f} ms, messages shown {median(ready):.0f} ms, {size // 1000} KB")


async def take_all(browser: Browser, address: str, slot: int) -> None:
    """Takes the six pictures."""
    light, dark = await new_page(browser, "light"), await new_page(browser, "dark")
    phone = await new_page(browser, "light", (390, 780))
    await light.goto(f"{address}/chat/in-july")
    await light.locator("details.because summary").first.click()
    await light.locator(".recollection").first.wait_for()
    await light.wait_for_timeout(300)
    await light.locator("article.user").first.evaluate("box => box.scrollIntoView()")
    await take(light, "chat")
    await dark.goto(f"{address}/map/slot/{slot}")
    await dark.locator(".slot-page .chain .after").first.wait_for()
    await take(dark, "map")
    await light.goto(f"{address}/why/What%20did%20I%20do%20in%20Kyoto%20in%20April%3F")
    await light.locator(".heat summary").first.click()
    await light.locator(".result").evaluate("box => box.scrollIntoView()")
    await light.mouse.move(0, 0)
    await take(light, "why")
    await light.goto(f"{address}/timeline")
    await light.locator(".gap").first.wait_for()
    await light.locator(".gap").first.evaluate("box => box.scrollIntoView({block: 'center'})")
    await take(light, "timeline")
    await dark.goto(f"{address}/keeping")
    await dark.get_by_role("button", name="Replay check").click()
    await dark.locator(".verdict").wait_for(timeout=120_000)
    await take(dark, "keeping")
    await phone.goto(f"{address}/chat/in-july")
    await phone.locator("details.because summary").last.click()
    await phone.locator(".recollection").first.wait_for()
    await phone.locator("article.user").last.evaluate("box => box.scrollIntoView()")
    await take(phone, "phone")


async def new_page(browser: Browser, scheme: Any, size: tuple[int, int] = (1240, 760)) -> Page:
    window = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", locale="en-GB"
    )
    return await window.new_page()


async def take(page: Page, name: str) -> None:
    """Takes a picture."""
    await page.wait_for_timeout(600)
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(f"{path.relative_to(PROJECT)}: {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("usage: python -m benchmarks.page_pictures")
    with told_in_one_line(NoBrowser):
        asyncio.run(main())
