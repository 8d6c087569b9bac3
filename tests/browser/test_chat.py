"""Chat: turns in order, each in its speaker's ink, what happens to a message that is refused, and replies that were cut."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, choose, close, finish, say
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
    # A text that comes at once has no rate.
    expect(page.locator("#count")).to_have_text(re.compile(r"^\d+ tokens( · \d+ tokens/s)?$"))


def chat(page: Page, url: str, length: str = "10") -> Locator:
    """Open the chat. Returns its field."""
    page.goto(url)
    choose(page, "Length", length)
    page.get_by_role("radio", name="Chat").check()
    return page.get_by_role("textbox", name="Your message")


def requests(page: Page) -> list[Any]:
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    return asked


def test_a_message_that_is_refused_goes_back_into_the_field(page: Page) -> None:
    """It stayed in the conversation, so that every message after it was refused as well."""
    with serving(FakeEngine("Yes. ", n_ctx=64, template="chat")) as url:
        field = chat(page, url)
        say(page, "Hello")
        field.fill("long " * 40)
        with page.expect_response("**/v1/chat/completions") as answer:
            button(page, "Send").click()
        sentence = answer.value.json()["error"]["message"]
        expect(page.get_by_role("alert")).to_contain_text(sentence[1:])
        expect(field).to_have_value(("long " * 40).strip())
        expect(page.locator("#turns p")).to_have_text(["Hello", "Yes. Yes."])
        say(page, "Short")
        expect(page.locator("#turns p")).to_have_text(["Hello", "Yes. Yes.", "Short", "Yes. Yes."])
        expect(page.get_by_role("alert")).to_be_empty()


def test_what_is_typed_meanwhile_stays_beside_a_message_that_is_refused(page: Page) -> None:
    with serving(FakeEngine(template="chat")) as url:
        field = chat(page, url)
        held: list[Route] = []
        page.route("**/v1/chat/completions", lambda route: held.append(route))  # noqa: PLW0108  Playwright sets attributes of it.
        field.fill("One")
        with page.expect_request("**/v1/chat/completions"):
            button(page, "Send").click()
        field.fill("Two")
        held[0].abort()
        expect(field).to_have_value("One\nTwo")
        expect(page.locator("#turns p")).to_have_count(0)


def test_what_the_model_no_longer_sees_is_fainter(page: Page) -> None:
    with serving(FakeEngine("Yes. ", n_ctx=64, template="chat")) as url:
        chat(page, url)
        turns = page.locator("#turns > li.yours, #turns > li.models")
        for number in range(4):
            expect(page.locator("#turns .note")).to_have_count(0)
            say(page, f"Message {number}")
        expect(page.locator("#turns .note")).to_have_text("The model no longer sees what is above.")
        faint = [*turns.evaluate_all("items => items.map(item => item.classList.contains('unseen'))")]
        assert faint == [True] * 2 + [False] * 6


def test_a_model_with_nothing_to_say_is_said_to_have_nothing(page: Page) -> None:
    with serving(FakeEngine("", template="chat")) as url:
        chat(page, url)
        say(page, "Hello")
        expect(page.locator("#turns p")).to_have_text(["Hello", "The model had nothing to say."])
        page.reload()
        expect(page.locator("#turns p")).to_have_text(["Hello", "The model had nothing to say."])
        expect(page.locator("#turns li").nth(1).get_by_role("button", name="Continue")).to_have_count(0)


def test_a_reply_that_was_cut_goes_on_in_the_same_turn(page: Page) -> None:
    with serving(FakeEngine("One, two. ", template="chat")) as url:
        chat(page, url)
        asked = requests(page)
        say(page, "Count!")
        button(page, "Continue").click()
        finish(page)
        expect(page.locator("#turns p")).to_have_text(["Count!", "One, two.One, two."])
        assert asked[1]["continue_final_message"]
        assert asked[1]["messages"][1] == {"role": "assistant", "content": "One, two."}
        page.reload()
        expect(button(page, "Continue")).to_be_visible()


def test_a_reply_that_was_stopped_or_is_longer_than_the_window_goes_on(page: Page) -> None:
    with serving(FakeEngine("One, two. ", n_ctx=64, seconds_per_token=0.01, template="chat")) as url:
        chat(page, url, "100")
        page.get_by_role("textbox", name="Your message").fill("Count!")
        page.keyboard.press("Enter")
        expect(page.locator("#turns p").nth(1)).to_have_text(re.compile("two"))
        page.keyboard.press("Escape")
        finish(page)
        for _ in range(2):
            button(page, "Continue").click()
            finish(page)
        expect(page.locator("#turns li")).to_have_count(2)
        assert len(page.locator("#turns p").nth(1).inner_text()) > 150
        expect(page.get_by_role("alert")).to_be_empty()


def test_after_a_lost_connection_another_try_goes_on_with_the_reply(page: Page) -> None:
    with serving(FakeEngine("One, two. ", template="chat")) as url:
        chat(page, url)
        piece = 'data: {"choices": [{"delta": {"content": "Three,"}}]}\n\n'
        page.route("**/v1/chat/completions", lambda route: route.fulfill(body=piece, content_type="text/event-stream"))
        say(page, "Count!")
        expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
        expect(page.locator("#turns p")).to_have_text(["Count!", "Three,"])
        page.unroute("**/v1/chat/completions")
        button(page, "Try again").click()
        finish(page)
        expect(page.locator("#turns p")).to_have_text(["Count!", "Three,One, two."])


def test_a_system_text_comes_first_and_belongs_to_the_conversation(page: Page) -> None:
    with serving(FakeEngine("Yes. ", template="chat")) as url:
        chat(page, url)
        asked = requests(page)
        system = page.get_by_role("textbox", name="System text")
        button(page, "Settings").click()
        system.fill("Be <b>brief</b>.")
        close(page)
        say(page, "Hello")
        assert [message["role"] for message in asked[0]["messages"]] == ["system", "user"]
        button(page, "New").click()
        button(page, "Settings").click()
        system.fill("")
        close(page)
        say(page, "Who?")
        assert [message["role"] for message in asked[1]["messages"]] == ["user"]
        button(page, "History").click()
        page.locator("#entries .entry").nth(1).click()
        button(page, "Settings").click()
        expect(system).to_have_value("Be <b>brief</b>.")


def test_a_model_without_turns_has_no_system_text(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        button(page, "Settings").click()
        expect(page.get_by_role("textbox", name="System text")).to_be_hidden()
