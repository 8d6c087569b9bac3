"""Every HTML answer says what a browser may do with it: nothing inline, no frame, no referrer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake import FakeEngine
from finetune.html_report import render_report
from tests.conftest import ROOT, serving
from tests.fakes.bot_api import TOKEN
from tests.fakes.telegram import SECRET

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
# With the status of each answer.
PAGES = {
    "/": 200, "/index.html": 200, "/play": 404, "/plain": 200, "/plain?prefix=Why": 200, "/plain?x=1": 400, "/docs": 200,
    "/docs/": 200, "/nothing/at/%ff": 404, "/play/guesses": 405,
}  # fmt: skip
FRAMED = ("/", "/index.html", "/play")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


@pytest.fixture(scope="module")
def url_with_bot() -> Iterator[str]:
    with serving(FakeEngine(), telegram_token=TOKEN, telegram_secret=SECRET, feedback="") as address:
        yield address


@pytest.mark.parametrize("path", PAGES)
def test_an_html_answer_allows_nothing_inline_and_no_frame(url: str, path: str) -> None:
    """Seen: /docs had no policy at all, and a script within the page."""
    reply = httpx.get(url + path, headers=BROWSER)
    assert (reply.status_code, reply.headers["content-type"]) == (PAGES[path], "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert "unsafe" not in policy
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)[^>]*>|<style|<base|\bstyle=|\bon\w+=|javascript:", reply.text)


@pytest.mark.parametrize("path", PAGES)
def test_telegrams_web_clients_may_frame_what_the_bot_opens_and_nothing_else(url_with_bot: str, path: str) -> None:
    policy = httpx.get(url_with_bot + path, headers=BROWSER).headers["content-security-policy"]
    framed = "https://*.telegram.org" if path in FRAMED else "'none'"
    assert re.findall("frame-ancestors ([^;]*)", policy) == [framed]


def test_no_reply_is_taken_for_something_else(url: str) -> None:
    """An error object repeats a part of the request, which a browser that guesses could take for HTML."""
    for path in ("/?length=1", "/%3Cscript%3E", "/metrics", "/openapi.json", "/docs/swagger-ui.css", "/preview.png"):
        assert httpx.get(url + path).headers["x-content-type-options"] == "nosniff"
    assert httpx.options(url).headers["x-content-type-options"] == "nosniff"


def test_a_report_runs_loads_and_sends_nothing() -> None:
    """It is a file, which has no headers. Its charts have styles within them, which is all that is allowed."""
    layout = (ROOT / "finetune/report_layout/layout.html.jinja").read_text(encoding="utf-8")
    policies = re.findall('"Content-Security-Policy" content="(.*)"', render_report("report_layout/layout.html.jinja"))
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert '<meta name="referrer" content="no-referrer">' in layout
    for template in (ROOT / "finetune").rglob("*.html.jinja"):
        text = template.read_text(encoding="utf-8")
        assert any(part in text for part in ("Content-Security-Policy", "layout.html.jinja", "macro")), template
