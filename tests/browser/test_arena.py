"""Two models side by side: with the same seed, unnamed until a vote is given, and the chosen reply goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import FakeEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.browser.conftest import DESK, PHONE, button, finish, fits, say
from tests.browser.test_access import serious
from tests.browser.test_chat import chat, requests
from tests.browser.test_kept import tallies
from tests.conftest import serving


def engines() -> list[FakeEngine]:
    return [
        FakeEngine("Yes. ", template="chat"),
        FakeEngine("No. ", name="other", template="chat"),
        FakeEngine(name="plain"),
    ]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/feedback.db"


@pytest.fixture
def url(store: str) -> Iterator[str]:
    with serving(*engines(), feedback=store) as address:
        yield address


def compare(page: Page, url: str) -> Locator:
    """Let both models answer. Returns their replies."""
    chat(page, url)
    page.get_by_role("combobox", name="Compare with").select_option("other")
    say(page, "Well?")
    return page.locator(".pair > .models")


def place(replies: Locator, words: str) -> int:
    """Where the reply with these words stands: the order is drawn at random."""
    return 0 if words in replies.nth(0).inner_text() else 1


def test_the_names_are_hidden_until_a_vote_is_given(page: Page, url: str, store: str) -> None:
    asked = requests(page)
    replies = compare(page, url)
    expect(replies).to_have_count(2)
    expect(replies.locator(".who")).to_have_text(["The first", "The second"])
    assert asked[0]["seed"] == asked[1]["seed"]
    assert {asked[0]["model"], asked[1]["model"]} == {"fake", "other"}
    assert asked[0]["messages"] == asked[1]["messages"]
    assert not any(name in page.locator("#turns").inner_html() for name in ("fake", "other"))
    best = place(replies, "No.")
    button(page, ["The first is better", "The second is better"][best]).click()
    expect(replies.nth(best).locator(".who")).to_have_text("other")
    expect(replies.nth(1 - best).locator(".who")).to_have_text("fake")
    assert [(each.generated_by, each.up, each.down) for each in tallies(store)] == [("fake", 0, 1), ("other", 1, 0)]
    expect(replies.nth(best).get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("combobox", name="Compare with").select_option("nobody")
    say(page, "Go on!")
    assert [message["content"] for message in asked[-1]["messages"]] == ["Well?", "No. No. No", "Go on!"]
    expect(page.locator(".versions")).to_contain_text(f"{best + 1}/2")


@pytest.mark.parametrize(("verdict", "votes"), [("Both are good", (1, 0)), ("Neither is good", (0, 1))])
def test_both_may_be_as_good(page: Page, url: str, store: str, verdict: str, votes: tuple[int, int]) -> None:
    compare(page, url)
    button(page, verdict).click()
    expect(button(page, "Going on with this one")).to_be_visible()
    assert [(each.up, each.down) for each in tallies(store)] == [votes, votes]


def test_who_skips_does_not_vote_and_may_choose(page: Page, url: str, store: str) -> None:
    replies = compare(page, url)
    button(page, "Skip").click()
    finish(page)
    assert tallies(store) == []
    expect(replies.locator(".who")).to_have_text(["fake", "other"] if place(replies, "Yes") == 0 else ["other", "fake"])
    replies.nth(1).get_by_role("button", name="Go on with this one").click()
    expect(replies.nth(1).get_by_role("button", name="Going on with this one")).to_be_focused()
    chosen = replies.nth(1).locator("p").inner_text()
    page.reload()
    expect(page.locator("#turns p")).to_have_text(["Well?", chosen])


def test_a_vote_that_cannot_be_stored_may_be_given_again(page: Page, url: str, store: str) -> None:
    replies = compare(page, url)
    page.route("**/feedback", lambda route: route.abort())
    button(page, "Both are good").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(replies.locator(".who")).to_have_text(["The first", "The second"])
    page.unroute("**/feedback")
    button(page, "Both are good").click()
    expect(button(page, "Going on with this one")).to_be_visible()
    assert [each.up for each in tallies(store)] == [1, 1]


def test_without_a_store_only_the_names_are_shown(page: Page) -> None:
    with serving(*engines(), feedback="") as url:
        compare(page, url)
        expect(page.locator(".verdict")).to_contain_text("this server keeps no votes")
        button(page, "The second is better").click()
        expect(
            page.locator(".pair > .models").nth(1).get_by_role("button", name="Going on with this one")
        ).to_be_visible()


def test_a_comparison_that_is_refused_or_stopped(page: Page, url: str) -> None:
    """Before the first word the message goes back into the field. Of two, the one that was finished stays, with its name."""
    field = chat(page, url)
    page.get_by_role("combobox", name="Compare with").select_option("other")
    page.route("**/v1/chat/completions", lambda route: route.abort())
    say(page, "Well?")
    expect(field).to_have_value("Well?")
    expect(page.locator("#turns li")).to_have_count(0)
    page.unroute("**/v1/chat/completions")
    page.route("**/v1/chat/completions", lambda route: route.abort())
    page.route("**/v1/chat/completions", lambda route: route.continue_(), times=1)
    button(page, "Send").click()
    finish(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.locator(".pair")).to_have_count(0)
    expect(page.locator("#turns li")).to_have_count(2)


def test_each_model_has_its_own_defaults_and_what_was_chosen(page: Page) -> None:
    """A model would be judged by how it writes with the temperature of the other one."""
    wild, calm = (Profile(template="chat", sampling=SamplingDefaults(temperature=each)) for each in (1.2, 0.3))
    with serving(FakeEngine(profile=wild), FakeEngine(name="other", profile=calm)) as url:
        asked = requests(page)
        compare(page, url)
    sent = {each["model"]: (each["temperature"], each["max_completion_tokens"]) for each in asked}
    assert sent == {"fake": (1.2, 10), "other": (0.3, 10)}


def test_it_is_offered_only_where_two_models_know_turns(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("radio", name="Chat").check()
    expect(page.get_by_role("combobox", name="Compare with").locator("option")).to_have_text(["nobody", "other"])
    with serving(FakeEngine(template="chat"), FakeEngine(name="plain")) as address:
        page.goto(address)
        page.get_by_role("radio", name="Chat").check()
        expect(page.get_by_role("combobox", name="Compare with")).to_be_hidden()


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_it_stands_side_by_side_or_one_below_the_other(
    enter: Callable[..., BrowserContext], url: str, screen: dict[str, object]
) -> None:
    page = enter(**screen, bypass_csp=True).new_page()
    replies = compare(page, url)
    first, second = (replies.nth(number).bounding_box() for number in (0, 1))
    assert first
    assert second
    assert (first["y"] == second["y"]) == (screen is DESK)
    assert fits(page)
    assert not serious(page)
    button(page, "Skip").click()
    finish(page)
    assert not serious(page)


def test_a_long_name_leaves_room_for_the_buttons(enter: Callable[..., BrowserContext]) -> None:
    """On a phone, the names of several models pushed Settings out of sight."""
    long = "a-model-with-a-long-name-and-no-end"
    with serving(FakeEngine("Yes. ", name=long, template="chat"), FakeEngine(name=f"{long}s", template="chat")) as url:
        page = enter(**PHONE).new_page()
        page.goto(url)
        box = button(page, "Settings").bounding_box()
        assert box
        assert box["x"] + box["width"] <= 390
        page.get_by_role("radio", name="Chat").check()
        say(page, "Why?")
        assert fits(page)


def test_equal_replies_are_said_to_be_equal(page: Page) -> None:
    with serving(FakeEngine("Yes. ", template="chat"), FakeEngine("Yes. ", name="other", template="chat")) as url:
        compare(page, url)
        expect(page.locator(".verdict")).to_contain_text("Both wrote the same.")
        expect(page.locator(".verdict button")).to_have_text(["Both are good", "Neither is good", "Skip"])
