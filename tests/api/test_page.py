"""`/` is the page for browsers and JSON for everybody else. Browsers keep the page's files for a year."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api.foreign_parameters import is_tracking
from app.api.generate_request import GenerateRequest
from app.api.openai_requests import CompletionRequest
from app.api.page_files import FOLDER, lean, read_files
from app.engine.fake import FakeEngine
from tests.conftest import ROOT, serving

# What Chromium and Firefox send when a person opens an address.
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(), api_keys="key") as address:
        yield address


def parts(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(web/[^"]+)"', page)


def test_a_browser_gets_the_page_without_a_key(url: str) -> None:
    reply = httpx.get(url, headers={"Accept": BROWSER})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert "<!doctype html>" in reply.text
    assert httpx.head(url, headers={"Accept": BROWSER}).headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("*/*", ""),
        ("application/json", ""),
        ("application/json, text/html;q=0.9", ""),
        (BROWSER, "?length=3"),
        (BROWSER, "?length=3&fbclid=IwAR0&utm_source=a&utm_source=b"),
        ("*/*", "?fbclid=IwAR0"),
        ("*/*", "generate?gclid=a&length=3&utm_source=news&_ga=1&mc_cid=2&ref=b&igshid=c&msclkid=d"),
        ("", ""),
    ],
)
def test_everybody_else_gets_json(url: str, accept: str, query: str) -> None:
    reply = httpx.get(f"{url}/{query}", headers={"Accept": accept, "X-Api-Key": "key"})
    assert set(reply.json()) >= {"text", "model"}


@pytest.mark.parametrize(
    "query",
    ["?", "?fbclid=IwAR0", "?utm_source=newsletter&utm_medium=email", "?gclid=1&gad_source=1", "?msclkid=1", "?igshid=1",
     "?ref=somewhere", "?_ga=2.1-3", "?mc_cid=1&mc_eid=2", "?FBCLID=1", "?utm_source=a&utm_source=b", "?v=2", "?theme=dark",
     "?lang=pl", "?q=", "?123", "?=", "?&", "index.html", "index.html?ref=a", "/", "?x=%ff%fe"],
)  # fmt: skip
def test_a_link_that_another_site_has_marked_opens_the_page(url: str, query: str) -> None:
    """Seen: a person who followed a link from Facebook got an error object about `fbclid`."""
    reply = httpx.get(f"{url}/{query}", headers={"Accept": BROWSER})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("name", ["lenght", "Length", "len", "prompt", "top-k", "temp", "max_tokens", "sampels"])
def test_a_misspelt_field_is_refused_in_a_browser_too(url: str, name: str) -> None:
    reply = httpx.get(f"{url}/?{name}=5&fbclid=a", headers={"Accept": BROWSER, "X-Api-Key": "key"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, name)


def test_a_program_may_only_bring_tracking_parameters(url: str) -> None:
    for name in ("theme", "fbclick", "lenght"):
        reply = httpx.get(f"{url}/?{name}=5", headers={"X-Api-Key": "key"})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, name)
    reply = httpx.post(f"{url}/?utm_source=a", json={"length": 3}, headers={"X-Api-Key": "key"})
    assert reply.json()["usage"]["completion_tokens"] == 3


def test_no_tracking_parameter_is_a_field() -> None:
    assert not [name for name in CompletionRequest.__struct_fields__ if is_tracking(name)]
    assert not [name for name in GenerateRequest.__struct_fields__ if is_tracking(name)]


def test_the_page_may_only_run_its_own_scripts(url: str) -> None:
    policy = httpx.get(url, headers={"Accept": BROWSER}).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types service-worker" in policy


def test_the_files_have_the_version_in_their_addresses_and_are_kept(url: str) -> None:
    page = httpx.get(url, headers={"Accept": BROWSER}).text
    assert len(parts(page)) >= 3
    for part in parts(page):
        reply = httpx.get(f"{url}/{part}")
        assert reply.status_code == 200
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    stale = re.sub(r"web/\w+/", "web/0/", parts(page)[0])
    assert httpx.get(f"{url}/{stale}").json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_unchanged_page_is_not_sent_again(url: str, encoding: str) -> None:
    headers = {"Accept": BROWSER, "Accept-Encoding": encoding}
    first = httpx.get(url, headers=headers)
    assert first.headers.get("content-encoding") == (None if encoding == "identity" else "gzip")
    again = httpx.get(url, headers=headers | {"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_is_sent_compressed_and_replies_of_the_api_are_not(url: str) -> None:
    """Both have the address `/`. A compressed stream of events would be held back until it is finished."""
    page = httpx.get(url, headers={"Accept": BROWSER, "Accept-Encoding": "gzip"})
    scripts = [part for part in parts(page.text) if part.endswith("main.js")]
    for reply in (page, httpx.get(f"{url}/{scripts[0]}", headers={"Accept-Encoding": "gzip"})):
        assert reply.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in reply.headers["vary"]
        assert int(reply.headers["content-length"]) < len(reply.content) / 2
    for query in ("length=500", "length=500&stream=true"):
        reply = httpx.get(f"{url}/?{query}", headers={"Accept-Encoding": "gzip", "X-Api-Key": "key"})
        assert (reply.status_code, reply.headers.get("content-encoding")) == (200, None)


def test_each_part_is_asked_for_again_only_if_it_has_changed(url: str) -> None:
    part = parts(httpx.get(url, headers={"Accept": BROWSER}).text)[0]
    first = httpx.get(f"{url}/{part}")
    again = httpx.get(f"{url}/{part}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" in again.headers["cache-control"]


def test_the_page_weighs_less_than_a_picture() -> None:
    """Without pictures: the icons, and those for phones that install it. The game's files are loaded only on /play."""
    files = {name: content for name, content in read_files().contents.items() if not name.endswith((".png", ".svg"))}
    page = [content for name, content in files.items() if not name.startswith("play.")]
    game = [content for name, content in files.items() if name.startswith("play.")]
    assert sum(map(len, page)) < 110_000
    # As it travels.
    assert sum(len(gzip.compress(content)) for content in page) < 47_000
    assert sum(len(gzip.compress(content)) for content in game) < 5_000


