"""When the server refuses or is gone, the page says in one sentence why and what to do."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving


def test_a_key_is_asked_for_at_once_and_kept_in_this_tab_only(page: Page) -> None:
    """It was once asked for after a text was written, in a sentence about HTTP headers."""
    with serving(FakeEngine(), api_keys="open-sesame") as url:
        page.goto(url)
        field = page.get_by_role("textbox", name="API key")
        expect(field).to_be_focused()
        expect(page.get_by_role("alert")).to_have_text("This server asks for an API key: enter yours below.")
        text(page).fill("Why")
        button(page, "Continue").click()
        expect(field).to_be_focused()
        field.fill("wrong")
        button(page, "Use this key").click()
        expect(page.get_by_role("alert")).to_have_text(
            "This server does not know this API key: check it and enter it again."
        )
        expect(text(page)).to_have_value("Why")
        field.fill("open-sesame")
        page.keyboard.press("Enter")
        expect(field).to_be_hidden()
        expect(text(page)).to_have_value(f"Why{(SCRIPT * 3)[:120]}")
        page.reload()
        expect(text(page)).to_have_value(f"Why{(SCRIPT * 3)[:120]}")
        expect(field).to_be_hidden()
        assert page.evaluate("sessionStorage.getItem('key')") == '"open-sesame"'
        assert page.evaluate("localStorage.getItem('key')") is None


def test_a_full_server_is_asked_again_after_a_countdown(page: Page) -> None:
    """One sentence says it. Once it was the server's own, then another about patience, then "stopped"."""
    with serving(FakeEngine(seconds_per_token=0.05), queue_limit=0) as url:
        page.goto(url)
        choose(page, "Length", "10")
        text(page).fill("Why")
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as another:
            parts = another.iter_bytes()
            next(parts)
            button(page, "Continue").click()
            expect(page.get_by_role("alert")).to_have_text("The server is busy with the texts of others.")
            expect(page.locator("#left")).to_have_text(re.compile(r"^Trying again in \d s\.$"))
            expect(text(page)).to_have_value("Why")
        expect(text(page)).to_have_value(f"Why{SCRIPT[:10]}")
        expect(page.get_by_role("alert")).to_be_empty()
        expect(button(page, "Try again")).to_be_hidden()


@pytest.mark.parametrize("way", ["button", "Escape", "typing"])
def test_a_countdown_can_be_stopped(page: Page, way: str) -> None:
    """It also stops for who types, since it would write into the sentence that is being typed."""
    with serving(FakeEngine(), rate_limit=1) as url:
        page.clock.install()
        page.goto(url)
        go(page, "Why")
        button(page, "Continue").click()
        expect(page.get_by_role("alert")).to_have_text("That was more than this server answers in a minute.")
        expect(page.locator("#count")).to_be_empty()
        if way == "button":
            button(page, "Do not wait").click()
        elif way == "Escape":
            page.keyboard.press("Escape")
        else:
            text(page).fill("Why not?")
        expect(page.locator("#left")).to_be_hidden()
        before = text(page).input_value()
        page.clock.fast_forward(200_000)
        expect(button(page, "Try again")).to_be_visible()
        expect(text(page)).to_have_value(before)


def test_a_server_that_is_gone_is_reported_in_a_sentence(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        text(page).fill("Why")
        expect(button(page, "Continue")).to_be_enabled()
    button(page, "Continue").click()
    finish(page)
    expect(page.get_by_role("alert")).to_have_text("The server cannot be reached: check your connection.")
    expect(page.locator("#left")).to_have_text(re.compile(r"^Trying again in \d s\.$"))
    expect(button(page, "Try again")).to_be_visible()
    expect(text(page)).to_have_value("Why")
