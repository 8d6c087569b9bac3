"""Chat: turns in order, each in its speaker's ink, and the model that is chosen."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, choose, finish, say
from tests.conftest import serving


def test_a_conversation_of_two_turns(page: Page) -> None:
    with serving(FakeEngine("Yes. ", template="chat")) as url:
        page.goto(url)
        asked: list[Any] = []
        page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
        choose(page, "Length", "10")
        page.get_by_role("radio", name="Chat").check()
        say(page, "Are you there?")
        say(page, "Still?")
        turns = page.get_by_role("list", name="Conversation").get_by_role("listitem")
        expect(turns.locator("p")).to_have_text(["Are you there?", "Yes. Yes.", "Still?", "Yes. Yes."])
        expect(turns.locator(".who")).to_have_text(["You", "fake", "You", "fake"])
        button(page, "Undo").click()
        expect(turns).to_have_count(2)
        expect(page.get_by_role("textbox", name="Your message")).to_have_value("Still?")
    roles = [(message["role"], message["content"]) for message in asked[-1]["messages"]]
    assert roles == [("user", "Are you there?"), ("assistant", "Yes. Yes."), ("user", "Still?")]


def test_the_model_is_chosen(page: Page) -> None:
    with serving(FakeEngine("One. "), FakeEngine("Two. ", name="other", template="chat")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        expect(page.get_by_role("radio", name="Chat")).to_be_hidden()
        page.get_by_role("combobox", name="Model").select_option("other")
        page.get_by_role("radio", name="Chat").check()
        say(page, "Which?")
        expect(page.locator("#turns p")).to_have_text(["Which?", "Two. Two."])
        expect(page.locator("#turns .who")).to_have_text(["You", "other"])


def test_the_starter_answers(page: Page, starter: str) -> None:
    page.goto(starter)
    page.get_by_role("radio", name="Chat").check()
    button(page, "Hello! How are you?").click()
    finish(page)
    say(page, "I love the mountains.")
    turns = page.locator("#turns li")
    expect(turns).to_have_count(4)
    for at in (1, 3):
        expect(turns.nth(at).locator("p")).to_have_text(re.compile(r"^\w.+[.?!]$"))
    expect(page.locator("#count")).to_have_text(re.compile(r"tokens/s$"))
