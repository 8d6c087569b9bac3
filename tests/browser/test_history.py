"""The history: titles, search, names, deletion that can be undone, export and import. Nothing in it is markup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, finish, go, text
from tests.browser.test_access import serious
from tests.conftest import serving

ATTACK = "<img src=x onerror=alert(1)>"


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """A stored text."""
    words = f"Text {number}"
    return {
        "id": f"id{number}",
        "at": 1000 * number,
        "title": words,
        "mode": "write",
        "model": "fake",
        "text": words,
        "ranges": [],
    } | changes


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine("Yes. ", template="chat")) as address:
        yield address


def store(page: Page, *entries: dict[str, Any]) -> None:
    page.evaluate("entries => localStorage.setItem('history', JSON.stringify(entries))", list(entries))


def stored(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("JSON.parse(localStorage.history)")
    return found


def titles(page: Page) -> Locator:
    return page.locator("#entries .entry span")


@pytest.fixture
def history(page: Page, url: str) -> Callable[..., Locator]:
    """Opens the history with these entries in it. Returns their titles."""

    def opened(*entries: dict[str, Any]) -> Locator:
        page.goto(url)
        store(page, *entries)
        button(page, "History").click()
        return titles(page)

    return opened


def file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "history.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def exported(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"format": "gpt-2-page-history", "version": 1, "entries": list(entries)} | changes


def bring_in(page: Page, path: Path) -> Locator:
    with page.expect_file_chooser() as chooser:
        button(page, "Import").click()
    chooser.value.set_files(path)
    return page.locator("#told")


def test_titles_have_no_tags_and_are_no_markup(history: Callable[..., Locator]) -> None:
    tagged = ["[QUESTION] Why did\n[ANSWER] Because", "<|startoftext|>[genre: joke] A duck", "[VERDICT]", ATTACK]
    shown = history(*(entry(9 - number, title=title) for number, title in enumerate(tagged)))
    expect(shown).to_have_text(["Why did Because", "A duck", "[VERDICT]", ATTACK])


def test_the_history_is_searched(page: Page, history: Callable[..., Locator]) -> None:
    """In titles and in the whole texts."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "The Moon (high)"}]
    shown = history(entry(3, text="x" * 500 + " moon"), entry(2), entry(1, mode="chat", turns=turns))
    page.get_by_role("searchbox", name="Search the history").fill("MOON")
    expect(shown).to_have_text(["Text 3", "Text 1"])
    page.get_by_role("searchbox", name="Search the history").fill("(high)")
    expect(shown).to_have_text(["Text 1"])
    page.get_by_role("searchbox", name="Search the history").fill("sun")
    expect(page.locator("#entries")).to_have_text("Nothing has these words.")


def test_of_very_many_texts_the_newest_are_shown_and_all_are_found(page: Page, history: Callable[..., Locator]) -> None:
    shown = history(*(entry(number) for number in range(250, 0, -1)))
    expect(shown).to_have_count(200)
    expect(page.locator("#entries")).to_contain_text("And 50 more: search for them.")
    page.get_by_role("searchbox", name="Search the history").fill("Text 17")
    expect(shown).to_have_text([*(f"Text {number}" for number in range(179, 169, -1)), "Text 17"])


def test_an_entry_is_renamed(page: Page, history: Callable[..., Locator]) -> None:
    shown = history(entry(2), entry(1))
    button(page, "Rename Text 2").click()
    field = page.get_by_role("textbox", name="New name")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(page.get_by_role("complementary", name="History")).to_be_visible()
    expect(button(page, "Rename Text 2")).to_be_focused()
    page.keyboard.press("Enter")
    field.fill(ATTACK)
    field.press("Enter")
    expect(shown).to_have_text([ATTACK, "Text 1"])
    shown.first.click()
    page.keyboard.press("Escape")
    go(page)
    button(page, "History").click()
    expect(shown).to_have_text([ATTACK, "Text 1"])
    button(page, f"Rename {ATTACK}").click()
    field.fill(" ")
    field.press("Enter")
    expect(shown.first).to_contain_text("Text 2")


def test_one_entry_is_deleted_and_comes_back(page: Page, history: Callable[..., Locator]) -> None:
    shown = history(entry(3), entry(2), entry(1))
    button(page, "Delete Text 2").click()
    expect(button(page, "Undo")).to_be_focused()
    assert [each["title"] for each in stored(page)] == ["Text 3", "Text 1"]
    page.keyboard.press("Enter")
    expect(shown).to_have_text(["Text 3", "Text 2", "Text 1"])
    assert [each["title"] for each in stored(page)] == ["Text 3", "Text 2", "Text 1"]


def test_the_present_text_stays_deleted_until_it_changes(page: Page, url: str) -> None:
    """What was deleted was stored again when the page was left."""
    page.goto(url)
    go(page, "Secret")
    for delete in ("Delete", "Clear"):
        page.reload()
        button(page, "History").click()
        if delete == "Delete":
            page.get_by_role("button", name="Delete Secret").click()
        else:
            button(page, "Clear history").click()
            button(page, "Clear everything?").click()
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        assert stored(page) == []
        page.keyboard.press("Escape")
        go(page)
        finish(page)
        assert len(stored(page)) == 1


