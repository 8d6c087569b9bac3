"""A real Chromium that opens the page of real servers on loopback. `make browser` runs these tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from tests.conftest import ROOT, serving

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # Containers offer no sandbox.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
# Only an upper bound: a test continues as soon as what it waits for is there.
expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.exit(f"error: there is none of {', '.join(NAMES)} here: install Chromium.", returncode=2)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=FLAGS)


@pytest.fixture
def enter(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Opens a new profile, as of another person, with Playwright's options.

    At the end of the test, checks that no script failed, that the page's policy blocked nothing, and that no host but the
    server was contacted.
    """
    contexts: list[BrowserContext] = []
    failures: list[str] = []
    hosts: set[str | None] = set()

    def new(**options: Any) -> BrowserContext:
        context = browser.new_context(
            **DESK
            # What a service worker answers would hide from `page.route` what the page asks for.
            | {"permissions": ["clipboard-read", "clipboard-write"], "service_workers": "block"}
            | options,
        )
        context.on("weberror", lambda error: failures.append(str(error.error)))
        context.on("console", lambda message: failures.append(message.text) if is_failure(message) else None)
        context.on("request", lambda request: hosts.add(urlsplit(request.url.removeprefix("blob:")).hostname))
        contexts.append(context)
        return context

    yield new
    for context in contexts:
        context.close()
    assert not failures
    assert hosts <= {"127.0.0.1"}


def fits(page: Page) -> bool:
    """Whether nothing is wider than the screen. A phone zooms out for what is, and innerWidth grows with it."""
    assert page.viewport_size
    return bool(page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"])


def is_failure(message: Any) -> bool:
    """Chromium also reports every status of 400 and above, but the page shows a sentence for those."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture
def page(enter: Callable[..., BrowserContext]) -> Page:
    return enter().new_page()


@pytest.fixture(scope="session")
def starter() -> Iterator[str]:
    """A server with the starter model."""
    with serving(OnnxEngine(open_bundle(ROOT / "models/starter"), threads=1), feedback="") as address:
        yield address


def text(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Your text, which the model continues")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def go(page: Page, written: str | None = None) -> None:
    """Fill in a prompt, if there is one, and wait for the whole continuation."""
    if written is not None:
        text(page).fill(written)
    button(page, "Continue").click()
    finish(page)


def say(page: Page, message: str) -> None:
    """Send a message in the chat and wait for the whole reply."""
    page.get_by_role("textbox", name="Your message").fill(message)
    button(page, "Send").click()
    finish(page)


def finish(page: Page) -> None:
    """Wait until nothing is being written."""
    expect(page.locator("body:not(.busy)")).to_be_attached()


def choose(page: Page, setting: str, value: str) -> None:
    """Move a slider."""
    button(page, "Settings").click()
    page.get_by_role("slider", name=setting, exact=True).fill(value)
    close(page)


def seed(page: Page, value: str) -> None:
    button(page, "Settings").click()
    page.get_by_role("textbox", name="Seed").fill(value)
    close(page)


def close(page: Page) -> None:
    page.get_by_role("complementary").get_by_role("button", name="Close").click()
