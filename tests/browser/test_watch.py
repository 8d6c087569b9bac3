"""The live page of training runs in a browser: no barriers, no overflow, texts as text, and it survives its server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect

from finetune.run_folder import LogEntry, RunFolder
from finetune.watch.watch_server import watch_application
from finetune.watch.watched_runs import WatchedRuns
from tests.browser.conftest import DESK, PHONE, fits
from tests.conftest import write_tiny
from tests.fakes.loopback import on_loopback
from tests.finetune.watch.progress import told

ATTACK = "<img src=x onerror=alert(1)>"


@pytest.fixture
def runs(tmp_path: Path) -> WatchedRuns:
    """A run in training, and one that has not begun."""
    write_tiny(tmp_path / "jokes")
    log = [LogEntry(step, 6 - step / 20, 6.1 - step / 20, 1e-4, 50.0, float(step)) for step in range(2, 42, 2)]
    RunFolder(tmp_path / "jokes").write_log(log)
    RunFolder(tmp_path / "jokes").add_samples(20, [ATTACK])
    RunFolder(tmp_path / "jokes").add_samples(40, ["Why did the duck cross the road?"])
    told(tmp_path / "jokes", entries=log)
    return WatchedRuns([tmp_path / "jokes", tmp_path / "later"])


def test_a_long_name_does_not_widen_a_phones_page(enter: Callable[..., BrowserContext], tmp_path: Path) -> None:
    for name in ("x" * 80, "y" * 80):
        told(tmp_path / name, state="failed", error="z" * 80)
    with on_loopback(watch_application(WatchedRuns([tmp_path / ("x" * 80), tmp_path / ("y" * 80)]))) as address:
        page = enter(**PHONE).new_page()
        page.goto(address)
        expect(page.locator("#verdict")).to_contain_text("Failed at step 40")
        page.hover("#chart")
        expect(page.locator("#tip")).to_contain_text("training")
        assert fits(page)
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESK, PHONE])
def test_the_page_has_no_barriers_and_fits(
    runs: WatchedRuns, enter: Callable[..., BrowserContext], device: dict[str, object], scheme: str
) -> None:
    with on_loopback(watch_application(runs)) as address:
        page = enter(**device, color_scheme=scheme).new_page()
        page.goto(address)
        expect(page.locator("#verdict")).to_have_text("The validation loss is still falling: let it run.")
        expect(page.locator("#samples")).to_contain_text(ATTACK)
        assert not Axe().run(page).response["violations"]
        assert fits(page)
        page.close()


def test_the_newest_save_continues_a_text(runs: WatchedRuns, enter: Callable[..., BrowserContext]) -> None:
    with on_loopback(watch_application(runs)) as address:
        page = enter().new_page()
        page.goto(address)
        page.fill("#prompt", "Why did")
        page.click("#go")
        expect(page.locator("#exchange span")).not_to_be_empty(timeout=60_000)
        expect(page.locator("#exchange")).to_contain_text("Why did")
        page.close()


def test_news_are_shown_and_a_lost_server_is_said(
    runs: WatchedRuns, enter: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    with on_loopback(watch_application(runs)) as address:
        page = enter().new_page()
        page.goto(address)
        page.get_by_text("later", exact=True).click()
        expect(page.locator("#verdict")).to_have_text("Waiting for the run to begin.")
        told(tmp_path / "later")
        expect(page.locator("#verdict")).to_have_text("The training loss is falling: let it run.")
    expect(page.locator("#state")).to_have_text("The connection is lost: this page tries again by itself.")
    page.close()
