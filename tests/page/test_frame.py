"""The page as a whole: signing in, how soon it is there, that everybody can use it, on a phone too."""

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from app.access.caller import Grant
from tests.page.conftest import Server, remember

SHOWN = {
    "chat/monday": ".log article.assistant",
    "map": ".legend",
    "map/slot/0": ".slot-page .chain",
    "why/dog": ".moves",
    "timeline": ".said",
    "keeping": ".capacity",
    "operator": ".facts",
}


async def shown(page: Page, view: str) -> None:
    """Waits until a view has what it shows."""
    await expect(page.locator(f"#view-{view.split('/')[0]} {SHOWN[view]}").first).to_be_visible()


async def test_a_key_opens_the_page_and_is_kept_nowhere(own_server: Server, page: Page, user: str) -> None:
    key = own_server.run(own_server.app.state.keys.create("ann", Grant("user", user))).key
    await remember(
        httpx.AsyncClient(base_url=own_server.url, headers={"Authorization": f"Bearer {key}"}), user, "I sold the car."
    )
    await page.goto(f"{own_server.url}/#/{user}/timeline")
    field = page.get_by_label("Key or token")
    await expect(field).to_be_focused()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await field.fill("mneme_" + "a" * 43)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await field.fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("li.said")).to_contain_text("I sold the car.")
    stored = await page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert key not in stored
    await page.goto(f"{own_server.url}/#/{user}/operator")
    await expect(page.get_by_text("Only an admin key may see this.").first).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.goto(f"{own_server.url}/#/{user}/timeline")
    await expect(field).to_be_visible()


async def test_an_admin_makes_and_revokes_keys_and_sees_the_load(own_server: Server, page: Page, user: str) -> None:
    key = own_server.run(own_server.app.state.keys.create("root", Grant("admin"))).key
    await page.goto(f"{own_server.url}/#/{user}/operator")
    await page.get_by_label("Key or token").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Name").fill("the shop")
    await page.get_by_label("Scope").select_option("service")
    await page.get_by_role("button", name="Make a key").click()
    made = await page.locator(".made code").inner_text()
    client = httpx.AsyncClient(base_url=own_server.url, headers={"Authorization": f"Bearer {made}"})
    await remember(client, user, "I sold the car.")
    await page.goto(f"{own_server.url}/#/{user}/timeline")
    await expect(page.locator(".said")).to_be_visible()
    await page.goto(f"{own_server.url}/#/{user}/operator")
    await expect(page.get_by_role("row", name=user).first).to_contain_text("1")
    await page.get_by_role("button", name="Revoke the key the shop").click()
    await page.get_by_role("button", name="Really revoke").click()
    await expect(page.get_by_role("row", name="the shop")).to_contain_text("revoked")
    assert (await client.get(f"/v1/users/{user}/memory")).status_code == 401
    await expect(page.locator(".chart canvas").first).to_be_visible()
    audit = page.locator(".panel", has=page.get_by_role("heading", name="Audit"))
    for _ in range(20):  # entries are written a moment after what they tell of
        await page.goto(f"{own_server.url}/#/{user}/timeline")
        await expect(page.locator(".said")).to_be_visible()
        await page.goto(f"{own_server.url}/#/{user}/operator")
        await expect(audit.get_by_text("POST").or_(audit.get_by_text("There are none.")).first).to_be_visible()
        if await audit.get_by_role("row", name="POST /v1/keys").count():
            break
    await expect(audit.get_by_role("row", name="POST /v1/keys")).to_contain_text("201")


async def test_the_first_view_takes_at_most_200_kilobytes(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.")
    sizes: list[int] = []

    async def measure(event: dict[str, float]) -> None:
        sizes.append(int(event["encodedDataLength"]))

    wire = await page.context.new_cdp_session(page)
    await wire.send("Network.enable")
    wire.on("Network.loadingFinished", measure)
    await page.goto(f"{server.url}/#/{user}/chat/monday")
    await expect(page.locator("article.user")).to_be_visible()
    assert 20_000 < sum(sizes) <= 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_wrong_in_any_view(
    server: Server, page: Page, client: httpx.AsyncClient, user: str, scheme: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", "I sold the car.")
    await client.post("/v1/chat", json={"user_id": user, "message": "Which dog?", "session_id": "monday"})
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.goto(f"{server.url}/#/{user}")
    axe = Axe()
    for view in SHOWN:
        await page.goto(f"{server.url}/#/{user}/{view}")
        await shown(page, view)
        for summary in await page.locator("summary").all():
            await summary.click()
        if view == "timeline":
            await page.get_by_role("button", name="Forget").first.click()
            await page.get_by_role("button", name="Correct").first.click()
        if view == "chat/monday":
            await page.get_by_role("button", name="Rename session").click()
        found = await axe.run(page)
        assert found.response["violations"] == [], found.generate_report()
        if view == "timeline":
            await page.locator(".toast").get_by_role("button", name="Undo").click()


async def test_nothing_is_wider_than_a_phone(
    server: Server, browser: Browser, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.", "x" * 300)
    await client.post("/v1/chat", json={"user_id": user, "message": "Which dog?", "session_id": "monday"})
    window = await browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = await window.new_page()
    for view in SHOWN:
        await page.goto(f"{server.url}/#/{user}/{view}")
        await shown(page, view)
        wide = await page.locator("main").evaluate("box => box.scrollWidth - box.clientWidth")
        assert wide <= 0, view
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await window.close()


async def test_the_keyboard_reaches_every_part(
    server: Server, page: Page, client: httpx.AsyncClient, user: str
) -> None:
    await remember(client, user, "My dog is called Biscuit.")
    await page.goto(f"{server.url}/#/{user}/timeline")
    await expect(page.locator("li.said")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Search")).to_be_focused()
    await page.keyboard.type("biscuit")
    await expect(page.locator("li.said")).to_have_count(1)
    await page.keyboard.type("s")
    await expect(page.get_by_text("No message is like that.")).to_be_visible()


async def test_a_view_that_cannot_be_fetched_is_asked_for_again(server: Server, page: Page, user: str) -> None:
    await page.goto(f"{server.url}/#/{user}/chat")
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    await page.route("**/views/timeline.js*", lambda route: route.abort())
    await page.get_by_role("link", name="Timeline").click()
    await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    await page.unroute("**/views/timeline.js*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator("#view-timeline").get_by_role("alert")).to_have_count(0)
    await expect(page.locator("#view-timeline h1")).to_be_visible()
