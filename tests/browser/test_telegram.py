"""The page as a Mini App inside Telegram."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import BrowserContext, expect

from app.engine.fake import FakeEngine
from app.feedback.pseudonym import pseudonym
from tests.conftest import serving
from tests.fakes.bot_api import TOKEN
from tests.fakes.init_data import init_data
from tests.fakes.telegram import SECRET


def test_inside_telegram_a_vote_is_the_persons_own(enter: Callable[..., BrowserContext], tmp_path: Path) -> None:
    store = {"feedback": f"sqlite:///{tmp_path}/f.db", "telegram_token": TOKEN, "telegram_secret": SECRET}
    with serving(FakeEngine(), **store) as url:
        page = enter().new_page()
        page.goto(f"{url}/#tgWebAppData={quote(init_data(7), safe='')}&tgWebAppVersion=8.0&tgWebAppPlatform=ios")
        page.locator("#text").press_sequentially("Once")
        page.get_by_role("button", name="Continue").click()
        # Whoever copies the address copies no signature with it.
        assert page.url == f"{url}/"
        page.get_by_role("button", name="Good").click()
        expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
        page.reload()
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection:
        assert connection.execute("SELECT voter FROM votes").fetchall() == [(pseudonym(TOKEN.encode(), 7),)]
