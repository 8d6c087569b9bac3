"""The page shows a model as its bundle says: title, about, beginnings and defaults. Equal continuations are shown once."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.browser.conftest import button, choose, close, finish, go, text
from tests.conftest import serving

HACKERS = Profile(
    title="The <Jargon> File",
    about="A lexicon of hacker slang.",
    beginnings=["A hacker is", "To grok means"],
    sampling=SamplingDefaults(temperature=0.35, top_p=0.9, length=20, min_p=0.1, typical_p=0.9),
)
TALK = Profile(template="Q: %\nA: %", beginnings=["Are you there?"])


def sliders(page: Page) -> dict[str, str]:
    button(page, "Settings").click()
    found = {name: page.get_by_role("slider", name=name).input_value() for name in ("Temperature", "Top p", "Length")}
    close(page)
    return found


def test_the_page_is_the_models_own(page: Page) -> None:
    """What the panel does not have, such as typical_p, is left to the server."""
    with serving(FakeEngine(profile=HACKERS)) as url:
        page.goto(url)
        expect(page).to_have_title("The <Jargon> File")
        expect(page.get_by_role("heading", level=1)).to_have_text("The <Jargon> File")
        expect(page.locator("#about")).to_have_text("A lexicon of hacker slang.")
        expect(page.get_by_role("radio", name="Chat")).to_be_hidden()
        assert sliders(page) == {"Temperature": "0.35", "Top p": "0.9", "Length": "20"}
        asked: list[Any] = []
        page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
        button(page, "A hacker is").click()
        finish(page)
        expect(text(page)).to_have_value(f"A hacker is{SCRIPT[:20]}")
        expect(page.locator("#about")).to_be_hidden()
    assert [asked[0].get(name) for name in ("temperature", "length", "min_p", "typical_p")] == [0.35, 20, 0.1, None]


def test_settings_follow_the_model_unless_they_were_chosen(page: Page) -> None:
    with serving(FakeEngine(profile=HACKERS), FakeEngine(name="talk", profile=TALK)) as url:
        page.goto(url)
        choose(page, "Top p", "0.5")
        page.get_by_role("combobox", name="Model").select_option("talk")
        expect(page).to_have_title("GPT-2")
        assert sliders(page) == {"Temperature": "0.7", "Top p": "0.5", "Length": "120"}
        expect(button(page, "a question of its own")).to_be_visible()
        page.get_by_role("radio", name="Chat").check()
        expect(button(page, "Are you there?")).to_be_visible()
        page.reload()
        page.get_by_role("combobox", name="Model").select_option("fake")
        assert sliders(page) == {"Temperature": "0.35", "Top p": "0.5", "Length": "20"}
        page.get_by_role("combobox", name="Model").select_option("talk")
        button(page, "Are you there?").click()
        finish(page)
        expect(text(page)).to_have_value(f"Q: Are you there?\nA:{(SCRIPT * 3)[:120]}")


def test_values_that_earlier_versions_stored_were_not_chosen(page: Page) -> None:
    """They stored all values, also those that nobody had changed, and would hide a model's defaults for ever."""
    with serving(FakeEngine(profile=HACKERS)) as url:
        page.goto(url)
        page.evaluate("""localStorage.setItem("settings", '{"temperature":0.7,"top_p":0.8,"length":50}')""")
        page.reload()
        assert sliders(page) == {"Temperature": "0.35", "Top p": "0.9", "Length": "50"}


def test_equal_continuations_are_shown_once_and_stay_in_the_history(page: Page) -> None:
    """Four samples of a sure model were four times the same text, indented by the space before it, and gone from the history."""
    with serving(FakeEngine(" Yes. ")) as url:
        page.goto(url)
        choose(page, "Length", "20")
        choose(page, "Samples", "4")
        go(page, "Well:")
        cards = page.get_by_role("list", name="Continuations to choose from").get_by_role("listitem")
        expect(cards).to_have_count(1)
        expect(cards.locator("p.models")).to_have_text("Yes.  Yes.  Yes.  Y", use_inner_text=True)
        expect(cards).to_contain_text("4 of 4 wrote this. With a higher temperature they differ.")
        button(page, "New").click()
        expect(cards).to_have_count(0)
        button(page, "History").click()
        page.locator("#entries button").first.click()
        close(page)
        expect(cards).to_have_count(1)
        cards.get_by_role("button", name="Take this one").click()
        expect(text(page)).to_have_value("Well: Yes.  Yes.  Yes.  Y")


def test_beginnings_are_for_those_with_a_key(page: Page) -> None:
    """They may be parts of a corpus that is not for everybody, and the page itself is."""
    with serving(FakeEngine(profile=HACKERS), api_keys="key") as url:
        page.goto(url)
        expect(button(page, "Once upon a time")).to_be_visible()
        go(page, "Why")
        page.get_by_role("textbox", name="API key").fill("key")
        page.keyboard.press("Enter")
        expect(text(page)).not_to_have_value("Why")
        finish(page)
        button(page, "New").click()
        expect(button(page, "To grok means")).to_be_visible()
