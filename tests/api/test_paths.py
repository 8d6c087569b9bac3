"""A path with a slash too many is answered like the path itself, and every path answers OPTIONS and HEAD."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.api.error_checks import assert_error
from tests.api.test_keys import routes
from tests.conftest import serving

HELLO = [{"role": "user", "content": "Hello!"}]
POSTS: dict[str, dict[str, Any]] = {
    "/": {"length": 3, "seed": 1},
    "/generate": {"length": 3, "seed": 1},
    "/v1/completions": {"max_tokens": 3, "seed": 1},
    "/v1/chat/completions": {"messages": HELLO, "max_tokens": 3, "seed": 1},
    "/tokenize": {"prompt": "a"},
    "/detokenize": {"tokens": [80]},
}
GETS = ["/health", "/version", "/v1/models", "/v1/models/fake", "/openapi.json", "/docs/favicon-32x32.png"]
SPELLINGS = ["{}/", "{}//", "/{}", "{}?"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def without_id(reply: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in reply.json().items() if name not in ("id", "created")}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("path", POSTS)
def test_a_post_with_slashes_too_many_is_answered(url: str, path: str, spelling: str) -> None:
    """Seen: a 307 to http:// behind a proxy that ends TLS, after which curl sent a GET or nothing."""
    reply = httpx.post(url + spelling.format(path), json=POSTS[path], headers={"X-Forwarded-Proto": "https"})
    assert reply.status_code == 200, reply.text
    assert without_id(reply) == without_id(httpx.post(url + path, json=POSTS[path]))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("path", GETS)
def test_a_get_with_slashes_too_many_is_answered(url: str, path: str, spelling: str) -> None:
    reply = httpx.get(url + spelling.format(path))
    assert (reply.status_code, reply.content) == (200, httpx.get(url + path).content)


def test_telegrams_webhook_may_end_in_a_slash(url: str) -> None:
    assert_error(httpx.post(f"{url}/telegram/"), 404, None, "not_found_error")
    token = {"telegram_token": "1:a", "telegram_secret": "s", "telegram_api_url": "http://127.0.0.1:9"}
    with serving(FakeEngine(), **token) as bot:
        assert_error(httpx.post(f"{bot}/telegram/", json={}), 403, None, "permission_error")
        reply = httpx.post(f"{bot}/telegram/", json={}, headers={"X-Telegram-Bot-Api-Secret-Token": "s"})
        assert reply.status_code == 200


@pytest.mark.parametrize("spelling", ["", "/"])
def test_the_docs_find_their_files_with_and_without_a_slash(url: str, spelling: str) -> None:
    page = httpx.get(f"{url}/docs{spelling}")
    files = [page.url.join(name) for name in re.findall(r'(?:href|src)="(.+?)"', page.text)]
    assert {str(file).rpartition("/")[0] for file in files} == {f"{url}/docs"}
    for file in files:
        assert httpx.get(file).status_code == 200
    # Where the script looks for the description.
    assert httpx.get(files[-1].join("../openapi.json")).status_code == 200


def test_a_model_may_be_asked_for_with_a_slash_in_its_name(url: str) -> None:
    with serving(FakeEngine(name="org/tiny")) as address:
        for path in ("/v1/models/org/tiny", "/v1/models/org%2Ftiny", "/v1/models/org/tiny/"):
            assert httpx.get(address + path).json()["id"] == "org/tiny"
    assert_error(httpx.get(f"{url}/v1/models/other/"), 404, "model", "not_found_error")


@pytest.mark.parametrize("path", sorted({route.path for route in routes()} | {"/telegram", "/web/{version}/{name}"}))
def test_options_lists_the_methods_everywhere(url: str, path: str) -> None:
    concrete = re.sub(r"{.+?}", "fake", path)
    for address in (url + concrete, f"{url}{concrete}/"):
        reply = httpx.options(address)
        assert (reply.status_code, reply.content) == (204, b"")
        assert {"OPTIONS"} < set(reply.headers["allow"].split(", ")) <= {"HEAD", "GET", "POST", "OPTIONS"}
        assert reply.headers["access-control-allow-origin"] == "*"
        refused = httpx.request("PATCH", address)
        # In the form of the path's protocol.
        assert refused.status_code == 405
        assert "PATCH is not possible here: use " in refused.text
        assert refused.headers["allow"] == reply.headers["allow"]


def test_options_needs_no_key() -> None:
    with serving(FakeEngine(), api_keys="a", rate_limit=1) as url:
        assert {httpx.options(url + path).status_code for path in ("/", "/v1/models", "/v1/completions")} == {204}


def test_the_message_names_the_methods_that_work(url: str) -> None:
    assert httpx.delete(url).json()["error"]["message"] == "DELETE is not possible here: use GET or POST."
    assert httpx.get(f"{url}/tokenize").json()["error"]["message"] == "GET is not possible here: use POST."


@pytest.mark.parametrize("path", ["/", "/index.html", "/health", "/v1/models", "/docs", "/nothing", "/version/"])
def test_head_is_get_without_the_content(url: str, path: str) -> None:
    head, get = httpx.head(url + path), httpx.get(url + path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/", "/v1/embeddings", "/index.php", "/%00", "/%ff", "/.env"])
def test_an_unknown_path_is_an_error_object(url: str, path: str) -> None:
    assert_error(httpx.get(url + path), 404, None, "not_found_error")


def raw(url: str, request: bytes) -> bytes:
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(5000)


@pytest.mark.parametrize("host", ["a", "[", "[::1", "a b", "", "\xff", "a:b:c", "x" * 3000])
def test_a_strange_host_does_not_matter(url: str, host: str) -> None:
    """Seen: a 500 for an unknown path, since the address that the error names was put together with the host."""
    for path, status in ((b"/nothing", b"404"), (b"/health/", b"200")):
        request = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host.encode("latin-1"))
        assert raw(url, request).split(b" ", 2)[1] == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET http://other.example/health HTTP/1.1", b"200"),
        (b"GET HTTPS://other.example:443/v1/models/ HTTP/1.1", b"200"),
        (b"OPTIONS * HTTP/1.1", b"204"),
        (b"OPTIONS http://other.example HTTP/1.1", b"204"),
        (b"GET http://other.example/nothing HTTP/1.1", b"404"),
    ],
)
def test_proxies_may_send_the_whole_address(url: str, line: bytes, status: bytes) -> None:
    assert raw(url, line + b"\r\nHost: other.example\r\nConnection: close\r\n\r\n").split(b" ", 2)[1] == status
