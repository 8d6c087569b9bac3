"""A wrong value is a 400 that names the field."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


@pytest.mark.parametrize(
    "query",
    [
        "length=abc", "length=", "length=0", "length=-1", "length=1.5", "length=nan", "length=4097", "length=9999999999999999999",
        "temperature=warm", "temperature=nan", "temperature=inf", "temperature=-0.1", "temperature=1e999", "temperature=1e30",
        "top_k=-1", "top_k=1.5", "top_k=99999999999999999999999", "top_p=1.1", "top_p=-1", "min_p=2", "min_p=nan",
        "repetition_penalty=0", "repetition_penalty=-1", "presence_penalty=3", "frequency_penalty=-3",
        "seed=-1", "seed=x", "seed=9223372036854775808", "seed=0.5",
        "top_p=null", "seed=null", "nsamples=0", "nsamples=-2", "nsamples=1000000", "include_prefix=maybe", "stream=2",
        "unknown=1", "Length=5", "prompt=Why",
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_query(url: str, query: str) -> None:
    assert_error(httpx.get(f"{url}/?{query}"), 400, query.split("=", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length", ""), ("length", "1.5"), ("length", 1.5), ("length", True), ("length", []), ("length", 10**30),
        ("temperature", "warm"), ("temperature", "nan"), ("temperature", {}), ("temperature", 10**400), ("temperature", False),
        ("top_k", "-1"), ("top_p", "1.5"), ("seed", 10**30), ("seed", "x"), ("nsamples", "0"), ("nsamples", 1.0e30),
        ("prefix", 5), ("prefix", ["a"]), ("truncate", 1), ("include_prefix", "maybe"), ("include_prefix", 2),
        ("stream", "yes"), ("stop", 5), ("stop", ["a", 1]), ("stop", ["a"] * 5), ("model", 1),
        ("unknown", 1), ("presence_penalty", 2.5),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_body(url: str, field: str, value: object) -> None:
    assert_error(httpx.post(url, json={field: value}), 400, field)


@pytest.mark.parametrize(
    "name", ["", " ", "\n", "`", "a - at b", "a - at `$.length`", "[0]", "x" * 5000, "日本", "prefix.a"]
)
def test_a_field_with_a_strange_name_is_named(url: str, name: str) -> None:
    """Seen: for an empty name and one with a line break, the message was msgspec's own, with the whole request in it."""
    for path, field in (
        ("/", {name: 1}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a", name: 1}]}),
    ):
        error = assert_error(httpx.post(url + path, json=field), 400, name if path == "/" else "messages")
        assert error["code"] == "unknown_field"
        assert len(str(error["message"])) < 400


def test_a_prompt_longer_than_the_window(url: str) -> None:
    error = assert_error(httpx.post(url, json={"prefix": "x" * 2000}), 400, "prefix", "exceed_context_size_error")
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (2001, 1024)


def test_more_samples_than_fit_in_memory(url: str) -> None:
    assert_error(httpx.get(f"{url}/?nsamples=100&length=1000"), 400, "nsamples")


def test_everything_still_works_afterwards(url: str) -> None:
    assert httpx.get(url).status_code == 200


def test_a_request_with_several_mistakes_is_told_the_first_in_order(url: str) -> None:
    """The shape of fields comes first, then contradictions, then the model, then the limits that only the model can tell."""
    request: dict[str, object] = {
        "n": 0,
        "stream_options": {"include_usage": True},
        "model": "gpt-5",
        "max_tokens": 9999,
        "prompt": [9999],
    }
    refused = []
    for repaired in ({}, {"n": 1}, {"stream_options": None}, {"model": None}, {"max_tokens": 1}, {"prompt": "Why"}):
        request |= repaired
        reply = httpx.post(f"{url}/v1/completions", json=request)
        refused.append((reply.status_code, reply.json().get("error", {}).get("param")))
    assert refused == [
        (400, "n"),
        (400, "stream_options"),
        (404, "model"),
        (400, "max_tokens"),
        (400, "prompt"),
        (200, None),
    ]
