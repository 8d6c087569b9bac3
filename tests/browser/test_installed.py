"""The page as an app: without a network it opens, and what was written can be read. Without JavaScript it writes."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from app.engine.fake import SCRIPT, FakeEngine
from app.engine.profile import Profile
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving


def test_it_opens_without_a_network_and_writes_when_it_is_back(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine(profile=Profile(title="Ducks"))) as url:
        context = enter(service_workers="allow")
        page = context.new_page()
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Once, ")
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        context.set_offline(True)
        page.reload()
        expect(page).to_have_title("Ducks")
        expect(page.get_by_role("alert")).to_have_text(
            "You are offline: what the history holds can be read, and writing goes on when the network is back."
        )
        expect(page.locator("#ink .models")).to_have_text(SCRIPT[:10])
        expect(button(page, "Continue")).to_be_disabled()
        button(page, "New").click()
        button(page, "History").click()
        page.locator("#entries button").first.click()
        expect(text(page)).to_have_value(f"Once, {SCRIPT[:10]}")
        assert page.evaluate("caches.keys().then((all) => Promise.all(all.map((one) => caches.open(one))))")
        kept = page.evaluate(
            """async () => {
                const cache = await caches.open((await caches.keys())[0]);
                return (await cache.keys()).map(({ url }) => new URL(url).pathname);
            }"""
        )
        assert all(path == "/" or path.startswith("/web/") for path in kept)
        context.set_offline(False)
        expect(button(page, "Continue")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_empty()
        go(page)
        expect(text(page)).to_have_value(f"Once, {SCRIPT[:10] * 2}")


def test_without_javascript_a_form_writes(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine("<b>Yes</b>, ")) as url:
        page = enter(java_script_enabled=False).new_page()
        page.goto(url)
        page.get_by_label("Your text, which the model continues").last.fill("Well:\n")
        page.locator("noscript button, .plain button").last.click()
        expect(page.locator("pre")).to_have_text("Well:\n" + ("<b>Yes</b>, " * 9)[:100])
        button(page, "Continue").click()
        expect(page.locator("pre .yours")).to_have_text("Well:\n" + ("<b>Yes</b>, " * 9)[:100])
        expect(page.locator("b")).to_have_count(0)


def test_a_wrong_address_shows_a_page(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine(profile=Profile(title="<Ducks>"))) as url:
        page = enter().new_page()
        page.goto(f"{url}/nothing/here")
        expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
        page.get_by_role("link", name="Write with <Ducks>").click()
        expect(button(page, "Continue")).to_be_enabled()
        finish(page)
