"""What cannot be answered is a 400 that names the field, readable across origins, and the server stays up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from app.engine.base import Decoder
from app.engine.fake import FakeDecoder, FakeEngine
from tests.conftest import events, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def check(
    reply: httpx.Response, status: int, param: str | None, kind: str = "invalid_request_error"
) -> dict[str, object]:
    error: dict[str, object] = reply.json()["error"]
    assert (reply.status_code, error["param"], error["type"]) == (status, param, kind), reply.text
    assert {"message", "type", "param", "code"} <= set(error)
    assert str(error["message"]).endswith(".")
    assert reply.headers["access-control-allow-origin"] == "*"
    return error


@pytest.mark.parametrize(
    "query",
    [
        "length=abc", "length=", "length=0", "length=-1", "length=1.5", "length=nan", "length=4097", "length=9999999999999999999",
        "temperature=warm", "temperature=nan", "temperature=inf", "temperature=-0.1", "temperature=1e999", "temperature=1e30",
        "top_k=-1", "top_k=1.5", "top_k=99999999999999999999999", "top_p=1.1", "top_p=-1", "min_p=2", "min_p=nan",
        "repetition_penalty=0", "repetition_penalty=-1", "presence_penalty=3", "frequency_penalty=-3",
        "seed=-1", "seed=x", "seed=9223372036854775808", "seed=0.5",
        "nsamples=0", "nsamples=-2", "nsamples=1000000", "include_prefix=maybe", "stream=2",
        "unknown=1", "Length=5", "prompt=Why",
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_query(url: str, query: str) -> None:
    check(httpx.get(f"{url}/?{query}"), 400, query.split("=", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length", None), ("length", "100"), ("length", 1.5), ("length", True), ("length", []), ("length", 10**30),
        ("temperature", None), ("temperature", "1"), ("temperature", {}), ("temperature", 10**400), ("temperature", False),
        ("top_k", None), ("top_p", "0.5"), ("seed", 10**30), ("seed", "1"), ("nsamples", None), ("nsamples", 1.0e30),
        ("prefix", None), ("prefix", 5), ("prefix", ["a"]), ("truncate", 1), ("include_prefix", "true"), ("include_prefix", 1),
        ("stream", "yes"), ("stop", 5), ("stop", ["a", 1]), ("stop", ["a"] * 5), ("stop", [""]), ("stop", ""), ("model", 1),
        ("unknown", 1), ("presence_penalty", 2.5),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_body(url: str, field: str, value: object) -> None:
    check(httpx.post(url, json={field: value}), 400, field)


def test_nan_and_infinity_are_not_json(url: str) -> None:
    for word in ("NaN", "Infinity", "-Infinity"):
        check(httpx.post(url, content=f'{{"temperature": {word}}}'), 400, None)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"text"', b"5", b"null", b"length=5", b"[" * 100_000, b"\xff\xfe", b'{"prefix": "\xff"}']
)
def test_a_body_that_is_no_json_object(url: str, body: bytes) -> None:
    check(httpx.post(url, content=body), 400, None)


def test_a_field_given_twice(url: str) -> None:
    check(httpx.get(f"{url}/?length=5&length=6"), 400, "length")
    check(httpx.post(url, content=b'{"length": 5, "length": 6}'), 400, "length")


def test_a_post_with_a_query(url: str) -> None:
    check(httpx.post(f"{url}/?length=5", json={"length": 5}), 400, "length")


def test_broken_utf_8_and_half_characters(url: str) -> None:
    check(httpx.get(f"{url}/?prefix=%ff%fe"), 400, None)
    check(httpx.post(url, content=b'{"prefix": "\\ud83d"}'), 400, "prefix")
    check(httpx.post(url, content=b'{"stop": ["\\ud83d"]}'), 400, "stop")


def test_a_prompt_longer_than_the_window(url: str) -> None:
    error = check(httpx.post(url, json={"prefix": "x" * 2000}), 400, "prefix", "exceed_context_size_error")
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (2001, 1024)


def test_more_samples_than_fit_in_memory(url: str) -> None:
    check(httpx.get(f"{url}/?nsamples=100&length=1000"), 400, "nsamples")


def test_a_body_over_the_limit(url: str) -> None:
    check(httpx.post(url, content=b" " * 300_000), 413, None)
    check(httpx.post(url, content=(b" " * 1000 for _ in range(300))), 413, None)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "BREW"])
def test_a_wrong_method(url: str, method: str) -> None:
    reply = httpx.request(method, url)
    check(reply, 405, None)
    assert "GET" in reply.headers["allow"]


def test_an_unknown_path_and_an_unknown_model(url: str) -> None:
    check(httpx.get(f"{url}/nothing"), 404, None, "not_found_error")
    check(httpx.get(f"{url}/?model=gpt-5"), 404, "model", "not_found_error")


def test_a_mistake_of_ours_is_an_error_object_too() -> None:
    class Broken(FakeEngine):
        def decoder(self, rows: int, positions: int, reuse: bool = False) -> Decoder:  # type: ignore[override]
            raise ZeroDivisionError

    with serving(Broken()) as url:
        for ask in ({}, {"stream": True}):
            check(httpx.post(url, json=ask), 500, None, "server_error")
        assert httpx.get(f"{url}/health").status_code == 200


def test_a_mistake_in_the_middle_of_a_stream_is_its_last_event() -> None:
    """A stream that just breaks off looks complete to many clients."""

    class Breaking(FakeDecoder):
        def step(self, tokens: np.ndarray) -> np.ndarray:
            raise ZeroDivisionError

    class Broken(FakeEngine):
        def decoder(self, rows: int, positions: int, reuse: bool = False) -> FakeDecoder:
            return Breaking(self)

    with serving(Broken()) as url:
        last = json.loads(events(httpx.get(f"{url}/?stream=true").text)[-1])
        assert last["error"]["type"] == "server_error"
        assert httpx.get(f"{url}/?length=1").status_code == 200


def test_headers_without_end_are_refused(url: str) -> None:
    """Httptools took 20 MB of them."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
        assert b"400" in connection.recv(1000).split(b"\r\n")[0]
    assert httpx.get(f"{url}/health").status_code == 200


def test_everything_still_works_afterwards(url: str) -> None:
    assert httpx.get(url).status_code == 200
