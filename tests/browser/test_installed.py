"""The page as an app: without a network it opens, and what was written can be read. Without JavaScript it writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.api import page_files
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.profile import Profile
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving


def until(page: Page, promised: str) -> None:
    """Wait for what a promise says, which wait_for_function takes for a yes as it is."""
    for _ in range(200):
        if page.evaluate(promised):
            return
        page.wait_for_timeout(50)
    pytest.fail(promised)


def test_it_opens_without_a_network_and_writes_when_it_is_back(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine(profile=Profile(title="Ducks"))) as url:
        context = enter(service_workers="allow")
        page = context.new_page()
        page.goto(url)
        choose(page, "Length", "10")
        go(page, "Once, ")
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        context.set_offline(True)
        page.reload()
        expect(page).to_have_title("Ducks")
        expect(page.get_by_role("alert")).to_have_text(
            "You are offline: what the history holds can be read, and writing goes on when the network is back."
        )
        expect(page.locator("#ink .models")).to_have_text(SCRIPT[:10])
        expect(button(page, "Continue")).to_be_disabled()
        # The icons, shown on phones, are a file, too.
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("document.querySelector('#new use').getBBox().width > 0")
        page.set_viewport_size({"width": 1280, "height": 800})
        button(page, "New").click()
        button(page, "History").click()
        page.locator("#entries button").first.click()
        expect(text(page)).to_have_value(f"Once, {SCRIPT[:10]}")
        assert page.evaluate("caches.keys().then((all) => Promise.all(all.map((one) => caches.open(one))))")
        kept = page.evaluate(
            """async () => {
                const cache = await caches.open((await caches.keys())[0]);
                return (await cache.keys()).map(({ url }) => new URL(url).pathname);
            }"""
        )
        assert all(path == "/" or path.startswith("/web/") for path in kept)
        # What fails for the same reason does not take the place of the way back.
        button(page, "Surprise").click()
        expect(page.get_by_role("alert")).to_contain_text("You are offline")
        context.set_offline(False)
        expect(button(page, "Continue")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_empty()
        go(page)
        expect(text(page)).to_have_value(f"Once, {SCRIPT[:10] * 2}")


def test_a_new_version_takes_the_place_of_the_old_one_as_a_whole(
    enter: Callable[..., BrowserContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open page keeps its files. The next one has the new, also without a network."""
    web = shutil.copytree(page_files.FOLDER, tmp_path / "web")
    monkeypatch.setattr(page_files, "FOLDER", web)
    page_files.read_files.cache_clear()
    with serving(FakeEngine()) as url:
        context = enter(service_workers="allow")
        page = context.new_page()
        page.goto(url)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        html = (web / "index.html").read_text(encoding="utf-8")
        (web / "index.html").write_text(html.replace("Say something,", "Say anything,"), encoding="utf-8")
        page_files.read_files.cache_clear()
        page.reload()
        expect(page.locator("#silence")).to_contain_text("Say anything,")
        until(page, "navigator.serviceWorker.getRegistration().then(({ waiting }) => Boolean(waiting))")
        page.close()
        page = context.new_page()
        page.goto(f"{url}/nothing")
        until(page, "caches.keys().then(({ length }) => length === 1)")
        page.goto(url)
        context.set_offline(True)
        page.reload()
        expect(page.locator("#silence")).to_contain_text("Say anything,")
    page_files.read_files.cache_clear()


def test_without_javascript_a_form_writes(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine("<b>Yes</b>, ")) as url:
        page = enter(java_script_enabled=False).new_page()
        page.goto(url)
        page.get_by_label("Your text, which the model continues").last.fill("Well:\n")
        page.locator("noscript button, .plain button").last.click()
        expect(page.locator("pre")).to_have_text("Well:\n" + ("<b>Yes</b>, " * 9)[:100])
        button(page, "Continue").click()
        expect(page.locator("pre .yours")).to_have_text("Well:\n" + ("<b>Yes</b>, " * 9)[:100])
        expect(page.locator("b")).to_have_count(0)


def test_a_wrong_address_shows_a_page(enter: Callable[..., BrowserContext]) -> None:
    with serving(FakeEngine(profile=Profile(title="<Ducks>"))) as url:
        page = enter().new_page()
        page.goto(f"{url}/nothing/here")
        expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
        page.get_by_role("link", name="Write with <Ducks>").click()
        expect(button(page, "Continue")).to_be_enabled()
        finish(page)
