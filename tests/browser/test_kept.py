"""What remains after the page is closed: links, the history, settings, the theme, votes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, expect

from app.engine.fake import FakeEngine
from app.feedback import open_store
from app.feedback.store import Tally
from tests.browser.conftest import button, choose, close, go, seed, text
from tests.conftest import serving


def test_the_history_is_there_after_a_reload_until_it_is_cleared(page: Page) -> None:
    with serving(FakeEngine("Yes. ")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "The first.")
        button(page, "New").click()
        go(page, "The second.")
        page.reload()
        expect(text(page)).to_have_value("The second.Yes. Yes. ")
        expect(page.locator("#ink .models")).to_have_text("Yes. Yes.")
        button(page, "History").click()
        entries = page.get_by_role("complementary", name="History").get_by_role("listitem")
        expect(entries.locator("span")).to_have_text(["The second.Yes. Yes.", "The first.Yes. Yes."])
        entries.nth(1).locator(".entry").click()
        expect(text(page)).to_have_value("The first.Yes. Yes. ")
        button(page, "Clear history").click()
        expect(entries).to_have_count(2)
        button(page, "Clear everything?").click()
        expect(entries).to_have_text(["Nothing yet."])
        assert page.evaluate("JSON.parse(localStorage.history)") == []


def test_settings_stay_until_they_are_reset(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        button(page, "Settings").click()
        page.get_by_text("More ways to choose").click()
        page.get_by_role("slider", name="Top k").fill("7")
        close(page)
        seed(page, "11")
        page.reload()
        button(page, "Settings").click()
        expect(page.get_by_role("slider", name="Top k")).to_have_value("7")
        expect(page.get_by_role("textbox", name="Seed")).to_have_value("11")
        button(page, "Reset to defaults").click()
        expect(page.get_by_role("slider", name="Top k")).to_have_value("0")
        page.get_by_role("textbox", name="Seed").fill("-1")
        page.get_by_role("textbox", name="Seed").press("Tab")
        expect(page.get_by_text("A seed is a whole number from 0 to 4294967295.")).to_be_visible()


def test_dark_and_light_are_chosen_and_kept(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine()) as url:
        page = enter(color_scheme="dark").new_page()
        page.goto(url)
        paper = page.locator("body")
        expect(paper).to_have_css("background-color", "rgb(22, 23, 27)")
        button(page, "Settings").click()
        colours = page.get_by_role("radiogroup", name="Colours")
        expect(colours.get_by_role("radio", name="Like the device")).to_be_checked()
        colours.get_by_role("radio", name="Light").check()
        expect(paper).to_have_css("background-color", "rgb(252, 250, 245)")
        frame = page.locator("meta[name=theme-color][media*=dark]")
        expect(frame).to_have_attribute("content", "#fcfaf5")
        page.reload()
        expect(paper).to_have_css("background-color", "rgb(252, 250, 245)")
        button(page, "Settings").click()
        expect(colours.get_by_role("radio", name="Light")).to_be_checked()
        colours.get_by_role("radio", name="Like the device").check()
        expect(paper).to_have_css("background-color", "rgb(22, 23, 27)")
        expect(frame).to_have_attribute("content", "#16171b")
        assert page.evaluate("localStorage.getItem('theme')") is None


def tallies(address: str) -> list[Tally]:
    async def main() -> list[Tally]:
        store = open_store(address)
        try:
            return await store.tally()
        finally:
            await store.close()

    # Playwright's event loop runs in this thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()


def test_a_vote_reaches_the_store_and_may_change(page: Page, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/feedback.db"
    with serving(FakeEngine(), feedback=address) as url:
        page.goto(url)
        go(page, "Why")
        button(page, "Good").click()
        expect(button(page, "Good")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("status")).to_have_text("Thank you, your vote is saved.")
        button(page, "Bad").click()
        expect(button(page, "Bad")).to_have_attribute("aria-pressed", "true")
        expect(button(page, "Good")).to_have_attribute("aria-pressed", "false")
    assert [(tally.generated_by, tally.up, tally.down) for tally in tallies(address)] == [("fake", 0, 1)]


def test_a_server_without_a_store_shows_no_vote_buttons(page: Page, starter: str) -> None:
    page.goto(starter)
    go(page, "[QUESTION]")
    expect(button(page, "Good")).to_have_count(0)


def test_each_continuation_has_its_own_vote(page: Page, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/feedback.db"
    with serving(FakeEngine(doubt=0.99), feedback=address) as url:
        page.goto(url)
        choose(page, "Samples", "2")
        go(page, "Why")
        expect(button(page, "Good")).to_have_count(2)
        page.get_by_role("listitem").nth(1).get_by_role("button", name="Good").click()
        expect(page.get_by_role("status")).to_have_text("Thank you, your vote is saved.")
    assert [(tally.generated_by, tally.up) for tally in tallies(address)] == [("fake", 1)]


def test_what_is_typed_before_the_server_answers_stays(page: Page) -> None:
    """After a reload, the text of before once took the place of what was typed while the page asked the server for its models."""
    with serving(FakeEngine()) as url:
        page.goto(url)
        go(page, "Before")
        held: list[Route] = []
        page.route("**/version", lambda route: held.append(route))  # noqa: PLW0108  Playwright sets attributes of it.
        with page.expect_request("**/version"):
            page.reload()
        text(page).fill("Why")
        held[0].continue_()
        expect(button(page, "Continue")).to_be_enabled()
        expect(text(page)).to_have_value("Why")