def test_style_sheets_are_sent_without_needless_spaces(tmp_path: Path) -> None:
    """A space before a colon is not one of those: it leads to what is within an element."""
    sheet = tmp_path / "x.css"
    sheet.write_text(
        "/* Why */\n.a :is(b, c) > d {\n  e: f g, h;\n}\n@media (i: j) {\n  k { l: m; }\n}\n", encoding="utf-8"
    )
    assert lean(sheet) == b".a :is(b,c) > d{e:f g,h;}@media (i:j){k{l:m;}}"


def test_scripts_are_sent_without_comments_and_with_every_string(url: str) -> None:
    folder = parts(httpx.get(url, headers={"Accept": BROWSER}).text)[0].rpartition("/")[0]
    for path in FOLDER.glob("*.js"):
        if path.name == "worker.js":
            continue
        code = re.sub(r"^\s*(//.*|/\*(.|\n)*?\*/)\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        sent = httpx.get(f"{url}/{folder}/{path.name}").text
        assert len(sent) < len(code)
        assert "/*" not in sent
        strings = re.findall(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`', code)
        assert [string for string in strings if string not in sent] == [], path


def test_no_two_elements_have_one_id() -> None:
    """Two buttons that were added at the same time shared one, so the first did what the second should have done."""
    for page in FOLDER.glob("*.html"):
        ids = re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8"))
        assert len(ids) == len({*ids}), page


def test_text_is_never_made_markup() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)


def test_the_page_names_no_other_host() -> None:
    """An XML namespace looks like an address, but nothing is loaded from it."""
    for path in (ROOT / "app/web").iterdir():
        if path.is_file() and path.suffix != ".png":
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|//[\w-]+\.\w", text), path


def test_the_readmes_pictures_stay_out_of_the_page_and_the_container(url: str) -> None:
    pictures = sorted((FOLDER / "screenshots").iterdir())
    assert {"light.png", "phone.png"} <= {picture.name for picture in pictures}
    assert all(picture.stat().st_size < 147_000 for picture in pictures)
    folder = parts(httpx.get(url, headers={"Accept": BROWSER}).text)[0].rpartition("/")[0]
    for name in ("screenshots/light.png", "screenshots", "light.png"):
        assert httpx.get(f"{url}/{folder}/{name}").status_code == 404
    assert "app/web/screenshots" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
