"""One column with one left edge, a head that stays, a foot of one row, panels that lie over the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import PHONE, button, fits, go, say, text
from tests.conftest import serving

KEYBOARD = PHONE | {"viewport": {"width": 390, "height": 470}}
"""A phone whose keyboard is open."""
SCREENS: dict[str, dict[str, Any]] = {
    "keyboard": KEYBOARD,
    "phone": PHONE,
    "desk": {},
    "wide": {"viewport": {"width": 1920, "height": 1080}},
}


def box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found is not None
    return {name: found[name] for name in ("x", "y", "width", "height")}


def test_head_and_foot_leave_the_room_to_the_text(enter: Callable[..., BrowserContext], tmp_path: Path) -> None:
    """The foot once took 216 of the 470 pixels above a keyboard, and the head scrolled away."""
    with serving(
        FakeEngine(template="chat"),
        FakeEngine(name="other", template="chat"),
        feedback=f"sqlite:///{tmp_path}/votes.db",
    ) as url:
        page = enter(**KEYBOARD).new_page()
        page.goto(url)
        go(page, "It was a dark and stormy night. " * 30)
        for mode in ("Write", "Chat"):
            page.get_by_role("radio", name=mode).check()
            if mode == "Chat":
                say(page, "Tell me a long story. " * 30)
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            head, foot = box(page.locator("header")), box(page.locator("footer"))
            assert foot["height"] <= 96
            assert round(foot["y"] + foot["height"]) == 470
            assert (head["y"], head["height"] <= 3.2 * 17) == (0, True)
            assert all(box(one)["y"] < head["height"] for one in page.locator("header :is(button, select)").all())
            assert fits(page)


@pytest.mark.parametrize("screen", SCREENS)
def test_everything_begins_at_one_edge(enter: Callable[..., BrowserContext], screen: str) -> None:
    with serving(FakeEngine(template="chat")) as url:
        page = enter(**SCREENS[screen]).new_page()
        page.goto(url)
        go(page, "Once upon a time there was")
        edge = box(page.locator("#ink"))["x"]
        for place in ("h1", "#count", "#go", "#text"):
            assert box(page.locator(place))["x"] == edge, place
        page.get_by_role("radio", name="Chat").check()
        say(page, "Hello")
        for place in ("h1", "#turns p >> nth=0", "#say"):
            assert box(page.locator(place))["x"] == edge, place


@pytest.mark.parametrize("screen", SCREENS)
def test_panels_lie_over_the_page(enter: Callable[..., BrowserContext], screen: str) -> None:
    """Each once pushed the text, the modes and the foot two hundred pixels aside."""
    with serving(FakeEngine()) as url:
        page = enter(**SCREENS[screen]).new_page()
        page.goto(url)
        go(page, "Once upon a time")
        page.evaluate("scrollTo(0, 0)")
        places = [text(page), page.locator("header"), page.locator("footer")]
        before = [box(place) for place in places]
        for name in ("History", "Settings"):
            button(page, name).click()
            expect(page.get_by_role("complementary", name=name)).to_be_visible()
            assert [box(place) for place in places] == before
            if screen in ("desk", "wide"):
                # The column stays free.
                panel = box(page.get_by_role("complementary", name=name))
                assert before[0]["x"] + before[0]["width"] <= panel["x"]
                button(page, "Continue").click(trial=True)
                page.keyboard.press("Escape")
            else:
                assert page.evaluate("['header', 'main', 'footer'].every((name) => document.querySelector(name).inert)")
                page.mouse.click(195, 20)
            expect(page.get_by_role("complementary", name=name)).to_be_hidden()
            expect(button(page, name)).to_be_focused()


def test_the_way_to_send_is_the_one_that_works(page: Page) -> None:
    """The button said Ctrl Enter where Enter sends."""
    with serving(FakeEngine(template="chat")) as url:
        page.goto(url)
        expect(button(page, "Continue")).to_have_attribute("title", "Continue (Ctrl Enter)")
        page.get_by_role("radio", name="Chat").check()
        expect(button(page, "Send")).to_have_attribute("title", "Send (Enter)")


def test_all_that_is_pressed_is_as_large_as_a_fingertip(enter: Callable[..., BrowserContext]) -> None:
    """A tool was once 37 pixels high, and a word to choose 31."""
    small = """() => [...document.querySelectorAll("button, select, summary, .modes span, .choice span, [type=range]")]
        .filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
        .filter((each) => each.getBoundingClientRect().height < 40).map((each) => each.outerHTML)"""
    with serving(FakeEngine("The end. ", doubt=0.5, template="chat")) as url:
        page = enter(**PHONE).new_page()
        page.goto(url)
        assert not page.evaluate(small)
        go(page, "The ")
        button(page, "Surprise").tap()
        page.locator("#ink [class*=tint]").first.click(force=True)
        expect(page.get_by_role("dialog").get_by_role("button")).to_have_count(10)
        assert not page.evaluate(small)
        page.keyboard.press("Escape")
        for panel in ("Settings", "History"):
            button(page, panel).tap()
            assert not page.evaluate(small)
            page.get_by_role("complementary").get_by_role("button", name="Close").tap()
        page.get_by_role("radio", name="Chat").check()
        say(page, "Hello")
        assert not page.evaluate(small)


def test_a_title_is_whole_on_a_phone(enter: Callable[..., BrowserContext], starter: str) -> None:
    """It was once cut in its second word."""
    page = enter(**PHONE).new_page()
    page.goto(starter)
    expect(page.locator("h1")).to_have_text("Small jokes and small talk")
    assert page.locator("h1").evaluate("(title) => title.scrollHeight <= title.clientHeight + 1")
    assert box(page.locator("header"))["height"] <= 3.2 * 17
