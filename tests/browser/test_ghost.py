"""Ghost text: what the model would write, after a pause, which costs nobody their turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import PHONE, button, choose, close, finish, text
from tests.conftest import serving

SUGGESTED = "big cats"  # Of twelve tokens, which are bytes here, the last one breaks a word off.


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("big cats run ")) as address:
        yield address


def ghost(page: Page) -> Locator:
    return page.locator("#ink .ghost")


def whole(page: Page) -> None:
    """Wait until all of it has come."""
    status = page.get_by_role("status")
    while status.text_content() != f"Suggested: {ghost(page).text_content()}":
        page.wait_for_timeout(20)


def asked(page: Page) -> list[Any]:
    found: list[Any] = []
    page.on("request", lambda request: found.append(request.post_data_json) if request.method == "POST" else None)
    return found


def test_after_a_pause_it_stands_there_and_tab_takes_it(page: Page, url: str) -> None:
    page.goto(url)
    requests = asked(page)
    text(page).focus()
    page.keyboard.type("The ")
    expect(ghost(page)).to_have_text(SUGGESTED)
    expect(text(page)).to_have_value("The ")
    expect(page.get_by_role("status")).to_have_text(f"Suggested: {SUGGESTED}")
    assert [each["only_if_idle"] for each in requests] == [True]
    page.keyboard.press("Tab")
    expect(text(page)).to_have_value(f"The {SUGGESTED}")
    expect(text(page)).to_be_focused()
    expect(page.locator("#ink .models")).to_have_text(SUGGESTED)
    page.keyboard.press("Control+z")
    expect(text(page)).to_have_value("The ")


def test_typing_what_it_says_shortens_it_and_asks_nothing(page: Page, url: str) -> None:
    page.goto(url)
    requests = asked(page)
    text(page).focus()
    page.keyboard.type("The ")
    expect(ghost(page)).to_have_text(SUGGESTED)
    page.keyboard.type("big c")
    expect(ghost(page)).to_have_text("ats")
    page.wait_for_timeout(700)
    assert len(requests) == 1
    page.keyboard.press("Tab")
    expect(page.locator("#ink .models")).to_have_text("ats")
    expect(text(page)).to_have_value("The big cats")


@pytest.mark.parametrize("key", ["Escape", "ArrowLeft", "Home"])
def test_escape_and_moving_the_caret_take_it_away(page: Page, url: str, key: str) -> None:
    page.goto(url)
    text(page).focus()
    page.keyboard.type("The ")
    expect(ghost(page)).to_be_visible()
    page.keyboard.press(key)
    expect(ghost(page)).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Tab")
    expect(text(page)).not_to_be_focused()


def test_keys_show_the_alternatives(page: Page, starter: str) -> None:
    page.goto(starter)
    text(page).focus()
    page.keyboard.type("[QUESTION] Why did the")
    whole(page)
    first = ghost(page).text_content() or ""
    page.keyboard.press("Alt+BracketRight")
    expect(ghost(page)).not_to_have_text(first)
    whole(page)
    second = ghost(page).text_content() or ""
    page.keyboard.press("Alt+BracketLeft")
    expect(ghost(page)).to_have_text(first)
    page.keyboard.press("Alt+BracketRight")
    expect(ghost(page)).to_have_text(second)
    page.keyboard.press("Tab")
    expect(text(page)).to_have_value(f"[QUESTION] Why did the{second}")


def test_continuing_takes_its_place(page: Page, url: str) -> None:
    page.goto(url)
    choose(page, "Length", "10")
    text(page).focus()
    page.keyboard.type("The ")
    expect(ghost(page)).to_have_text(SUGGESTED)
    page.keyboard.press("Control+Enter")
    finish(page)
    expect(text(page)).to_have_value("The big cats r")
    expect(ghost(page)).to_have_count(0)


def test_before_other_text_it_stands_at_the_caret(page: Page, url: str) -> None:
    page.goto(url)
    text(page).fill("The . It slept.")
    for _ in range(11):
        page.keyboard.press("ArrowLeft")
    page.keyboard.type("a ")
    expect(ghost(page)).to_be_visible()
    expect(page.locator("#ink span")).to_have_text(["The a ", SUGGESTED, ". It slept."])
    page.keyboard.press("Tab")
    expect(text(page)).to_have_value(f"The a {SUGGESTED}. It slept.")


def test_markup_that_is_suggested_stays_text(page: Page) -> None:
    with serving(FakeEngine("<b>x</b> ", doubt=0.1)) as url:
        page.goto(url)
        text(page).focus()
        page.keyboard.type("<i>a</i> ")
        expect(ghost(page)).to_have_text("<b>x</b>")
        page.keyboard.press("Tab")
        page.keyboard.press("Alt+KeyS")
        expect(page.locator("#ink [class*=tint]").first).to_be_visible()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Alt+ArrowDown")
        expect(page.get_by_role("dialog").get_by_role("button").first).to_have_text(re.compile("^<"))
        assert page.locator("main :is(b, i)").count() == 0


def test_on_a_phone_a_tap_takes_it_and_buttons_do_the_rest(enter: Callable[..., BrowserContext], url: str) -> None:
    page = enter(**PHONE).new_page()
    page.goto(url)
    text(page).tap()
    page.keyboard.type("The ")
    ghost(page).tap()
    expect(text(page)).to_have_value(f"The {SUGGESTED}")
    expect(text(page)).to_be_focused()
    page.keyboard.type("; ")
    button(page, "Take").tap()
    expect(text(page)).to_have_value(f"The {SUGGESTED}; {SUGGESTED}")
    page.keyboard.type("; ")
    button(page, "Off").tap()
    expect(ghost(page)).to_have_count(0)


def test_below_a_long_text_its_buttons_are_in_sight(enter: Callable[..., BrowserContext], url: str) -> None:
    """They once lay below the foot of the page."""
    page = enter(**PHONE | {"viewport": {"width": 390, "height": 470}}).new_page()
    page.goto(url)
    text(page).tap()
    page.keyboard.insert_text("Once upon a time.\n" * 30)
    page.keyboard.type("The ")
    whole(page)
    hint, foot = page.locator("#hint").bounding_box(), page.locator("footer").bounding_box()
    assert hint
    assert foot
    assert hint["y"] + hint["height"] <= foot["y"]


def test_a_press_below_it_reaches_what_was_pressed(page: Page, url: str) -> None:
    """With its last line gone at the beginning of a press, all below moved up, and the press ended beside its button."""
    page.goto(url)

    def height(written: str) -> float:
        text(page).fill(written)
        return float(page.locator("#ink").evaluate("(ink) => ink.clientHeight"))

    lines = next(each for n in range(70) if height(each := f"I\nsaw\n{'I ' * n}") < height(f"{each}{SUGGESTED}"))
    text(page).fill(lines.strip())
    page.keyboard.type(" ")
    whole(page)
    button(page, "Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    expect(ghost(page)).to_have_count(0)


def test_it_can_be_turned_off_for_good(page: Page, url: str) -> None:
    page.goto(url)
    requests = asked(page)
    button(page, "Settings").click()
    page.get_by_role("checkbox", name="Suggest words as I write").uncheck()
    close(page)
    for _ in range(2):
        text(page).focus()
        page.keyboard.type("The ")
        page.wait_for_timeout(700)
        expect(ghost(page)).to_have_count(0)
        page.reload()
    assert requests == []


def test_the_next_key_frees_the_server_at_once(page: Page) -> None:
    with serving(FakeEngine(seconds_per_token=0.2)) as slow:
        page.goto(slow)
        text(page).focus()
        with page.expect_request("**/generate"):
            page.keyboard.type("The ")
        page.wait_for_timeout(300)
        page.keyboard.type("x")
        ended = ""
        while not ended:
            ended = "".join(
                re.findall(r'request_success_total{finished_reason="(\w+)"} 1.0', httpx.get(f"{slow}/metrics").text)
            )
        assert ended == "abort"


def test_nothing_is_asked_while_a_text_is_written_or_the_caret_is_in_a_word(page: Page, url: str) -> None:
    page.goto(url)
    requests = asked(page)
    text(page).fill("The cat")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("r")
    page.wait_for_timeout(700)
    assert requests == []


def test_nothing_is_suggested_within_what_is_composed(page: Page, url: str) -> None:
    """It once stood behind the letters of which an input method had not yet made a word."""
    page.goto(url)
    requests = asked(page)
    text(page).focus()
    method = page.context.new_cdp_session(page)
    method.send("Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1})
    page.wait_for_timeout(600)
    assert not requests
    method.send("Input.insertText", {"text": "日"})
    expect(ghost(page)).to_have_text(SUGGESTED)


@pytest.mark.parametrize("changes", [{"rate_limit": 1}, {"api_keys": "open-sesame"}])
def test_a_refusal_is_silent(page: Page, changes: dict[str, Any]) -> None:
    with serving(FakeEngine(), **changes) as strict:
        page.goto(strict)
        expect(button(page, "Continue")).to_be_enabled()
        text(page).focus()
        before = page.get_by_role("alert").text_content()
        statuses: list[int] = []
        page.on("response", lambda response: statuses.append(response.status) if "generate" in response.url else None)
        for letter in "abc":
            page.keyboard.type(letter)
            page.wait_for_timeout(700)
        # After the first refusal it asks no more for a while.
        assert statuses in ([429], [401])
        assert page.get_by_role("alert").text_content() == before
        expect(ghost(page)).to_have_count(0)
