"""CORS_ORIGINS is spelt as browsers send an origin, put right where its meaning is clear, or refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake import FakeEngine
from app.errors import SettingError
from app.origins import read_origins
from tests.conftest import run_module, serving


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ["*"]),
        ("https://x.example", ["https://x.example"]),
        ("https://x.example/", ["https://x.example"]),
        ("HTTPS://X.Example", ["https://x.example"]),
        ("https://x.example:443", ["https://x.example"]),
        ("http://x.example:80/", ["http://x.example"]),
        ("http://x.example:443", ["http://x.example:443"]),
        ("https://x.example:", ["https://x.example"]),
        (" https://x.example , http://localhost:3000,", ["https://x.example", "http://localhost:3000"]),
        ("https://x.example,,\n\thttps://y.example", ["https://x.example", "https://y.example"]),
        ("*, https://x.example", ["*", "https://x.example"]),
        ("NULL", ["null"]),
        ("http://[::1]:8080", ["http://[::1]:8080"]),
        ("http://[0:0:0:0:0:0:0:1]", ["http://[::1]"]),
        ("http://127.0.0.1:5500", ["http://127.0.0.1:5500"]),
        ("capacitor://localhost", ["capacitor://localhost"]),
        ("chrome-extension://abcdefghijklmnop", ["chrome-extension://abcdefghijklmnop"]),
        ("https://xn--w-uga1v8h.example", ["https://xn--w-uga1v8h.example"]),
    ],
)
def test_origins_are_spelt_as_browsers_send_them(text: str, origins: list[str]) -> None:
    assert read_origins(text) == origins


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x.example", "'x.example' has no scheme: write https:// or http:// in front of it."),
        ("localhost:3000", "has no scheme"),
        ("//x.example", "has no scheme"),
        ("https://x.example/app", "is more than an origin, which ends with the host and the port: write https://x.example."),
        ("https://x.example:444/a?b#c", "write https://x.example:444."),
        ("https://x.example?a=1", "write https://x.example."),
        ("https://me:secret@x.example", "write https://x.example."),
        ("https://*.x.example", "without wildcards"),
        ("https://", "is not SCHEME://HOST"),
        ("https://x example", "is not SCHEME://HOST"),
        ("https://x.example https://y.example", "is not SCHEME://HOST"),
        ("https://żółw.example", "xn--"),
        ("https://x.example:99999", "no valid host and port"),
        ("https://x.example:port", "no valid host and port"),
        ("http://[::1", "no valid host and port"),
        ("http://127.1", "no valid host and port"),
        ("http://0x7f.0.0.0x1", "no valid host and port"),
        ("http://127.0.0.256", "no valid host and port"),
        ("https://x.example, y.example", "'y.example' has no scheme"),
        (" , ", "names no origin"),
    ],
)  # fmt: skip
def test_what_no_browser_sends_is_refused(text: str, says: str) -> None:
    """Seen: `https://x.example/` and `x.example` were taken, and every page was refused without a word."""
    with pytest.raises(SettingError, match=r"^CORS_ORIGINS") as refused:
        read_origins(text)
    assert says in str(refused.value)


def test_a_wrong_origin_stops_the_start() -> None:
    ended = run_module("app", ENGINE="fake", CORS_ORIGINS="https://x.example/app", FEEDBACK="", PORT="8912")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(), cors_origins="HTTPS://X.example:443/, null,") as address:
        yield address


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://x.example", True), ("null", True), ("https://y.example", False), ("http://x.example", False)],
)
def test_pages_of_the_listed_origins_may_read(url: str, origin: str, allowed: bool) -> None:
    headers = httpx.get(f"{url}/health", headers={"Origin": origin}).headers
    assert headers.get("access-control-allow-origin") == (origin if allowed else None)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(url, headers=asked)
    assert preflight.headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert preflight.is_success == allowed


def test_a_preflight_that_is_refused_says_why(url: str) -> None:
    asked = {"Origin": "https://y.example", "Access-Control-Request-Method": "POST"}
    reply = httpx.options(url, headers=asked)
    assert (reply.status_code, reply.json()["error"]["type"]) == (403, "permission_error")
    assert (
        reply.json()["error"]["message"]
        == "pages of https://y.example may not send POST here: CORS_ORIGINS lists who may."
    )
