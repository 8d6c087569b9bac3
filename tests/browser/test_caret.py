"""The model writes where the caret is, and its words, votes and undo are right there too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("big cats ")) as address:
        yield address


@pytest.fixture
def page(enter: Callable[..., BrowserContext], url: str) -> Page:
    page = enter().new_page()
    page.goto(url)
    choose(page, "Length", "10")
    return page


def select(page: Page, start: int, end: int | None = None) -> None:
    text(page).evaluate(
        "(field, [start, end]) => field.setSelectionRange(start, end)", [start, start if end is None else end]
    )


def caret(page: Page) -> list[int]:
    place: list[int] = text(page).evaluate("field => [field.selectionStart, field.selectionEnd]")
    return place


@pytest.mark.parametrize(
    ("written", "at", "sent", "then"),
    [
        ("The and a dog.", (4, 4), "The", "The big cats b and a dog."),
        ("The dog.", (4, 4), "The", "The big cats b dog."),
        ("The dog.", (0, 3), "The", "Thebig cats b dog."),
        ("", (0, 0), "", "big cats b"),
        ("One\n\nTwo", (4, 4), "One\n", "One\nbig cats b\nTwo"),
        ("👍 é!", (2, 2), "👍", "👍big cats b é!"),
    ],
)  # fmt: skip
def test_it_writes_where_the_caret_is(page: Page, written: str, at: tuple[int, int], sent: str, then: str) -> None:
    """What comes after the caret stays, and the model does not see it. After a selection it writes behind that."""
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    text(page).fill(written)
    select(page, *at)
    go(page)
    assert [each["prefix"] for each in asked if not each.get("only_if_idle")] == [sent]
    expect(text(page)).to_have_value(then)
    text(page).focus()
    page.keyboard.press("Control+z")
    expect(text(page)).to_have_value(written)
    assert caret(page) == [at[1], at[1]]


def test_undo_again_and_typing_keep_the_inks_right(page: Page) -> None:
    text(page).fill("The dog. It slept.")
    select(page, 3)
    go(page)
    expect(text(page)).to_have_value("Thebig cats b dog. It slept.")
    expect(page.locator("#ink span")).to_have_text(["The", "big cats b", " dog. It slept."])
    assert caret(page) == [13, 13]
    go(page)
    expect(text(page)).to_have_value("Thebig cats bbig cats b dog. It slept.")
    expect(page.locator("#ink .models")).to_have_text("big cats bbig cats b")
    button(page, "Undo").click()
    button(page, "Again").click()
    finish(page)
    expect(text(page)).to_have_value("Thebig cats b dog. It slept.")
    text(page).focus()
    select(page, 3)
    page.keyboard.type("b")
    expect(page.locator("#ink span")).to_have_text(["Theb", "big cats b", " dog. It slept."])
    select(page, 9)
    page.keyboard.press("Backspace")
    expect(page.locator("#ink .models")).to_have_text("big ats b")


def test_a_continuation_to_choose_goes_to_the_caret_of_then(page: Page) -> None:
    """Also when the text before it has grown, and when the page has been closed in between."""
    choose(page, "Samples", "2")
    text(page).fill("The dog.")
    select(page, 3)
    go(page)
    expect(page.get_by_role("listitem").locator("p.note")).to_contain_text("2 of 2 wrote this.")
    text(page).focus()
    select(page, 0)
    page.keyboard.type("Oh! ")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.reload()
    page.get_by_role("button", name="Take this one").click()
    expect(text(page)).to_have_value("Oh! Thebig cats b dog.")
