"""Accessibility: by keyboard alone, with a screen reader, on a slow network, on any screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import DESK, PHONE, button, choose, finish, fits, go, say, text
from tests.conftest import serving

SCREENS: dict[str, dict[str, Any]] = {"light": DESK, "dark": DESK | {"color_scheme": "dark"}, "phone": PHONE}


def tab_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    for _ in range(40):
        page.keyboard.press(key)
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{key} does not lead to {wanted}")


def test_it_all_works_by_keyboard(page: Page) -> None:
    """A visitor can type at once, and the focus is never lost."""
    with serving(FakeEngine(seconds_per_token=0.02, template="chat")) as url:
        page.goto(url)
        expect(text(page)).to_be_focused()
        page.keyboard.type("Why")
        page.keyboard.press("Control+Enter")
        expect(text(page)).to_have_value(re.compile(r"^WhyThe"))
        page.keyboard.press("Escape")
        finish(page)
        expect(text(page)).to_be_focused()
        page.keyboard.press("Control+z")
        expect(text(page)).to_have_value("Why")
        tab_to(page, button(page, "Settings"), "Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Settings")).to_be_focused()
        tab_to(page, page.get_by_role("slider", name="Length"))
        page.keyboard.press("Home")
        page.keyboard.press("Escape")
        expect(button(page, "Settings")).to_be_focused()
        expect(button(page, "Settings")).to_have_attribute("aria-expanded", "false")
        tab_to(page, button(page, "Continue"))
        page.keyboard.press("Enter")
        finish(page)
        expect(text(page)).to_have_value(f"Why{SCRIPT[:10]}")
        expect(button(page, "Continue")).to_be_focused()
        tab_to(page, button(page, "Again"))
        page.keyboard.press("Control+Shift+Enter")
        finish(page)
        expect(text(page)).to_have_value(f"Why{SCRIPT[:10]}")
        tab_to(page, page.get_by_role("radio", name="Write"), "Shift+Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="Chat")).to_be_checked()
        tab_to(page, page.get_by_role("textbox", name="Your message"))
        page.keyboard.type("Hello")
        page.keyboard.press("Enter")
        finish(page)
        expect(page.locator("#turns p")).to_have_text(["Hello", SCRIPT[:10].strip()])


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious(enter: Callable[..., BrowserContext], screen: str) -> None:
    """Every state of the page is checked. Its policy is off, because it would block axe's script."""
    with serving(FakeEngine(template="chat"), api_keys="key") as url:
        page = enter(**SCREENS[screen], bypass_csp=True).new_page()
        page.goto(url)
        expect(button(page, "Hello! How are you?")).to_be_visible()
        assert not serious(page), "empty"
        button(page, "Continue").click()
        expect(page.get_by_role("textbox", name="API key")).to_be_focused()
        assert not serious(page), "with a key to ask for"
        page.get_by_role("textbox", name="API key").fill("key")
        page.keyboard.press("Enter")
        finish(page)
        assert not serious(page), "with a text"
        for panel in ("History", "Settings"):
            button(page, panel).click()
            assert not serious(page), panel
            page.keyboard.press("Escape")
        choose(page, "Samples", "3")
        go(page)
        assert not serious(page), "with continuations to choose from"
        page.get_by_role("radio", name="Chat").check()
        say(page, "Hello")
        assert not serious(page), "in a chat"
        page.route("**/v1/chat/completions", lambda route: route.fulfill(status=429, headers={"Retry-After": "60"}))
        page.get_by_role("textbox", name="Your message").fill("Hello")
        button(page, "Send").click()
        expect(button(page, "Do not wait")).to_be_visible()
        assert not serious(page), "during a countdown"
        page.goto(f"{url}/#mode=chat&turn=Hello&turn=Yes")
        expect(button(page, "Go on from here")).to_be_enabled()
        assert not serious(page), "with a text that was shared"
        for path in ("plain", "nothing"):
            page.goto(f"{url}/{path}")
            assert not serious(page), path


def serious(page: Page) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_all_files_are_small_and_from_the_server(enter: Callable[..., BrowserContext]) -> None:
    """Small as they travel, compressed. The `enter` fixture also checks that no script fails and no other host is contacted."""
    with serving(FakeEngine()) as url:
        page = enter().new_page()
        bodies: dict[str, int] = {}

        def finished(request: Request) -> None:
            response = request.response()
            assert response is not None
            bodies[request.url] = request.sizes()["responseBodySize"]

        page.on("requestfinished", finished)
        page.goto(url, wait_until="networkidle")
        expect(button(page, "Continue")).to_be_enabled()
        assert page.evaluate("performance.getEntriesByName('first-contentful-paint').length") == 1
        assert all(address.startswith(url) for address in bodies)
        assert {"", "style.css", "main.js"} <= {address.rsplit("/", 1)[1] for address in bodies}
        assert 20_000 < sum(bodies.values()) < 55_000


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_screen(enter: Callable[..., BrowserContext], screen: str) -> None:
    with serving(FakeEngine("wordswithoutanyspaces")) as url:
        page = enter(**SCREENS[screen]).new_page()
        page.goto(url)
        go(page, "Why" * 100)
        choose(page, "Samples", "3")
        go(page)
        assert fits(page)
