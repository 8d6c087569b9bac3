"""What is not HTTP gets an error object, too: with CORS headers, an id, a line in the log and advice."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import process, serving

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def send(url: str, *pieces: bytes) -> httpx.Response:
    """The reply to these bytes."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (b"GET /?prefix=Why did HTTP/1.1\r\n" + HOST + b"\r\n", "percent-encode spaces and the like in the address"),
        (b"GET /\tx HTTP/1.1\r\n" + HOST + b"\r\n", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"HEAD /a b HTTP/1.1\r\n" + HOST + b"\r\n", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"GET /\r\n", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"\x00\x01\x02", "the first line is not METHOD ADDRESS HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 99, "write http:// in the address"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "use HTTP/1.1"),
        (b"GET / HTTP/1.1\r\n\r\n", "the Host header is missing"),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", "Host header is there more than once"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A B: c\r\n\r\n", "a header is malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", "a header is malformed"),
        (b"GET / HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n", "the first header begins with a space"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", "Content-Length is not a number"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", "Content-Length is not a number"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "contradict each other"),
        (CHUNKED[:-2] + b"Content-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "are both there"),
        (b"POST / HTTP/1.1\r\ncontent-length: 0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n", "are both there"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", "may only be `chunked`"),
        (CHUNKED + b"zz\r\n", "a chunk of the body does not begin with its size"),
        (CHUNKED + b"2\r\n{}xx0\r\n\r\n", "a chunk of the body is not as long as it says"),
        (CHUNKED.replace(b"POST", b"GET") + b"zz\r\n", "a chunk of the body does not begin with its size"),
    ],
)  # fmt: skip
def test_a_malformed_request_gets_an_error_object(url: str, request_: bytes, says: str) -> None:
    """Seen: `Invalid HTTP request received.` as plain text, which no page of another origin could read."""
    reply = send(url, request_)
    error = assert_error(reply, 400, None)
    assert says in str(error["message"])
    assert error["code"] == "malformed_request"
    assert len(reply.headers["x-request-id"]) == 32
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("prefix", ["Żółć", "日本語", "👍🏽", "é" * 400])
def test_an_address_may_have_any_characters(url: str, prefix: str) -> None:
    """Seen: `curl 'host/?prefix=Żółć'`, which curl sends as it is, was refused."""
    line = f"GET /?prefix={prefix}&length=3&temperature=0 HTTP/1.1\r\n".encode()
    for cut in (0, 15, 16, 17, len(line)):
        reply = send(url, line[:cut], line[cut:] + HOST + b"X-Name: \xc5\xbb\r\n\r\n")
        assert reply.json()["text"] == prefix + SCRIPT[:3]
    assert_error(send(url, b"GET /?prefix=\xe9 HTTP/1.1\r\n" + HOST + b"\r\n"), 400, None)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: y\r\n" % number for number in range(3000)) + b"\r\n",
        b"GET /?prefix=" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /?prefix=" + "Ż".encode() * 5_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 3_000_000 + b"\r\n\r\n",
    ],
    ids=["a header", "headers", "an address", "an encoded address", "megabytes"],
)
def test_a_head_that_is_too_long(url: str, head: bytes) -> None:
    """With httptools instead of h11, uvicorn accepted 20 MB of headers; with h11, whatever came in one piece."""
    for pieces in ([head], [head[:100], head[100:]]):
        error = assert_error(send(url, *pieces), 431, None)
        assert error["code"] == "headers_too_large"


def test_a_head_of_the_greatest_length_is_read(url: str) -> None:
    start = b"GET /?length=1 HTTP/1.1\r\n" + HOST + b"X: "
    head = start + b"x" * (16384 - 4 - len(start)) + b"\r\n\r\n"
    assert len(head) == 16384
    assert send(url, head).status_code == 200
    assert send(url, head.replace(b"X: x", b"X: xx")).status_code == 431


def test_what_can_be_told_of_a_malformed_request_is_used() -> None:
    """A page of an origin that is allowed may read why its request was refused."""
    more = b"Origin: https://a.example\r\nX-Request-Id: mine-1\r\n\r\n"
    with serving(FakeEngine(), cors_origins="https://a.example", api_keys="k") as url:
        for request_, status in (
            (b"GET /a b HTTP/1.1\r\n", 400),
            (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n", 431),
        ):
            reply = send(url, request_ + HOST + more)
            assert (reply.status_code, reply.headers["x-request-id"]) == (status, "mine-1")
            assert reply.headers["access-control-allow-origin"] == "https://a.example"
            other = send(url, request_ + HOST + more.replace(b"a.example", b"b.example"))
            assert "access-control-allow-origin" not in other.headers


def test_malformed_requests_are_in_the_log_without_what_people_wrote() -> None:
    asked = [
        b"POST /generate?prefix=Xylophone Quokka HTTP/1.1\r\n" + HOST + b"User-Agent: tests\r\nX-Request-Id: m\r\n\r\n",
        b"Xylophone Quokka\r\n",
        b"GET /health HTTP/1.1\r\nXylophone Quokka\r\n\r\n",
        CHUNKED + b"Xylophone Quokka\r\n",
        b"\x16\x03\x01Xylophone Quokka",
    ]
    with process(ENGINE="fake", K_SERVICE="jokes", LOG_LEVEL="debug") as (child, url):
        for each in asked:
            assert send(url, each).status_code == 400
        assert httpx.get(f"{url}/health").status_code == 200
        child.send_signal(signal.SIGTERM)
        printed = child.communicate(timeout=20)[0]
    entries = [json.loads(line) for line in printed.splitlines()]
    found = [entry["httpRequest"] for entry in entries if "httpRequest" in entry]
    refused = [(entry["requestMethod"], entry["requestUrl"]) for entry in found if entry["status"] == 400]
    assert refused == [("POST", "/generate"), ("-", "-"), ("GET", "/health"), ("POST", "/"), ("-", "-")]
    assert [entry["userAgent"] for entry in found if entry["requestUrl"] == "/generate"] == ["tests"]
    assert not {"Xylophone", "Quokka"} & set(printed.replace("%", " ").split())
    assert "Invalid HTTP request" not in printed


def test_a_request_may_follow_an_empty_line_and_another_request(url: str) -> None:
    """Old clients end a body with an empty line too many, and some do not wait for a reply before they ask again."""
    assert send(url, b"\r\n", b"\r\nGET /health HTTP/1.1\r\n" + HOST + b"\r\n").json() == {"status": "ok"}
    body = b'POST /?x HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{"length": 1}'.replace(b"?x", b"")
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(body + b"GET /version HTTP/1.1\r\nHo")
        first = http.client.HTTPResponse(connection)
        first.begin()
        assert json.loads(first.read())["usage"]["completion_tokens"] == 1
        connection.sendall(b"st: a\r\nX: \xc5\xbb\r\n\r\n")
        second = http.client.HTTPResponse(connection)
        second.begin()
        assert json.loads(second.read())["model"] == "fake"


def test_an_upgrade_is_answered_in_http_1(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """`curl --http2` asks for one. Uvicorn advised in the log to install a package, at each request."""
    for name in (b"h2c", b"websocket"):
        asked = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: " + name + b"\r\n\r\n"
        assert send(url, asked).json() == {"status": "ok"}
    assert "install" not in caplog.text


def test_a_body_may_turn_out_malformed_after_the_reply(url: str) -> None:
    head = b"GET /health HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(head)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert json.loads(reply.read()) == {"status": "ok"}
        connection.sendall(b"zz\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert httpx.get(f"{url}/health").status_code == 200
