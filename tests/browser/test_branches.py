"""Branches of a chat: any turn is edited or written again, and nothing that was said before is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import DESK, PHONE, button, finish, fits, go, say, text
from tests.browser.test_access import serious
from tests.browser.test_chat import chat, requests
from tests.conftest import serving

OLD = """{"id": "a", "at": 1, "title": "Hi", "mode": "chat", "model": "fake",
    "turns": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes <b>.", "model": "fake"}]}"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("Yes. ", template="chat")) as address:
        yield address


def turn(page: Page, number: int) -> Locator:
    return page.get_by_role("list", name="Conversation").get_by_role("listitem").nth(number)


def do(page: Page, number: int, action: str) -> None:
    """Press a button in the row of a turn, which is shown where the mouse is."""
    turn(page, number).hover()
    turn(page, number).get_by_role("button", name=action).click()


def words(page: Page) -> Locator:
    return page.locator("#turns p")


def test_an_edited_message_is_asked_again_beside_the_old_one(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    say(page, "Two")
    asked = requests(page)
    do(page, 0, "Edit")
    field = page.get_by_role("textbox", name="Change these words")
    expect(field).to_be_focused()
    field.fill("Three")
    field.press("Enter")
    finish(page)
    expect(words(page)).to_have_text(["Three", "Yes. Yes."])
    assert [message["content"] for message in asked[0]["messages"]] == ["Three"]
    expect(turn(page, 0).locator(".versions")).to_contain_text("2/2")
    do(page, 0, "Earlier version")
    expect(words(page)).to_have_text(["One", "Yes. Yes.", "Two", "Yes. Yes."])
    expect(turn(page, 0).get_by_role("button", name="Later version")).to_be_focused()
    page.reload()
    expect(words(page)).to_have_text(["One", "Yes. Yes.", "Two", "Yes. Yes."])
    do(page, 0, "Later version")
    expect(words(page)).to_have_text(["Three", "Yes. Yes."])


def test_an_edited_reply_is_kept_and_said_to_be_edited(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    say(page, "Two")
    do(page, 1, "Edit")
    page.keyboard.press("Escape")
    expect(turn(page, 1).get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Change these words").fill("No <i>way</i>.")
    button(page, "Keep").click()
    expect(words(page)).to_have_text(["One", "No <i>way</i>.", "Two", "Yes. Yes."])
    expect(turn(page, 1).locator(".who")).to_have_text("fakeedited by you")
    asked = requests(page)
    say(page, "Three")
    assert asked[0]["messages"][1]["content"] == "No <i>way</i>."


def test_any_reply_is_written_again(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    say(page, "Two")
    asked = requests(page)
    do(page, 1, "Again")
    finish(page)
    expect(words(page)).to_have_text(["One", "Yes. Yes."])
    assert [message["content"] for message in asked[0]["messages"]] == ["One"]
    do(page, 1, "Again")
    finish(page)
    expect(turn(page, 1).locator(".versions")).to_contain_text("3/3")
    do(page, 1, "Earlier version")
    do(page, 1, "Earlier version")
    do(page, 1, "Later version")
    expect(turn(page, 1).get_by_role("button", name="Later version")).to_be_focused()
    do(page, 1, "Earlier version")
    expect(words(page)).to_have_text(["One", "Yes. Yes.", "Two", "Yes. Yes."])


def test_what_is_refused_leaves_the_conversation_as_it_was(page: Page, url: str) -> None:
    chat(page, url)
    say(page, "One")
    say(page, "Two")
    page.route("**/v1/chat/completions", lambda route: route.abort())
    do(page, 1, "Again")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(words(page)).to_have_text(["One", "Yes. Yes.", "Two", "Yes. Yes."])
    expect(page.locator(".versions")).to_have_count(0)
    do(page, 0, "Edit")
    page.get_by_role("textbox", name="Change these words").fill("Three")
    button(page, "Ask again").click()
    expect(page.get_by_role("textbox", name="Change these words")).to_have_value("Three")
    expect(words(page)).to_have_text(["Yes. Yes.", "Two", "Yes. Yes."])
    page.unroute("**/v1/chat/completions")
    button(page, "Ask again").click()
    finish(page)
    expect(words(page)).to_have_text(["Three", "Yes. Yes."])


def test_conversations_of_earlier_versions_still_open(page: Page, url: str) -> None:
    """They stored turns without saying which one each of them follows."""
    page.goto(url)
    page.evaluate(f"localStorage.setItem('history', JSON.stringify([{OLD}]))")
    page.reload()
    button(page, "History").click()
    page.locator("#entries .entry").click()
    expect(words(page)).to_have_text(["Hi", "Yes <b>."])
    do(page, 1, "Again")
    finish(page)
    expect(turn(page, 1).locator(".versions")).to_contain_text("2/2")


def test_a_row_is_reached_by_keyboard_and_by_a_tap(enter: Callable[..., BrowserContext], url: str) -> None:
    page = enter().new_page()
    chat(page, url)
    say(page, "One")
    say(page, "Two")
    row = turn(page, 0).locator(".row")
    page.mouse.move(0, 0)
    expect(row).to_have_css("opacity", "0")
    turn(page, 0).get_by_role("button", name="Edit").focus()
    expect(row).to_have_css("opacity", "1")
    phone = enter(**PHONE).new_page()
    chat(phone, url)
    say(phone, "One")
    say(phone, "Two")
    turn(phone, 0).locator("p").tap()
    turn(phone, 0).get_by_role("button", name="Edit").tap()
    expect(phone.get_by_role("textbox", name="Change these words")).to_be_focused()


@pytest.mark.parametrize("screen", [DESK | {"color_scheme": "dark"}, PHONE], ids=["dark", "phone"])
def test_axe_finds_nothing_serious_in_versions_and_their_editor(
    enter: Callable[..., BrowserContext], screen: dict[str, object]
) -> None:
    with serving(FakeEngine("Yes. ", n_ctx=64, template="chat")) as address:
        page = enter(**screen, bypass_csp=True).new_page()
        chat(page, address)
        for number in range(4):
            say(page, f"Message {number}")
        expect(page.locator(".unseen")).to_have_count(2)
        button(page, "Again").last.click()
        finish(page)
        expect(page.locator(".versions")).to_be_visible()
        assert not serious(page), "versions"
        button(page, "Edit").last.click()
        expect(page.get_by_role("textbox", name="Change these words")).to_be_focused()
        assert not serious(page), "editor"
        assert fits(page)


def test_a_link_shows_the_chosen_path(enter: Callable[..., BrowserContext], url: str) -> None:
    page = enter().new_page()
    chat(page, url)
    say(page, "One")
    do(page, 0, "Edit")
    page.get_by_role("textbox", name="Change these words").fill("Two")
    page.keyboard.press("Enter")
    finish(page)
    button(page, "Share").click()
    expect(page.get_by_role("status").first).to_have_text("Link copied")
    other = enter().new_page()
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(words(other)).to_have_text(["Two", "Yes. Yes."])


def test_a_conversation_whose_model_is_gone_is_said_to_need_one(page: Page) -> None:
    """It was picked, "The earlier text is back" was announced, and nothing happened."""
    with serving(FakeEngine()) as address:
        page.goto(address)
        page.evaluate(f"localStorage.setItem('history', JSON.stringify([{OLD}]))")
        go(page, "Why")
        button(page, "History").click()
        page.locator("#entries .entry").nth(1).click()
        expect(page.get_by_role("alert")).to_contain_text("This conversation needs a model that knows turns")
        expect(text(page)).to_have_value(f"Why{(SCRIPT * 3)[:120]}")
