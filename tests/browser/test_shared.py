"""A text is shared as a link that shows it, as a picture, or through the device's own sheet."""

from __future__ import annotations

import json
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import button, choose, finish, go, say, text
from tests.conftest import serving

MARKUP = "<img src=x onerror=alert(1)><script>document.title = 'taken'</script>"


def link(page: Page) -> str:
    button(page, "Share").click()
    expect(page.get_by_role("status")).to_have_text("Link copied")
    address: str = page.evaluate("navigator.clipboard.readText()")
    return address


def packed(content: Any) -> str:
    """The part of a link after the #."""
    deflated = zlib.compressobj(wbits=-15)
    data = deflated.compress(json.dumps(content).encode()) + deflated.flush()
    return "#t=" + urlsafe_b64encode(data).decode().rstrip("=")


def test_a_link_shows_the_text_in_both_inks_at_once(enter: Callable[..., BrowserContext], starter: str) -> None:
    """It once brought the prompt alone, and the receiver had to write the text anew to read it."""
    page = enter().new_page()
    page.goto(starter)
    choose(page, "Temperature", "1.1")
    choose(page, "Length", "40")
    go(page, "[VERDICT] & 100% <yours> 🦆\n")
    written = text(page).input_value()
    address = link(page)
    other = enter().new_page()
    other.route("**/version", lambda route: route.abort())
    other.goto(address)
    expect(text(other)).to_have_value(written)
    expect(other.locator("#ink .yours")).to_have_text("[VERDICT] & 100% <yours> 🦆")
    expect(other.get_by_text("Shared with you. The coloured words are the model’s.")).to_be_visible()
    expect(button(other, "Continue")).to_be_hidden()
    assert "#" not in other.url
    other.unroute("**/version")
    button(other, "Try again").click()
    button(other, "Settings").click()
    expect(other.get_by_role("slider", name="Temperature")).to_have_value("1.1")
    expect(other.get_by_role("slider", name="Length")).to_have_value("40")
    expect(other.get_by_role("slider", name="Top p")).to_have_value("0.8")
    expect(other.get_by_role("textbox", name="Seed")).to_have_value(re.compile(r"^\d+$"))
    button(other, "Undo").click()
    expect(text(other)).to_have_value("[VERDICT] & 100% <yours> 🦆\n")
    go(other)
    expect(text(other)).to_have_value(written)


@pytest.mark.parametrize("way", ["Go on from here", "Another", "typing"])
def test_the_receiver_goes_on(enter: Callable[..., BrowserContext], way: str) -> None:
    with serving(FakeEngine()) as url:
        page = enter().new_page()
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Once, ")
        other = enter().new_page()
        other.goto(link(page))
        if way == "typing":
            text(other).press("Control+End")
            other.keyboard.type("!")
        else:
            button(other, way).click()
            finish(other)
        expected = {"Go on from here": SCRIPT[:10] * 2, "Another": SCRIPT[:10], "typing": f"{SCRIPT[:10]}!"}
        expect(text(other)).to_have_value(f"Once, {expected[way]}")
        expect(button(other, "Continue")).to_be_visible()
        expect(other.locator("#shared")).to_be_hidden()


def test_a_link_shows_a_conversation(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine("Yes. ", template="chat")) as url:
        page = enter().new_page()
        page.goto(url)
        choose(page, "Length", "10")
        page.get_by_role("radio", name="Chat").check()
        say(page, "Are you there?")
        other = enter().new_page()
        other.goto(link(page))
        expect(other.locator("#turns p")).to_have_text(["Are you there?", "Yes. Yes."])
        expect(other.get_by_role("radio", name="Chat")).to_be_checked()
        button(other, "Go on from here").click()
        expect(other.get_by_role("textbox", name="Your message")).to_be_focused()
        say(other, "Still?")
        expect(other.locator("#turns p")).to_have_text(["Are you there?", "Yes. Yes.", "Still?", "Yes. Yes."])


def test_a_link_that_is_opened_while_a_text_is_written_is_shown_once(page: Page) -> None:
    """It was once forgotten, and its address shown all the same; then it was shown twice, and twice in the history."""
    with serving(FakeEngine(seconds_per_token=0.02)) as url:
        page.goto(url)
        text(page).fill("Mine")
        button(page, "Continue").click()
        expect(text(page)).to_have_value(re.compile("^MineThe"))
        page.evaluate("location.hash = 'mode=write&text=Yours'")
        expect(text(page)).to_have_value("Yours")
        assert page.url == f"{url}/"
        button(page, "History").click()
        expect(page.locator("#entries")).to_contain_text("MineThe")
        expect(page.locator("#entries > li", has_text="Yours")).to_have_count(1)


