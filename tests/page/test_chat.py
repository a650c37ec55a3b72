"""Talking: streamed, over a restart, stopped, anew, in two tabs; and nothing that is said becomes more than text."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
from playwright.async_api import BrowserContext, Page, Response, Route, expect

from benchmarks.scripted_model import Prompt, Refusal, asked
from tests.page.conftest import Server, remember

NASTY = (
    '<img src="x" onerror="window.pwned = 1">',
    "[press me](javascript:window.pwned=1) ![a picture](javascript:window.pwned=1)",
    "<script>window.pwned = 1</script> <a href='javascript:window.pwned=1'>here</a>",
    "[data](data:text/html,<script>window.pwned=1</script>) <javascript:window.pwned=1>",
)


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")
    await expect(page.locator("article[aria-busy=true]")).to_have_count(0)
    await expect(page.locator("article.assistant").last).to_contain_text("You said:")


async def slowly(prompt: Prompt) -> AsyncGenerator[str, None]:
    for word in ["One", " two", " three", *(f" {number}" for number in range(4, 404))]:
        yield word
        await asyncio.sleep(0.02)


async def not_today(prompt: Prompt) -> AsyncGenerator[str, None]:
    raise Refusal("not today")
    yield ""


async def in_other_words(prompt: Prompt) -> AsyncGenerator[str, None]:
    yield f"In other words: **{asked(prompt)}**"


async def test_what_was_said_before_a_restart_is_recalled_after_it(own_server: Server, page: Page, user: str) -> None:
    await page.goto(f"{own_server.url}/#/{user}/chat/monday")
    await say(page, "My dog is called Biscuit.")
    own_server.stop()
    own_server.start()
    await page.get_by_role("button", name="New", exact=True).click()
    await expect(page.locator("article.assistant")).to_have_count(0)
    await say(page, "My dog is called what?")
    because = page.locator("details.because").last
    await because.locator("summary").click()
    first = because.locator(".recollection").first
    await expect(first).to_contain_text("My dog is called Biscuit.")
    await expect(first.locator(".weight")).to_contain_text("%")
    await first.get_by_role("link", name="In its session").click()
    await expect(page.locator("article.marked")).to_contain_text("My dog is called Biscuit.")
    await page.reload()
    await expect(page.locator("article.user .bubble")).to_have_text("My dog is called Biscuit.")


async def test_a_reply_comes_as_it_is_said_stops_when_told_and_moves_nothing(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", session="chat")
    await page.goto(f"{server.url}/#/{user}/chat/chat")
    await expect(page.locator("article")).to_have_count(1)
    await page.evaluate(
        "window.shifts = []; new PerformanceObserver(list => list.getEntries().forEach(one => one.hadRecentInput ||"
        " shifts.push(...one.sources.map(({node}) => `${node?.nodeName} ${node?.className}`))))"
        ".observe({type: 'layout-shift'})"
    )
    server.model.script, kept = slowly, server.model.script
    try:
        await page.get_by_label("Message", exact=True).fill("Count!")
        await page.get_by_role("button", name="Send").click()
        reply = page.locator("article.assistant")
        await expect(reply).to_contain_text(" 61 62 63")
        assert await page.evaluate("shifts") == []
        await page.get_by_role("button", name="Stop").click()
        await expect(reply).to_contain_text("interrupted")
    finally:
        server.model.script = kept
    (_, _, stopped) = (await client.get(f"/v1/users/{user}/sessions/chat/messages")).json()["messages"]
    assert stopped["status"] == "interrupted"
    assert stopped["content"].startswith("One two three")


async def test_a_model_that_fails_is_told_of_and_the_message_is_kept(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await page.goto(f"{server.url}/#/{user}/chat/chat")
    server.model.script, kept = not_today, server.model.script
    try:
        await page.get_by_label("Message", exact=True).fill("Hello there.")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Your message is kept.")
    finally:
        server.model.script = kept
    await expect(page.locator("article.assistant")).to_have_count(0)  # the log is shown, no longer the turn
    await expect(page.locator("article.user .bubble")).to_have_text("Hello there.")
    (only,) = (await client.get(f"/v1/users/{user}/sessions/chat/messages")).json()["messages"]
    assert only["content"] == "Hello there."
    await page.get_by_role("button", name="Reply to this").click()
    await expect(page.locator("article.assistant")).to_contain_text("You said: Hello there.")
    await expect(page.locator("article")).to_have_count(2)


async def test_a_message_that_does_not_arrive_is_in_the_box_again(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await page.goto(f"{server.url}/#/{user}/chat/chat")
    await page.route("**/v1/chat", lambda route: route.abort())
    box = page.get_by_label("Message", exact=True)
    await box.fill("Are you there?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("in the box again")
    await expect(box).to_have_value("Are you there?")
    await page.unroute("**/v1/chat")
    await box.press("Enter")
    await expect(page.locator("article.assistant")).to_contain_text("You said: Are you there?")
    await expect(box).to_have_value("")


async def test_a_reply_anew_takes_the_place_of_the_one_before(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await page.goto(f"{server.url}/#/{user}/chat/chat")
    await say(page, "Hello there.")
    server.model.script, kept = in_other_words, server.model.script
    try:
        await page.get_by_role("button", name="Reply anew").click()
        await expect(page.locator("article.assistant strong")).to_have_text("Hello there.")
        await expect(page.get_by_role("button", name="Reply anew")).to_be_visible()
        await expect(page.locator("article")).to_have_count(2)
    finally:
        server.model.script = kept
    said = (await client.get(f"/v1/users/{user}/sessions/chat/messages")).json()["messages"]
    assert [one["content"] for one in said] == ["Hello there.", "In other words: **Hello there.**"]


async def test_a_reply_that_comes_leaves_the_reader_of_what_was_said_before_alone(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    first, *_ = await remember(client, user, *(f"Note {place}." for place in range(40)))
    await page.goto(f"{server.url}/#/{user}/chat/monday/{first}")
    await expect(page.locator("article.marked")).to_be_in_viewport()
    server.model.script, kept = slowly, server.model.script
    try:
        await page.get_by_label("Message", exact=True).fill("Count!")
        await page.keyboard.press("Enter")
        reply = page.locator("article.assistant")
        await expect(reply).to_contain_text(" 61 62 63")
        await expect(reply).to_be_in_viewport()  # who asks sees the reply
        log = page.get_by_role("log")
        await log.evaluate("box => box.scrollTo(0, 0)")
        await expect(reply).to_contain_text(" 161 162 163")
        assert await log.evaluate("box => box.scrollTop") == 0
        await page.get_by_role("button", name="Stop").click()
        await expect(reply).to_contain_text("interrupted")
    finally:
        server.model.script = kept


async def test_a_chat_that_is_not_begun_asks_for_nothing_that_is_not_there(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.")
    missing: list[str] = []
    page.on("response", lambda response: missing.append(response.url) if response.status >= 400 else None)
    await page.goto(f"{server.url}/#/{user}/chat")
    await expect(page.get_by_text("Say something", exact=False)).to_be_visible()
    await page.get_by_role("button", name="New", exact=True).click()
    await expect(page.locator(".live-map .legend").first).to_be_visible()
    assert missing == []


async def test_two_tabs_of_one_user_show_the_same_and_the_map_of_the_other_lights_up(
    server: Server, page: Page, window: BrowserContext, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", session="chat")
    other, third = await window.new_page(), await window.new_page()
    await page.goto(f"{server.url}/#/{user}/chat/chat")
    await other.goto(f"{server.url}/#/{user}/chat/chat")
    await third.goto(f"{server.url}/#/{user}/map")
    await expect(third.locator(".legend")).to_contain_text("1 of 4,096 slots used")
    before = await third.locator("canvas").screenshot()
    await say(page, "Is Biscuit a dog?")
    await expect(other.locator("article.assistant")).to_contain_text("You said: Is Biscuit a dog?")
    await expect(third.locator(".legend")).to_contain_text("3 of 4,096 slots used")
    assert await third.locator("canvas").screenshot() != before


async def test_no_text_becomes_html_or_a_scheme(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    for text in NASTY:
        await remember(client, user, text, session="nasty", speaker='<b onclick="window.pwned=1">Eve</b>')
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(f"{server.url}/#/{user}/chat/nasty")
    for text in NASTY:
        await say(page, text)
    places = ("chat/nasty", "timeline", "map/slot/0", "map/slot/1", "why/" + NASTY[0].replace("/", "%2F"), "keeping")
    for place in places:
        await page.goto(f"{server.url}/#/{user}/{place}")
        await expect(page.locator("main")).to_contain_text("pwned" if place != "keeping" else "slots used")
        await asyncio.sleep(0.2)
        assert await page.locator("main img, main script, main iframe, main b[onclick]").count() == 0
        links = await page.locator("a").evaluate_all("all => all.map(link => new URL(link.href).protocol)")
        assert set(links) <= {"http:", "https:"}
        assert await page.evaluate("window.pwned") is None
    assert all(url.startswith(server.url) for url in requests)


async def test_a_session_is_called_what_its_user_calls_it(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "We fly on Friday.", session="monday")
    await page.goto(f"{server.url}/#/{user}/chat/monday")
    sessions = page.get_by_label("Sessions", exact=True)
    await sessions.get_by_role("button", name="Rename session").click()
    await page.get_by_label("What the session is called").fill("The trip to Rome")
    await page.keyboard.press("Enter")
    await expect(sessions.locator("li.current b")).to_have_text("The trip to Rome")
    await page.reload()
    await expect(sessions.locator("li.current b")).to_have_text("The trip to Rome")
    await expect(page.locator("article.user .bubble")).to_have_text("We fly on Friday.")


async def test_the_session_that_is_shown_is_in_view_among_many_and_the_oldest_can_be_reached(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    for place in range(3):
        await remember(client, user, "Note.", session=f"session-{place}")

    async def two_at_once(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("limit=200", "limit=2"))

    await page.route("**/sessions?*", two_at_once)
    await page.goto(f"{server.url}/#/{user}/chat/session-0")
    sessions = page.get_by_label("Sessions", exact=True)
    await expect(sessions.locator("li.current b")).to_have_text("session-0")  # has messages, so it is no new one
    await sessions.get_by_role("button", name="Older sessions").click()
    await expect(sessions.locator("li.current")).to_contain_text("1 message")
    await expect(sessions.get_by_role("button", name="Older sessions")).to_have_count(0)
    await expect(sessions.locator("li.current b")).to_be_in_viewport()


async def test_of_a_long_session_the_end_is_shown_and_the_rest_when_wanted(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    first, *_ = await remember(client, user, *(f"Note {place}." for place in range(210)))
    asked: list[int] = []

    async def count(response: Response) -> None:
        if "/messages?" in response.url:
            asked.append(len((await response.json())["messages"]))

    page.on("response", count)
    await page.goto(f"{server.url}/#/{user}/chat/monday")
    await expect(page.locator("article")).to_have_count(200)
    await expect(page.locator("article").last).to_be_in_viewport()
    assert asked == [200]  # of the session no more is fetched than is shown
    oldest = page.locator("article", has_text="Note 10.")
    await oldest.scroll_into_view_if_needed()
    await page.get_by_role("button", name="Earlier messages").click()
    await expect(page.locator("article")).to_have_count(210)
    await expect(oldest).to_be_in_viewport()  # what was read stays where it is
    await page.goto(f"{server.url}/#/{user}/chat/monday/{first}")
    await expect(page.locator("article.marked")).to_contain_text("Note 0.")
