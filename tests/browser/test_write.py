"""Write mode: continue, stop, undo, choose, copy, save; the model's words are only ever inserted as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import PHONE, button, choose, finish, go, seed, text
from tests.conftest import serving

WRITTEN = (SCRIPT * 3)[:120]  # The page asks for 120 tokens, and the fake engine's tokens are bytes.
MARKUP = "<b>bold</b><img src=x onerror=alert(1)><script>document.title = 'taken'</script> "


def test_the_model_continues_in_an_ink_of_its_own(page: Page) -> None:
    with serving(FakeEngine(seconds_per_token=0.001)) as url:
        page.goto(url)
        go(page, "Once, ")
        # The trailing space is not sent with the prompt and stays in the text.
        expect(text(page)).to_have_value(f"Once, {WRITTEN}")
        expect(page.locator("#ink .models")).to_have_text(WRITTEN)
        expect(page.locator("#ink .yours")).to_have_text("Once,")
        expect(page.locator("#count")).to_have_text(re.compile(r"^120 tokens · \d+ tokens/s$"))
        expect(page.get_by_role("status")).to_have_text(WRITTEN.strip())
        go(page)
        expect(text(page)).to_have_value(f"Once, {WRITTEN}{WRITTEN}")
        button(page, "Undo").click()
        expect(text(page)).to_have_value(f"Once, {WRITTEN}")
        button(page, "Undo").click()
        expect(text(page)).to_have_value("Once, ")
        expect(button(page, "Undo")).to_be_disabled()


def test_what_a_person_types_into_the_models_words_is_the_persons(page: Page) -> None:
    with serving(FakeEngine("Yes. ")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Well:")
        text(page).press("Control+End")
        page.keyboard.type("No.")
        expect(page.locator("#ink span")).to_have_text(["Well:", "Yes. Yes. ", "No."])


def test_an_emoji_in_place_of_another_stays_whole(page: Page) -> None:
    """JavaScript counts an emoji as two characters. Of two that begin alike, the first half once stayed the model's."""
    with serving(FakeEngine("😀. ")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Hi ")
        text(page).focus()
        text(page).evaluate("(field) => field.setSelectionRange(3, 5)")
        page.keyboard.insert_text("😁")
        expect(page.locator("#ink span").first).to_have_text("Hi 😁")


def test_what_the_browser_brings_back_has_its_ink_again(page: Page) -> None:
    """A part of the model's words, deleted and brought back by the browser's own undo, was once the person's."""
    with serving(FakeEngine("one two ")) as url:
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Hi ")
        text(page).focus()
        text(page).evaluate("(field) => field.setSelectionRange(5, 8)")
        page.keyboard.press("Delete")
        expect(page.locator("#ink .models")).to_have_text("onwo on")
        page.keyboard.press("Control+z")
        expect(text(page)).to_have_value("Hi one two on")
        expect(page.locator("#ink .models")).to_have_text("one two on")
        page.keyboard.press("Control+z")
        expect(text(page)).to_have_value("Hi ")


def test_another_try_takes_the_place_of_the_last_with_a_seed_of_its_own(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        asked: list[Any] = []
        page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
        seed(page, "5")
        go(page, "Why")
        button(page, "Again").click()
        finish(page)
        expect(text(page)).to_have_value(f"Why{WRITTEN}")
    assert [each["prefix"] for each in asked] == ["Why", "Why"]
    assert [each.get("seed") for each in asked] == [5, None]


def test_stopping_frees_the_server_and_keeps_the_text(page: Page) -> None:
    """The server has no queue, so it answers other requests only after the generation has ended."""
    with serving(FakeEngine(seconds_per_token=0.05), queue_limit=0) as url:
        page.goto(url)
        choose(page, "Length", "1000")
        text(page).fill("Why")
        button(page, "Continue").click()
        expect(text(page)).to_have_value(re.compile(r"^WhyThe q"))
        assert httpx.get(f"{url}/?length=1").status_code == 503
        button(page, "Stop").click()
        finish(page)
        kept = text(page).input_value()
        assert f"Why{SCRIPT * 23}".startswith(kept)
        expect(page.locator("#count")).to_have_text(re.compile("stopped$"))
        while httpx.get(f"{url}/?length=1").status_code == 503:
            pass
        expect(text(page)).to_have_value(kept)
        expect(button(page, "Continue")).to_be_focused()


def test_several_continuations_stand_side_by_side_and_one_is_taken(page: Page, starter: str) -> None:
    page.goto(starter)
    choose(page, "Samples", "3")
    seed(page, "1")
    go(page, "[QUESTION]")
    cards = page.get_by_role("list", name="Continuations to choose from").get_by_role("listitem")
    expect(cards).to_have_count(3)
    texts = [card.locator("p").text_content() or "" for card in cards.all()]
    assert len(set(texts)) == 3
    expect(text(page)).to_have_value("[QUESTION]")
    cards.nth(1).get_by_role("button", name="Take this one").click()
    expect(text(page)).to_have_value(f"[QUESTION] {texts[1]}")
    expect(cards).to_have_count(0)
    expect(text(page)).to_be_focused()


def test_windows_line_ends_do_not_shift_the_inks(page: Page) -> None:
    """A text area turns CR LF into one character. Counted as two, it once gave the next typed letter to the model."""
    with serving(FakeEngine("Yes.\r\n")) as url:
        page.goto(url)
        choose(page, "Length", "20")
        go(page, "Well:\n")
        text(page).press("Control+End")
        page.keyboard.type("No.")
        expect(text(page)).to_have_value("Well:\nYes.\nYes.\nYes.\nYeNo.")
        expect(page.locator("#ink .models")).to_have_text("Yes.\nYes.\nYes.\nYe", use_inner_text=True)
        expect(page.locator("#ink .yours").last).to_have_text("No.")


def test_markup_that_the_model_writes_stays_text(page: Page) -> None:
    """In the text, in continuations to choose from, in the history and in the chat."""
    with serving(FakeEngine(MARKUP, template="chat")) as url:
        page.goto(url)
        go(page, "<i>Mine</i> ")
        expect(text(page)).to_have_value(f"<i>Mine</i> {(MARKUP * 2)[:120]}")
        expect(page.locator("#ink .models")).to_have_text((MARKUP * 2)[:120].strip())
        choose(page, "Samples", "2")
        go(page)
        expect(page.get_by_role("listitem").locator("p.models")).to_have_text((MARKUP * 2)[:120].strip())
        button(page, "History").click()
        expect(page.locator("#entries")).to_contain_text("<b>bold</b>")
        page.get_by_role("radio", name="Chat").check()
        page.get_by_role("textbox", name="Your message").fill("<i>Mine</i>")
        button(page, "Send").click()
        finish(page)
        expect(page.locator("#turns .models p")).to_have_text((MARKUP * 2)[:120].strip())
        assert page.locator("main :is(b, i, img, script), aside :is(b, i, img, script)").count() == 0
        assert page.title() == "GPT-2"


def test_copying_takes_the_whole_text(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        go(page, "Once,\n")
        button(page, "Copy").click()
        expect(page.get_by_role("status")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"Once,\n{WRITTEN}"


def test_the_starter_tells_a_joke(page: Page, starter: str) -> None:
    """One press on the first example is enough."""
    page.goto(starter)
    button(page, "a joke").click()
    finish(page)
    expect(text(page)).to_have_value(re.compile(r"^\[QUESTION\] .+\?\n\[ANSWER\] .+\.\s*$"))


def test_on_a_phone_it_all_fits(enter: Callable[..., BrowserContext], starter: str) -> None:
    page = enter(**PHONE).new_page()
    page.goto(starter)
    button(page, "a joke").tap()
    finish(page)
    for name in ("Continue", "Again", "Undo", "Copy", "Share", "Save image", "Settings", "History"):
        box = button(page, name).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
        assert 0 <= box["y"] <= box["y"] + box["height"] <= 844
    assert page.evaluate("document.documentElement.scrollWidth") == 390
