"""Rough use: quick presses, several tabs, what was stored by others, and presses in the middle of something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, close, finish, go, say, text
from tests.browser.test_arena import compare, engines
from tests.browser.test_branches import do, words
from tests.browser.test_chat import chat, requests
from tests.browser.test_history import entry, store, stored, titles
from tests.conftest import serving

COMPOSING = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true})"
LOST = 'data: {"choices": [{"delta": {"content": "Three,"}}]}\n\n'


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("Yes. ", template="chat")) as address:
        yield address


@pytest.fixture
def arena() -> Iterator[str]:
    with serving(*engines(), feedback="") as address:
        yield address


def titled(page: Page) -> list[str]:
    return sorted(each["title"] for each in stored(page))


def leave(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('pagehide'))")


def test_a_conversation_that_cannot_be_opened_is_not_replaced(page: Page) -> None:
    """It was taken for the current entry before it was shown, so the text on the page was stored in its place."""
    with serving(FakeEngine()) as address:
        page.goto(address)
        talk = entry(1, mode="chat", turns=[{"role": "user", "content": "Hi"}])
        store(page, talk)
        text(page).fill("Why")
        button(page, "History").click()
        page.locator("#entries .entry", has_text="Text 1").click()
        expect(page.get_by_role("alert")).to_contain_text("needs a model that knows turns")
        text(page).fill("Why not")
        leave(page)
        assert titled(page) == ["Text 1", "Why not"]


def test_two_tabs_that_show_one_text_lose_nothing(page: Page, url: str) -> None:
    """A duplicated tab wrote over the other one."""
    page.goto(url)
    go(page, "Once")
    with page.context.expect_page() as opened:
        page.evaluate("open(location)")
    other = opened.value
    expect(text(other)).to_have_value(re.compile("Once"))
    text(other).fill("Here")
    leave(other)
    text(page).fill("There")
    leave(page)
    leave(other)
    assert titled(page) == ["Here", "There"]
    text(page).fill("There again")
    leave(page)
    assert titled(page) == ["Here", "There again"]


def test_an_old_list_of_the_history_does_not_undo_what_another_tab_wrote(page: Page, url: str) -> None:
    page.goto(url)
    store(page, entry(2), entry(1))
    button(page, "History").click()
    store(page, entry(2, text="Longer", title="Longer"), entry(1))
    button(page, "Rename Text 2").click()
    page.keyboard.type("Mine")
    page.keyboard.press("Enter")
    assert [(each["name"], each["text"]) for each in stored(page) if each["id"] == "id2"] == [("Mine", "Longer")]
    store(page, entry(2, text="Longest"), entry(1))
    titles(page).first.click()
    expect(text(page)).to_have_value("Longest")


def test_a_text_that_is_only_looked_at_keeps_its_time(page: Page, url: str) -> None:
    page.goto(url)
    store(page, entry(2), entry(1))
    button(page, "History").click()
    titles(page).nth(1).click()
    leave(page)
    assert stored(page) == [entry(2), entry(1)]


def test_a_double_click_or_a_key_held_down_clears_nothing(page: Page, url: str) -> None:
    page.goto(url)
    store(page, entry(1))
    button(page, "History").click()
    clear = page.locator("#clear")
    clear.dblclick()
    page.keyboard.press("Tab")
    clear.focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    assert len(stored(page)) == 1
    button(page, "Clear everything?").press("Enter")
    assert stored(page) == []
    expect(page.get_by_role("heading", name="History")).to_be_focused()


def test_enter_that_accepts_a_composition_does_nothing_else(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    field = page.get_by_role("textbox", name="Your message")
    field.fill("に")
    assert field.evaluate(f"e => e.dispatchEvent({COMPOSING})")
    expect(field).to_have_value("に")
    do(page, 0, "Edit")
    assert page.get_by_role("textbox", name="Change these words").evaluate(f"e => e.dispatchEvent({COMPOSING})")
    button(page, "History").click()
    page.get_by_role("button", name="Rename One").click()
    naming = page.get_by_role("textbox", name="New name")
    assert naming.evaluate(f"e => e.dispatchEvent({COMPOSING})")
    expect(naming).to_be_visible()


def test_words_that_are_changed_stay_while_a_reply_is_gone_on_with(page: Page, url: str) -> None:
    """They were drawn anew as they had been."""
    chat(page, url)
    say(page, "One")
    do(page, 0, "Edit")
    editor = page.get_by_role("textbox", name="Change these words")
    editor.fill("Two")
    held: list[Route] = []
    page.route("**/v1/chat/completions", lambda route: held.append(route))  # noqa: PLW0108  Playwright sets attributes of it.
    with page.expect_request("**/v1/chat/completions"):
        button(page, "Continue").last.click()
    editor.press("Enter")
    expect(editor).to_have_value("Two")
    held[0].continue_()
    finish(page)
    expect(editor).to_have_value("Two")
    expect(words(page)).to_have_text(["Yes. Yes.Yes. Yes."])


def test_another_try_asks_what_was_changed_since(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    page.route("**/v1/chat/completions", lambda route: route.abort(), times=1)
    do(page, 0, "Edit")
    editor = page.get_by_role("textbox", name="Change these words")
    editor.fill("Two")
    editor.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    editor.fill("Three")
    button(page, "Try again").click()
    finish(page)
    expect(words(page)).to_have_text(["Three", "Yes. Yes."])


def test_after_the_second_of_two_replies_failed_both_are_asked_again(page: Page, arena: str) -> None:
    """The countdown made the first one longer instead."""
    chat(page, arena)
    page.get_by_role("combobox", name="Compare with").select_option("other")
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}))
    page.route("**/v1/chat/completions", lambda route: route.continue_(), times=1)
    say(page, "Well?")
    page.unroute("**/v1/chat/completions")
    expect(page.locator(".pair > .models")).to_have_count(2)
    finish(page)
    asked = requests(page)
    button(page, "Skip").click()
    expect(button(page, "Going on with this one")).to_be_focused()
    assert not asked


def test_two_replies_are_written_under_the_same_settings(page: Page, arena: str) -> None:
    """What was changed after the first one was for the second one alone."""
    chat(page, arena)
    page.get_by_role("combobox", name="Compare with").select_option("other")
    asked = requests(page)
    button(page, "Settings").click()

    def change(route: Route) -> None:
        if len(asked) == 1:
            page.get_by_role("slider", name="Temperature").fill("1.5")
            page.get_by_role("textbox", name="System text").fill("Late")
        route.continue_()

    held: list[Route] = []
    page.route("**/v1/chat/completions", lambda route: held.append(route))  # noqa: PLW0108  Playwright sets attributes of it.
    close(page)
    page.get_by_role("textbox", name="Your message").fill("Well?")
    with page.expect_request("**/v1/chat/completions"):
        page.keyboard.press("Enter")
    button(page, "Settings").click()
    change(held[0])
    page.unroute("**/v1/chat/completions")
    finish(page)
    assert [(each["temperature"], len(each["messages"])) for each in asked] == [(0.7, 1), (0.7, 1)]


def test_a_vote_that_waits_for_another_try_does_not_outlive_its_question(page: Page) -> None:
    with serving(*engines(), feedback="sqlite:///:memory:") as address:
        compare(page, address)
        page.route("**/feedback", lambda route: route.abort())
        button(page, "Both are good").click()
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        do(page, 0, "Edit")
        page.get_by_role("textbox", name="Change these words").press("Escape")
        expect(page.get_by_role("alert")).to_be_empty()


def test_a_link_that_is_opened_while_a_reply_is_written_is_shown(page: Page, url: str) -> None:
    """Nothing happened, and a countdown of the text before went on."""
    page.goto(url)
    go(page, "Once")
    button(page, "Share").click()
    expect(page.get_by_role("status").first).to_have_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    button(page, "New").click()
    with serving(FakeEngine("One, two. ", seconds_per_token=0.02, template="chat")) as slow:
        chat(page, slow, "100")
        page.get_by_role("textbox", name="Your message").fill("Count!")
        page.keyboard.press("Enter")
        expect(words(page).nth(1)).to_have_text(re.compile("two"))
        page.evaluate("hash => (location.hash = hash)", link.split("#")[1])
        expect(text(page)).to_have_value(re.compile("Once"))
        assert "Count!" in titled(page)


def test_storage_that_others_have_damaged_does_no_harm(page: Page, url: str) -> None:
    page.goto(url)
    damaged: dict[str, Any] = {
        "presets": [None, 1, {"name": "x"}, {"name": "__proto__", "values": {"__proto__": 1, "constructor": 2}}],
        "settings": {"constructor": 1, "temperature": "high", "stop": [1]},
        "history": [None, {"id": "__proto__"}, entry(1, id="__proto__", model="__proto__"), entry(1, id="__proto__")],
        "voter": None, "rival": {}, "system": 7, "current": {}, "played": "x", "suggest": "?",
    }  # fmt: skip
    for name, value in damaged.items():
        page.evaluate("([name, value]) => localStorage.setItem(name, value)", [name, json.dumps(value)])
    page.reload()
    go(page, "Why")
    button(page, "Settings").click()
    page.get_by_role("group", name="Presets").get_by_role("button", name="__proto__", exact=True).click()
    expect(page.locator("#preset-says")).to_contain_text("There is no setting called")
    close(page)
    button(page, "History").click()
    expect(titles(page)).to_have_count(3)
    titles(page).nth(1).click()
    expect(text(page)).to_have_value("Text 1")
