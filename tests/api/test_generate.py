"""`/` and `/generate`: requests and their replies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import events, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.2)) as address:
        yield address


def test_a_post_with_json(url: str) -> None:
    reply = httpx.post(url, json={"length": 100, "temperature": 1.0}).json()
    assert next(iter(reply)) == "text"
    assert len(reply["text"]) > 0


def test_a_get_with_a_query(url: str) -> None:
    reply = httpx.get(f"{url}/?length=9&prefix=Why&temperature=0").json()
    assert reply == {
        "text": "Why" + SCRIPT[:9],
        "model": "fake",
        "seed": reply["seed"],
        "finish_reason": "length",
        "usage": {"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13},
    }


def test_a_default_length_is_never_more_than_the_limit() -> None:
    """Seen with MAX_LENGTH=50: `curl localhost:8080` got "length is 100: expected at most 50", which nobody had asked for."""
    with serving(FakeEngine(), max_length=5) as address:
        assert httpx.get(address).json()["usage"]["completion_tokens"] == 5
        for path, name in (("/", "length"), ("/v1/completions", "max_tokens")):
            for ask in ({}, {name: None}, {name: 5}):
                assert httpx.post(address + path, json=ask).json()["usage"]["completion_tokens"] == 5
            assert_error(httpx.post(address + path, json={name: 6}), 400, name)


def test_a_text_does_not_end_before_min_tokens() -> None:
    with serving(FakeEngine("")) as address:
        reply = httpx.post(address, json={"prefix": "a", "min_tokens": 3, "include_prefix": False}).json()
        assert reply["usage"]["completion_tokens"] == 4
        assert reply["finish_reason"] == "stop"
        assert_error(httpx.post(address, json={"min_tokens": 3, "length": 2}), 400, "min_tokens")


def test_generate_is_the_same_handler(url: str) -> None:
    ask = {"length": 20, "seed": 1}
    assert httpx.post(f"{url}/generate", json=ask).json() == httpx.post(url, json=ask).json()


def test_an_empty_body_means_all_defaults(url: str) -> None:
    assert httpx.post(url).json()["usage"]["completion_tokens"] <= 100


def test_the_content_type_of_a_post_does_not_matter(url: str) -> None:
    """Curl and the browsers' fetch send JSON under other content types."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        reply = httpx.post(url, content=b'{"length": 4, "temperature": 0}', headers={"Content-Type": content_type})
        assert reply.json()["text"] == SCRIPT[:4]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({"length": "40", "temperature": "0.7", "top_k": "40"}, {"length": 40, "temperature": 0.7, "top_k": 40}),
        ({"length": "4e1", "include_prefix": "false"}, {"length": 40, "include_prefix": False}),
        ({"length": "40.0", "nsamples": "2", "top_p": "1"}, {"length": 40, "nsamples": 2, "top_p": 1.0}),
    ],
)
def test_numbers_may_be_strings_as_web_forms_send_them(
    url: str, form: dict[str, str], fields: dict[str, object]
) -> None:
    """The page that came with gpt-2-cloud-run posts what its inputs hold, as JSON: each value is a string."""
    same: dict[str, object] = {"prefix": "Why", "seed": 3}
    whole = httpx.post(url, json=same | fields).json()
    assert httpx.post(url, json=same | form).json() == whole
    assert httpx.get(url, params=same | form).json() == whole  # type: ignore[arg-type]


def test_a_get_with_a_body_is_refused(url: str) -> None:
    """`curl -X GET -d '{"length": 5}'` got a hundred tokens, since a GET's body was not looked at."""
    error = assert_error(httpx.request("GET", url, content=b'{"length": 5}'), 400, "length")
    assert (
        error["message"] == "a GET takes its fields from the query: move the fields of the body there, or send a POST."
    )
    assert httpx.request("GET", f"{url}/?length=3", content=b"{}").json()["usage"]["completion_tokens"] == 3


def test_head_generates_nothing(url: str) -> None:
    reply = httpx.head(url)
    assert (reply.status_code, reply.content, reply.headers["content-length"]) == (200, b"", "11")


def test_options_lists_the_methods(url: str) -> None:
    reply = httpx.options(url)
    assert (reply.status_code, reply.headers["allow"]) == (204, "HEAD, GET, POST, OPTIONS")