def test_a_link_of_an_earlier_version_still_works(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(f"{url}/#mode=write&model=gone&text=Why&temperature=9&length=30")
        expect(text(page)).to_have_value("Why")
        expect(page.get_by_role("alert")).to_have_text(
            "Some of this link could not be used: temperature must be between 0 and 2. This server has no model gone."
        )
        button(page, "Settings").click()
        expect(page.get_by_role("slider", name="Length")).to_have_value("30")


@pytest.mark.parametrize(
    "fragment",
    ["#t=", "#t=%", "#t=AAAA", packed([]), packed(None), packed({"mode": "write"}), packed({"mode": "write", "parts": [1]}),
     packed({"mode": "chat", "turns": "no"}), packed({"parts": ["x"], "settings": 3}), packed({"parts": ["x"], "model": {}}),
     packed({"parts": ["x"], "prompt": 1}), packed({"mode": "chat", "turns": ["x"], "system": 1}),
     packed({"parts": ["a" * 2_000_000]}),
     packed({"mode": "write", "parts": ["whole"]})[:-4]],
)  # fmt: skip
def test_a_damaged_link_says_so(page: Page, fragment: str) -> None:
    with serving(FakeEngine()) as url:
        page.goto(f"{url}/{fragment}")
        expect(page.get_by_role("alert")).to_have_text(re.compile("^This link is damaged"))
        expect(button(page, "Continue")).to_be_enabled()


def test_markup_in_a_link_stays_text(page: Page) -> None:
    with serving(FakeEngine(template="chat")) as url:
        for content in (
            {
                "mode": "write",
                "model": MARKUP,
                "parts": [MARKUP, MARKUP],
                "prompt": MARKUP,
                "settings": {MARKUP: MARKUP},
            },
            {"mode": "chat", "model": MARKUP, "turns": [MARKUP, MARKUP]},
        ):
            page.goto(f"{url}/{packed(content)}")
            expect(page.locator("main .models:visible").last).to_contain_text(MARKUP)
            expect(page.get_by_role("alert")).to_contain_text(f"This server has no model {MARKUP}.")
            assert page.locator("main :is(img, script), footer :is(img, script)").count() == 0
            assert page.title() == "GPT-2"


def test_a_link_that_is_too_long_for_a_message_is_copied_with_a_warning(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine()) as url:
        page = enter().new_page()
        page.goto(url)
        written = " ".join(str(number * number) for number in range(3000))
        text(page).fill(written)
        address = link(page)
        expect(page.get_by_role("alert")).to_contain_text("It is long, and some apps cut it")
        other = enter().new_page()
        other.goto(address)
        expect(text(other)).to_have_value(written)


def test_the_devices_own_sheet_gets_the_link_and_the_text(page: Page) -> None:
    """Nothing is wrong if it is closed without a choice."""
    page.add_init_script("""navigator.share = async (content) => {
        window.given = content;
        if (window.isClosed) throw new DOMException("", "AbortError");
    }""")
    with serving(FakeEngine("Yes. ")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Well: ")
        button(page, "Share").click()
        expect(page.get_by_role("status")).to_have_text("Shared")
        given = page.evaluate("window.given")
        assert given["url"].startswith(f"{url}/#t=")
        assert (given["title"], given["text"]) == ("GPT-2", "Well: Yes. Yes. ")
        page.evaluate("window.isClosed = true")
        button(page, "Shared").or_(button(page, "Share")).click()
        expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize(("length", "height"), [(10, 630), (1000, None)])
def test_the_text_is_saved_as_a_picture(page: Page, tmp_path: Path, length: int, height: int | None) -> None:
    """Of the size that networks show. A long text makes it higher."""
    with serving(FakeEngine("Some words, and <more>. ")) as url:
        page.goto(url)
        choose(page, "Length", str(length))
        go(page, "Once,")
        with page.expect_download() as saved:
            button(page, "Save image").click()
        assert saved.value.suggested_filename == "gpt-2.png"
        saved.value.save_as(tmp_path / "gpt-2.png")
    content = (tmp_path / "gpt-2.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    found = int.from_bytes(content[20:24])
    assert int.from_bytes(content[16:20]) == 1200
    assert found == height if height else found > 630
    assert len(content) > 5000
