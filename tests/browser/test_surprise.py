"""Surprise: each word shows how likely the model found it, and what it would have written instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import PHONE, button, choose, finish, fits, go, text
from tests.browser.test_access import serious
from tests.conftest import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Its model expects a capital T everywhere in a prompt."""
    with serving(FakeEngine("The end. ", doubt=0.5)) as address:
        yield address


def others(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("button")


def tints(page: Page) -> list[tuple[str, str]]:
    """The words with their tints."""
    found = page.locator("#ink span").evaluate_all(
        "spans => spans.map((span) => [span.textContent, /tint./.exec(span.className)?.[0] ?? ''])"
    )
    return [(word, tint) for word, tint in found if word.strip("\u200b ")]


def put_caret(page: Page, at: int) -> None:
    text(page).focus()
    text(page).evaluate("(field, at) => field.setSelectionRange(at, at)", at)


def test_each_word_is_tinted_by_what_its_tokens_say_together(page: Page, url: str) -> None:
    """Also where characters have several tokens, and for words of either ink. It ends with the first edit."""
    page.goto(url)
    choose(page, "Length", "10")
    written = "T TT 👍 né 日本, T"
    text(page).fill(written)
    button(page, "Continue").click()
    finish(page)
    button(page, "Surprise").click()
    expect(page.locator("#ink [class*=tint]").first).to_be_visible()
    asked = {"prompt": text(page).input_value(), "echo": True, "logprobs": 0, "max_tokens": 0}
    scores = httpx.post(f"{url}/v1/completions", json=asked).json()["choices"][0]["logprobs"]
    shares = [math.exp(each) for each in scores["token_logprobs"]]
    assert shares[0] == pytest.approx(0.5, abs=0.01)
    # The T of the beginning, then two of which both have to be right, then four bytes that were not expected.
    assert tints(page)[:4] == [("T", ""), ("TT", "tint1"), ("👍", "tint4"), ("né", "tint4")]
    # A script without spaces has a word for each character.
    assert tints(page)[4:6] == [("日", "tint4"), ("本", "tint4")]
    assert page.locator("#ink").text_content() == text(page).input_value() + "\u200b"
    expect(page.locator("#legend")).to_be_visible()
    page.locator("#text").press("End")
    page.keyboard.type("!")
    expect(page.locator("#ink [class*=tint]")).to_have_count(0)
    expect(page.locator("#ink [class*=tint]").first).to_be_visible()
    button(page, "Surprise").click()
    expect(page.locator("#ink [class*=tint]")).to_have_count(0)
    expect(page.locator("#legend")).to_be_hidden()


def test_a_press_shows_ten_others_and_one_is_chosen_by_keyboard(page: Page, starter: str) -> None:
    page.goto(starter)
    choose(page, "Temperature", "0")
    written = "[QUESTION] Why did the barn cross the road?"
    text(page).fill(written)
    page.keyboard.press("Alt+KeyS")
    expect(button(page, "Surprise")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#ink [class*=tint]").first).to_be_visible()
    put_caret(page, written.index("barn") + 2)
    page.keyboard.press("Alt+ArrowDown")
    expect(others(page)).to_have_count(10)
    expect(page.locator("#others-title")).to_contain_text("barn")
    asked = {"prompt": "[QUESTION] Why did the", "max_tokens": 1, "temperature": 0, "logprobs": 20}
    top = httpx.post(f"{starter}/v1/completions", json=asked).json()["choices"][0]["logprobs"]["top_logprobs"][0]
    words = [word.strip() for word in top if word != " barn"]
    shown = [button.text_content() or "" for button in others(page).all()]
    assert all(line.startswith((word, "…")) for line, word in zip(shown, words, strict=False))
    expect(others(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(others(page).nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    finish(page)
    begun = f"[QUESTION] Why did the {words[0]}"
    assert text(page).input_value().startswith(begun)
    assert len(text(page).input_value()) > len(begun)
    assert page.locator("#ink .yours").all_text_contents() == ["[QUESTION] Why did the"]
    button(page, "Again").click()
    finish(page)
    assert text(page).input_value().startswith(begun)
    button(page, "Undo").click()
    expect(text(page)).to_have_value(written)


def test_the_text_may_end_where_the_model_would_have_ended_it(page: Page, starter: str) -> None:
    page.goto(starter)
    written = "[QUESTION] Why did the cow laugh?\n[ANSWER] It was funny. No"
    text(page).fill(written)
    button(page, "Surprise").click()
    expect(page.locator("#ink [class*=tint]").first).to_be_visible()
    put_caret(page, len(written))
    page.keyboard.press("Alt+ArrowDown")
    others(page).filter(has_text="the end").click()
    expect(text(page)).to_have_value(written.removesuffix(" No"))
    button(page, "Undo").click()
    expect(text(page)).to_have_value(written)


def test_a_tap_does_the_same_and_it_fits(enter: Callable[..., BrowserContext], url: str) -> None:
    page = enter(**PHONE | {"viewport": {"width": 390, "height": 470}}).new_page()
    page.goto(url)
    text(page).fill("T one two T")
    button(page, "Surprise").tap()
    expect(page.locator("#ink [class*=tint]").first).to_be_visible()
    box = page.locator("#ink .tint4").last.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 12, box["y"] + 12)
    expect(others(page)).to_have_count(10)
    around = page.get_by_role("dialog").bounding_box()
    assert around
    assert 0 <= around["x"] <= around["x"] + around["width"] <= 390
    assert 0 <= around["y"] <= around["y"] + around["height"] <= 470
    assert fits(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_another_model_finds_other_words_likely(page: Page) -> None:
    with serving(FakeEngine("a"), FakeEngine("b", name="other")) as url:
        page.goto(url)
        text(page).fill("a b")
        button(page, "Surprise").click()
        expect(page.locator("#ink [class*=tint]")).to_have_text(["b"])
        page.get_by_role("combobox", name="Model").select_option("other")
        expect(page.locator("#ink [class*=tint]")).to_have_text(["a"])


def test_a_refusal_is_said(page: Page) -> None:
    with serving(FakeEngine(), rate_limit=1) as url:
        page.goto(url)
        text(page).fill("Why")
        httpx.get(f"{url}/?length=1")
        button(page, "Surprise").click()
        expect(page.get_by_role("alert")).to_contain_text("more than this server answers in a minute")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(enter: Callable[..., BrowserContext], starter: str, scheme: str) -> None:
    """In all states of writing. The letters are hidden from it, as it hears the text area's, so their contrast is checked too."""
    page = enter(color_scheme=scheme, bypass_csp=True).new_page()
    page.goto(starter)
    text(page).focus()
    page.keyboard.type("[QUESTION] Why did the")
    expect(page.locator(".ghost")).to_be_visible()
    page.locator("#ink").evaluate("ink => ink.removeAttribute('aria-hidden')")
    assert not serious(page), "with a suggestion"
    text(page).fill("[QUESTION] Why did the barn cross the Tuesday?")
    button(page, "Surprise").click()
    go(page)
    expect(page.locator("#ink .models[class*=tint]").first).to_be_visible()
    expect(page.locator("#ended")).to_be_visible()
    put_caret(page, 26)
    page.keyboard.press("Alt+ArrowDown")
    expect(others(page)).to_have_count(10)
    assert not serious(page), "with tints and other words"


def test_the_first_words_are_tinted_while_the_others_are_read(page: Page) -> None:
    """A long text takes seconds on one core. A key stops the reading."""
    with serving(FakeEngine(seconds_per_token=0.3), queue_limit=0) as url:
        page.goto(url)
        text(page).fill("one two three " * 30)
        button(page, "Surprise").click()
        expect(page.locator("#ink [class*=tint]").first).to_be_visible()
        expect(page.locator("#legend")).to_have_attribute("aria-busy", "true")
        button(page, "Surprise").click()
        expect(page.locator("#legend")).to_be_hidden()
        while httpx.get(f"{url}/?length=1").status_code == 503:
            pass
