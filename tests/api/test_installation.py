"""The page as an app and as a link in a chat: web manifest, icons, service worker, preview with its picture."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from app.api.preview_picture import draw_preview
from app.engine.fake import FakeEngine
from app.engine.profile import Profile
from tests.conftest import serving

HTML = {"Accept": "text/html"}
DUCKS = Profile(title='Ducks & "co" <i>', about='Why did the duck cross "the" road?', accent="#0a6b3d")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(profile=DUCKS), api_keys="key") as address:
        yield address


def said(html: str) -> dict[str, str]:
    """The page's Open Graph and Twitter tags, as another app reads them."""
    return {
        name: unescape(text) for name, text in re.findall(r'<meta (?:property|name)="([\w:]+)" content="(.*?)">', html)
    }


def test_a_link_in_a_chat_has_title_line_and_picture(url: str) -> None:
    """The addresses are whole, and HTTPS where a proxy, such as Cloud Run's, speaks it in the service's place."""
    for headers, origin in (
        ({}, url),
        ({"Host": "ducks.example", "X-Forwarded-Proto": "https"}, "https://ducks.example"),
        ({"Host": "ducks.example", "X-Forwarded-Proto": "https,http"}, "https://ducks.example"),
        ({"Host": "ducks.example", "X-Forwarded-Proto": '"><script>'}, "http://ducks.example"),
    ):
        page = httpx.get(url, headers=HTML | headers).text
        tags = said(page)
        assert tags["og:title"] == DUCKS.title
        assert tags["og:description"] == DUCKS.about
        assert (tags["og:url"], tags["og:image"]) == (f"{origin}/", f"{origin}/preview.png")
        assert tags["twitter:card"] == "summary_large_image"
        assert "<script>" not in page.replace("<script src", "")


@pytest.mark.parametrize("title", ["preview.png", "./", "GPT-2", 'content="./"'])
def test_a_title_is_never_taken_for_a_part_of_the_page(title: str) -> None:
    with serving(FakeEngine(profile=Profile(title=title))) as url:
        assert said(httpx.get(url, headers=HTML).text)["og:title"] == title


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and the numbers of the colours."""
    width, height = struct.unpack(">II", png[16:24])
    at, data = 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + content),)
        data += content if kind == b"IDAT" else b""
        at += 12 + size
    return width, height, zlib.decompress(data)


def test_the_picture_of_a_link_shows_the_title(url: str) -> None:
    reply = httpx.get(f"{url}/preview.png")
    assert reply.headers["content-type"] == "image/png"
    width, height, drawn = pixels(reply.content)
    assert (width, height, len(drawn)) == (1200, 630, 1201 * 630)
    assert reply.content != draw_preview("Geese", DUCKS.about, DUCKS.accent)


@pytest.mark.parametrize(
    ("title", "about"),
    [("W" * 60, "w" * 300), ("", ""), ("漢字", "🦆"), ("Żółć и Ёж", "a " * 150), (" ", "x" * 40 + " y" * 100),
     ("a" * 19 + " b" * 20, "")],
)  # fmt: skip
def test_the_picture_fits_every_title(title: str, about: str) -> None:
    """Nothing is drawn in the margins. Letters that are missing are left out."""
    width, height, drawn = pixels(draw_preview(title, about, ""))
    rows = [drawn[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height - 20)]
    assert not any(any(row[:70]) or any(row[-70:]) for row in rows)
    assert not any(map(any, rows[:40]))


def test_a_phone_can_install_the_page(url: str) -> None:
    page = httpx.get(url, headers=HTML).text
    assert '<link rel="manifest" href="manifest.webmanifest">' in page
    reply = httpx.get(f"{url}/manifest.webmanifest")
    told = reply.json()
    assert reply.headers["content-type"] == "application/manifest+json"
    assert (told["name"], told["theme_color"], told["display"]) == (DUCKS.title, "#0a6b3d", "standalone")
    assert told["short_name"] == 'Ducks & "co"'
    for icon in [*told["icons"], {"src": re.findall(r'apple-touch-icon" href="(.*?)"', page)[0], "sizes": "180x180"}]:
        png = httpx.get(f"{url}/{icon['src']}")
        assert png.headers["content-type"] == "image/png"
        assert struct.unpack(">II", png.content[16:24]) == tuple(map(int, icon["sizes"].split("x")))


def test_the_worker_keeps_this_version_and_nothing_of_the_api(url: str) -> None:
    reply = httpx.get(f"{url}/worker.js")
    assert (reply.headers["content-type"], reply.headers["cache-control"]) == (
        "text/javascript; charset=utf-8",
        "no-cache",
    )
    kept = json.loads(re.findall(r"=(\{.*?\});", reply.text)[0])
    assert all(httpx.get(f"{url}/{file}").headers["cache-control"].endswith("immutable") for file in kept["files"])
    needed = set(re.findall(r'(?:href|src)="(web/[^"]+\.(?:js|css|svg))"', httpx.get(url, headers=HTML).text))
    assert needed <= set(kept["files"])
    with serving(FakeEngine(profile=Profile(title="Geese"))) as other:
        assert httpx.get(f"{other}/worker.js").text != reply.text


def test_the_accent_is_there_before_the_first_paint(url: str) -> None:
    assert '<html data-accent="#0a6b3d #' in httpx.get(url, headers=HTML).text
    told = httpx.get(f"{url}/version").json()["profiles"]["fake"]
    assert (told["accent"], told["accent_on_dark"][0]) == ("#0a6b3d", "#")
