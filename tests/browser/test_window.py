"""Past the window, and past the end: the page goes on, and says what the model sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving

WINDOW = 128
LONG = "Élan and 👍 words. " * 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("more ", n_ctx=WINDOW)) as address:
        yield address


def asked(page: Page) -> list[Any]:
    found: list[Any] = []
    page.on("request", lambda request: found.append(request.post_data_json) if "generate" in request.url else None)
    return found


def test_a_text_longer_than_the_window_goes_on_from_its_end(page: Page, url: str) -> None:
    page.goto(url)
    choose(page, "Length", "20")
    requests = asked(page)
    text(page).fill(LONG)
    unseen = page.locator("#ink .unseen")
    expect(unseen).to_be_visible()
    faint = unseen.text_content() or ""
    go(page)
    expect(text(page)).to_have_value(LONG + "more " * 4)
    (sent,) = [each["prefix"] for each in requests if not each.get("only_if_idle")]
    assert faint + sent == LONG.rstrip()
    assert sent[0] != " "
    # A byte is a token here. As many as fit beside what is written, but for what makes the border stay for a while.
    assert WINDOW * 2 // 3 < len(sent.encode()) <= WINDOW - 20
    expect(page.locator("#sight")).to_have_text(
        "The model no longer sees what is in the faint ink: its window holds 128 tokens."
    )
    go(page)
    expect(text(page)).to_have_value(LONG + "more " * 8)


def test_it_is_said_before_anything_is_written_and_only_as_long_as_it_is_so(page: Page, url: str) -> None:
    page.goto(url)
    text(page).fill(LONG)
    expect(page.locator("#ink .unseen")).to_be_visible()
    # What the model sees is what is before the caret.
    page.keyboard.press("Control+Home")
    page.keyboard.type("A ")
    expect(page.locator("#ink .unseen")).to_have_count(0)
    expect(page.locator("#sight")).to_be_hidden()
    text(page).fill("Short")
    go(page)
    expect(page.locator("#sight")).to_be_hidden()


def test_after_its_end_a_text_goes_on_in_a_new_paragraph(page: Page, starter: str) -> None:
    """Thirteen times in a row, Continue once wrote nothing but the end marker."""
    page.goto(starter)
    requests = asked(page)
    go(page, "[QUESTION]")
    expect(page.locator("#ended")).to_contain_text("The model has come to an end.")
    first = text(page).input_value()
    button(page, "Go on anyway").click()
    finish(page)
    sent = [each for each in requests if not each.get("only_if_idle")][-1]
    assert (sent["prefix"], sent["min_tokens"]) == (f"{first.rstrip(' ')}\n", 1)
    assert text(page).input_value().startswith(f"{first}\n")
    assert len(text(page).input_value()) > len(first) + 1
    button(page, "Undo").click()
    expect(text(page)).to_have_value(first)
    expect(page.locator("#ended")).to_be_hidden()


def test_a_model_with_nothing_to_add_says_so(page: Page) -> None:
    with serving(FakeEngine("")) as url:
        page.goto(url)
        go(page, "Once.")
        expect(page.locator("#ended")).to_be_visible()
        expect(text(page)).to_have_value("Once.")
        text(page).press("End")
        page.keyboard.type("x")
        expect(page.locator("#ended")).to_be_hidden()


def test_another_text_begins_as_the_last_one_did(page: Page, starter: str) -> None:
    page.goto(starter)
    go(page, "[QUESTION]")
    first = text(page).input_value()
    button(page, "Begin another").click()
    finish(page)
    expect(page.locator("#ended")).to_be_visible()
    second = text(page).input_value()
    assert second.startswith("[QUESTION]")
    assert second != first
    button(page, "History").click()
    expect(page.locator("#entries li")).to_have_count(2)


def test_a_refused_text_stays_as_it_is(page: Page) -> None:
    with serving(FakeEngine("", n_ctx=64), rate_limit=1) as url:
        page.goto(url)
        httpx.get(f"{url}/?length=1")
        text(page).fill(LONG)
        button(page, "Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("more than this server answers in a minute")
        expect(text(page)).to_have_value(LONG)