def test_a_browsers_preflight_is_answered(url: str) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    reply = httpx.options(url, headers=asked | {"Access-Control-Request-Headers": "content-type"})
    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "content-type" in reply.headers["access-control-allow-headers"].lower()


def test_only_named_origins_may_read_when_there_is_a_list() -> None:
    with serving(FakeEngine(), cors_origins="https://a.example,https://b.example") as url:
        allowed = httpx.get(url, headers={"Origin": "https://b.example"}).headers
        refused = httpx.get(url, headers={"Origin": "https://c.example"}).headers
    assert allowed["access-control-allow-origin"] == "https://b.example"
    assert "access-control-allow-origin" not in refused


@pytest.mark.parametrize(
    "prefix", ["👍🏽 first", "日本語", "مرحبا", "tab\tnew\nline", "a+b&c=d%20", " leading and trailing "]
)
def test_the_prefix_comes_back_byte_for_byte(url: str, prefix: str) -> None:
    ask: dict[str, Any] = {"prefix": prefix, "length": 3, "temperature": 0}
    assert httpx.get(url, params=ask).json()["text"] == prefix + SCRIPT[:3]
    assert httpx.post(url, json=ask).json()["text"] == prefix + SCRIPT[:3]


def test_include_prefix_false_leaves_it_out(url: str) -> None:
    """Fixed: it worked only together with truncate."""
    ask: dict[str, Any] = {"prefix": "Why", "include_prefix": "false", "length": 3, "temperature": 0}
    assert httpx.get(url, params=ask).json()["text"] == SCRIPT[:3]


def test_truncate_looks_only_at_what_was_generated(url: str) -> None:
    reply = httpx.post(url, json={"prefix": "The fox. ", "truncate": ".", "temperature": 0, "length": 60}).json()
    assert reply["text"] == "The fox. " + SCRIPT[:-2]
    assert reply["finish_reason"] == "stop"


def test_stop_takes_a_string_or_four(url: str) -> None:
    for stop in ("fox", ["dog", "fox", "cat"]):
        reply = httpx.post(url, json={"stop": stop, "temperature": 0}).json()
        assert (reply["text"], reply["finish_reason"]) == ("The quick brown ", "stop")


def test_a_returned_seed_repeats_the_text(url: str) -> None:
    first = httpx.get(url, params={"length": 50}).json()
    assert httpx.get(url, params={"length": 50, "seed": first["seed"]}).json() == first


def test_several_samples(url: str) -> None:
    reply = httpx.get(url, params={"nsamples": 3, "length": 50, "prefix": "A", "temperature": 3}).json()
    assert reply["text"] == reply["texts"][0]
    assert len(set(reply["texts"])) == len(reply["finish_reasons"]) == 3
    assert all(text.startswith("A") for text in reply["texts"])


@pytest.mark.parametrize(
    "ask", [{"prefix": "Why"}, {"nsamples": 3}, {"truncate": "."}, {"include_prefix": False, "prefix": "x"}]
)
def test_a_stream_joined_is_the_reply(url: str, ask: dict[str, object]) -> None:
    ask = ask | {"seed": 4, "length": 120}
    whole = httpx.post(url, json=ask).json()
    stream = httpx.post(url, json=ask | {"stream": True})
    assert stream.headers["content-type"].startswith("text/event-stream")
    *parts, last, done = events(stream.text)
    assert done == "[DONE]"
    texts = [""] * int(str(ask.get("nsamples", 1)))
    for part in map(json.loads, parts):
        texts[part["index"]] += part["text"]
    assert texts == whole.get("texts", [whole["text"]])
    assert json.loads(last) == {key: value for key, value in whole.items() if key not in ("text", "texts")} | {
        "text": ""
    }


def test_a_stream_comes_piece_by_piece() -> None:
    with (
        serving(FakeEngine(seconds_per_token=0.01)) as url,
        httpx.stream("GET", f"{url}/?length=30&stream=true") as reply,
    ):
        chunks = [chunk for chunk in reply.iter_raw() if chunk]
    assert len(chunks) > 10


def test_the_models_own_name_may_be_given(url: str) -> None:
    assert httpx.get(url, params={"model": "fake"}).status_code == 200


def test_health_and_version(url: str) -> None:
    assert httpx.get(f"{url}/health").json() == {"status": "ok"}
    version = httpx.get(f"{url}/version").json()
    assert (version["model"], version["engine"]) == ("fake", "fake")
