"""Settings under a name, and what the panel has beside sliders: stop strings, penalties, the seed that was used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.browser.conftest import button, close, finish, go, say, text
from tests.browser.test_chat import requests
from tests.conftest import serving

SURE = Profile(template="chat", sampling=SamplingDefaults(temperature=0.35, top_p=0.9))
SLIDERS = {
    "temperature": ("Temperature", 0.9),
    "length": ("Length", 30),
    "top_p": ("Top p", 0.6),
    "top_k": ("Top k", 40),
    "min_p": ("Min p", 0.05),
    "repetition_penalty": ("Repetition penalty", 1.2),
    "presence_penalty": ("Presence penalty", -0.5),
    "frequency_penalty": ("Frequency penalty", 0.4),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(template="chat"), FakeEngine(name="sure", profile=SURE)) as address:
        yield address


@pytest.fixture
def panel(page: Page, url: str) -> Locator:
    """The settings, opened."""
    page.goto(url)
    button(page, "Settings").click()
    page.get_by_text("More ways to choose").click()
    return page.get_by_role("complementary", name="Settings")


def slider(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("slider", name=SLIDERS[name][0], exact=True)


def values(panel: Locator, *names: str) -> list[float]:
    return [float(slider(panel, name).input_value()) for name in names]


def test_every_setting_reaches_the_model(page: Page, panel: Locator) -> None:
    """And a stop string may hold a line end."""
    for name, (_, value) in SLIDERS.items():
        slider(panel, name).fill(str(value))
    panel.get_by_role("textbox", name="Stop before").fill("lazy\n\\nEnd\n\n")
    panel.get_by_role("textbox", name="Seed").fill("7")
    close(page)
    asked = requests(page)
    go(page, "Why")
    page.get_by_role("radio", name="Chat").check()
    say(page, "Why")
    sent = {name: value for name, (_, value) in SLIDERS.items()} | {"stop": ["lazy", "\nEnd"], "seed": 7}
    assert {name: asked[0][name] for name in sent} == sent
    length = {"max_completion_tokens": sent.pop("length")}
    assert {name: asked[1][name] for name in sent | length} == sent | length
    page.reload()
    button(page, "Settings").click()
    expect(panel.get_by_role("textbox", name="Stop before")).to_have_value("lazy\n\\nEnd")
    assert values(panel, *SLIDERS) == [value for _, value in SLIDERS.values()]


def test_a_text_ends_at_a_stop_string(page: Page, panel: Locator) -> None:
    panel.get_by_role("textbox", name="Stop before").fill("fox")
    close(page)
    go(page, "Why")
    expect(text(page)).to_have_value("Why" + SCRIPT.partition("fox")[0])


@pytest.mark.parametrize("stops", ["a\nb\nc\nd\ne", "x" * 1001])
def test_too_many_or_too_long_stop_strings_are_refused(panel: Locator, stops: str) -> None:
    field = panel.get_by_role("textbox", name="Stop before")
    field.fill(stops)
    field.press("Tab")
    expect(panel.get_by_text("Give at most 4 lines, each of at most 1000 characters.")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")


def test_what_is_switched_off_is_said_in_a_word(panel: Locator) -> None:
    """Top k showed 0, which looks like no choice at all."""
    for name, word in {"top_k": "all", "min_p": "off", "repetition_penalty": "off", "presence_penalty": "off"}.items():
        expect(slider(panel, name)).to_have_attribute("aria-valuetext", word)
    slider(panel, "top_k").fill("5")
    expect(slider(panel, "top_k")).to_have_attribute("aria-valuetext", "5")
    slider(panel, "top_p").fill("1")
    expect(slider(panel, "top_p")).to_have_attribute("aria-valuetext", "all")


def test_the_seed_that_was_used_is_shown_and_can_be_kept(page: Page, panel: Locator) -> None:
    close(page)
    asked = requests(page)
    for mode in ("Write", "Chat"):
        page.get_by_role("radio", name=mode).check()
        go(page, "Why") if mode == "Write" else say(page, "Why")
        button(page, "Settings").click()
        seed = panel.locator("#used").inner_text().split()[4].strip(".")
        button(page, "Keep it").click()
        expect(panel.get_by_role("textbox", name="Seed")).to_have_value(seed)
        close(page)
        button(page, "New").click()
        go(page, "Why") if mode == "Write" else say(page, "Why")
        assert str(asked[-1]["seed"]) == seed
        button(page, "Settings").click()
        button(page, "Reset to defaults").click()
        close(page)


def test_presets_follow_the_models_own_defaults(page: Page, panel: Locator) -> None:
    expect(button(page, "Balanced")).to_have_attribute("aria-pressed", "true")
    expected: dict[str, list[list[float]]] = {
        "fake": [[0.4, 0.7], [1.1, 0.95], [0.7, 0.8]],
        "sure": [[0.2, 0.7], [1.1, 0.95], [0.35, 0.9]],
    }
    slider(panel, "min_p").fill("0.3")
    for model, wanted in expected.items():
        page.get_by_role("combobox", name="Model").select_option(model)
        for name, pair in zip(("Careful", "Wild", "Balanced"), wanted, strict=True):
            button(page, name).click()
            expect(button(page, name)).to_be_focused()
            expect(button(page, name)).to_have_attribute("aria-pressed", "true")
            assert values(panel, "temperature", "top_p", "min_p") == [*pair, 0]


def test_a_preset_of_ones_own_is_saved_and_deleted(page: Page, panel: Locator) -> None:
    name = "<b>Mine</b>"
    slider(panel, "temperature").fill("1.5")
    panel.get_by_role("textbox", name="Stop before").fill("fox")
    panel.get_by_role("textbox", name="Name of a preset").fill(name)
    page.keyboard.press("Enter")
    expect(button(page, name)).to_have_attribute("aria-pressed", "true")
    button(page, "Reset to defaults").click()
    expect(button(page, name)).to_have_attribute("aria-pressed", "false")
    page.reload()
    button(page, "Settings").click()
    button(page, name).click()
    assert values(panel, "temperature") == [1.5]
    expect(panel.get_by_role("textbox", name="Stop before")).to_have_value("fox")
    button(page, f"Delete the preset {name}").click()
    expect(button(page, name)).to_have_count(0)
    expect(panel.get_by_role("textbox", name="Name of a preset")).to_be_focused()


def test_a_link_has_all_settings(page: Page, panel: Locator, enter: Callable[..., BrowserContext]) -> None:
    """And the system text, which belongs to a conversation."""
    slider(panel, "min_p").fill("0.2")
    panel.get_by_role("textbox", name="Stop before").fill("lazy\n\\nEnd")
    panel.get_by_role("textbox", name="System text").fill("Be brief.")
    close(page)
    page.get_by_role("radio", name="Chat").check()
    say(page, "Why")
    button(page, "Share").click()
    expect(page.locator("#said")).to_have_text("Link copied")
    other = enter().new_page()
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(other.locator("#turns p").first).to_have_text("Why")
    button(other, "Settings").click()
    there = other.get_by_role("complementary", name="Settings")
    expect(there.get_by_role("textbox", name="Stop before")).to_have_value("lazy\n\\nEnd")
    expect(there.get_by_role("textbox", name="System text")).to_have_value("Be brief.")
    other.get_by_text("More ways to choose").click()
    assert values(there, "min_p") == [0.2]


@pytest.mark.parametrize(
    ("name", "sentence"), [("", "Give the preset a name."), ("Wild", "Wild is built in: choose another name.")]
)
def test_a_preset_needs_a_name_of_its_own(page: Page, panel: Locator, name: str, sentence: str) -> None:
    panel.get_by_role("textbox", name="Name of a preset").fill(name)
    button(page, "Save").click()
    expect(panel.locator("#preset-says")).to_have_text(sentence)


def test_what_a_model_does_not_take_of_a_preset_is_said(page: Page, url: str) -> None:
    """Another browser's storage may hold anything, and earlier versions other settings."""
    page.goto(url)
    stored: list[dict[str, Any]] = [{"name": "Odd", "values": {"temperature": 9, "gone": 1, "top_p": 0.5}}]
    page.evaluate("presets => localStorage.setItem('presets', JSON.stringify(presets))", stored)
    page.reload()
    button(page, "Settings").click()
    button(page, "Odd").click()
    expect(page.locator("#preset-says")).to_have_text(
        "temperature must be between 0 and 2. There is no setting called gone."
    )
    expect(page.get_by_role("slider", name="Top p")).to_have_value("0.5")
    finish(page)