def test_what_is_exported_is_imported_elsewhere(
    enter: Callable[..., BrowserContext], page: Page, history: Callable[..., Locator], url: str, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ATTACK, "after": 0}]
    history(entry(3, name=ATTACK), entry(2, mode="chat", turns=turns, end=1), entry(1))
    with page.expect_download() as saved:
        button(page, "Export").click()
    assert saved.value.suggested_filename == "gpt-2-history.json"
    saved.value.save_as(tmp_path / "saved.json")
    other = enter().new_page()
    other.goto(url)
    store(other, entry(1), entry(4))
    button(other, "History").click()
    expect(bring_in(other, tmp_path / "saved.json")).to_have_text("New here: 2 of 3.")
    expect(titles(other)).to_have_text(["Text 4", ATTACK, "Text 2", "Text 1"])
    expect(bring_in(other, tmp_path / "saved.json")).to_have_text("New here: 0 of 3.")
    titles(other).nth(2).click()
    expect(other.locator("#turns p")).to_have_text(["Hi", ATTACK])


def test_two_states_of_one_text_are_both_kept(page: Page, history: Callable[..., Locator], tmp_path: Path) -> None:
    shown = history(entry(1, name="Mine"), entry(2))
    path = file(tmp_path, exported(entry(1, text="Text 1 and more"), entry(2, name="Named there")))
    for new in (1, 0):
        expect(bring_in(page, path)).to_have_text(f"New here: {new} of 2.")
        expect(shown).to_have_text(["Named there", "Mine", "Text 1"])
    assert len({each["id"] for each in stored(page)}) == 3


HUGE = " " * 10_000_001
LOOP = [{"role": "user", "content": "Hi", "after": 0}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("no", "Nothing was imported: history.json was not written by Export."),
        ("null", "Nothing was imported: history.json was not written by Export."),
        ({"entries": []}, "Nothing was imported: history.json was not written by Export."),
        (exported(version=2), "history.json has version 2, and this page reads version 1"),
        (exported(entry(5), entry(6, text=None)), "Nothing was imported: history.json is damaged in text 2."),
        (exported(entry(5, at=9e15)), "history.json is damaged in text 1."),
        (exported(entry(5, ranges=[[0]])), "history.json is damaged in text 1."),
        (exported(entry(5, mode="chat", turns=LOOP)), "history.json is damaged in text 1."),
        (exported(entry(5, mode="chat", turns=LOOP[:0])), "history.json is damaged in text 1."),
        (HUGE, "history.json is larger than this browser's storage."),
        (exported(entry(5, text="x" * 6_000_000)), "history.json does not fit into this browser's storage"),
    ],
)
def test_a_file_that_cannot_be_imported_changes_nothing(
    page: Page, history: Callable[..., Locator], tmp_path: Path, content: Any, sentence: str
) -> None:
    shown = history(entry(1))
    expect(bring_in(page, file(tmp_path, content))).to_contain_text(sentence)
    expect(shown).to_have_text(["Text 1"])
    assert stored(page) == [entry(1)]


def test_what_another_version_stored_is_not_dropped(page: Page, url: str) -> None:
    """A page that was set back to an earlier version would lose what the later one had kept."""
    page.goto(url)
    later = {"id": "later", "mode": "dream"}
    store(page, later, entry(1))
    go(page, "Why")
    assert [each["id"] for each in stored(page)][1:] == ["id1", "later"]
    button(page, "History").click()
    expect(titles(page)).to_have_count(2)


def test_a_full_storage_is_said_and_nothing_is_dropped(page: Page, url: str) -> None:
    """The oldest texts were dropped without a word."""
    page.goto(url)
    store(page, entry(1, text="x" * 5_242_000))
    go(page, "Why" * 300)
    expect(page.get_by_role("alert")).to_contain_text("This browser's storage is full")
    assert [each["title"] for each in stored(page)] == ["Text 1"]


def test_without_a_server_the_history_can_be_read_and_settings_stay(page: Page, url: str) -> None:
    """Again, pressed while the server could not be reached, failed in the script, and would have stored no settings at all."""
    page.goto(url)
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    store(page, entry(1, mode="chat", turns=turns))
    page.evaluate("localStorage.setItem('settings', '{\"length\":50}')")
    page.route("**/version", lambda route: route.abort())
    page.reload()
    button(page, "History").click()
    titles(page).click()
    page.keyboard.press("Escape")
    button(page, "Again").last.click()
    finish(page)
    expect(page.locator("#turns p").first).to_have_text("Hi")
    assert page.evaluate("localStorage.settings") == '{"length":50}'


def test_without_a_storage_the_page_works(page: Page, url: str) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('none'); }})")
    page.goto(url)
    go(page, "Why")
    expect(text(page)).to_have_value("Why" + "Yes. " * 24)
    expect(page.get_by_role("alert")).to_be_empty()
    button(page, "History").click()
    expect(page.locator("#entries")).to_have_text("Nothing yet.")


@pytest.mark.parametrize("panel", ["History", "Settings"])
def test_axe_finds_nothing_serious_in_full_panels(enter: Callable[..., BrowserContext], url: str, panel: str) -> None:
    page = enter(bypass_csp=True).new_page()
    page.goto(url)
    store(page, entry(2), entry(1))
    page.evaluate("""localStorage.setItem('presets', '[{"name": "Mine", "values": {"temperature": 1}}]')""")
    page.reload()
    button(page, panel).click()
    if panel == "History":
        button(page, "Delete Text 2").click()
        button(page, "Rename Text 1").click()
    else:
        page.get_by_text("More ways to choose").click()
    assert not serious(page)
