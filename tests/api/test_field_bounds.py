"""Each field of `/v1` means at its bounds what it means to OpenAI, vLLM and llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.fake import SCRIPT, FakeEngine
from tests.conftest import events, serving

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
SMALLEST = 5e-324
ASKED: dict[str, dict[str, Any]] = {
    COMPLETIONS: {"prompt": "Why", "max_tokens": 12},
    CHAT: {"messages": [{"role": "user", "content": "Why"}], "max_tokens": 12},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A model that is so doubtful that two random texts are never the same."""
    with serving(FakeEngine(doubt=0.9)) as address:
        yield address


def text(url: str, path: str, **fields: Any) -> str:
    reply = httpx.post(url + path, json=ASKED[path] | fields)
    assert reply.status_code == 200, reply.text
    (choice,) = reply.json()["choices"]
    found: str = choice["text"] if path == COMPLETIONS else choice["message"]["content"]
    return found


def streamed(url: str, path: str, **fields: Any) -> str:
    *chunks, done = events(httpx.post(url + path, json=ASKED[path] | fields | {"stream": True}).text)
    assert done == "[DONE]"
    choices = [choice for chunk in map(json.loads, chunks) for choice in chunk["choices"]]
    return "".join(choice["text"] if path == COMPLETIONS else choice["delta"].get("content", "") for choice in choices)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0}, {"temperature": 1e-9}, {"temperature": SMALLEST}, {"top_p": 0}, {"top_p": 0, "temperature": 2},
        {"top_p": SMALLEST}, {"min_p": 1}, {"top_k": 1}, {"top_p": 0, "top_k": -1, "min_p": 0, "typical_p": 1},
    ],
)  # fmt: skip
def test_what_leaves_only_the_likeliest_token_is_greedy(url: str, path: str, fields: dict[str, Any]) -> None:
    """A top_p of 0 once was top_p switched off."""
    assert text(url, path, **fields) == SCRIPT[:12]


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 0}, {"top_k": -1}, {"top_k": 2**31 - 1}, {"top_p": 1}, {"min_p": 0}, {"typical_p": 1}, {"logit_bias": {}},
        {"presence_penalty": 0}, {"frequency_penalty": -0.0}, {"repetition_penalty": 1}, {"stop": []}, {"stop": ""},
        {"stop": ["", ""]}, {"stop_token_ids": []},
        {"min_tokens": 0}, {"n": 1}, {"temperature": 1}, {"seed": 5},
    ],
)  # fmt: skip
def test_what_switches_a_field_off_changes_nothing(url: str, path: str, fields: dict[str, Any]) -> None:
    assert text(url, path, **{"seed": 5} | fields) == text(url, path, seed=5)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_seed_is_any_number_of_64_bits_and_minus_one_is_a_random_one(url: str, path: str) -> None:
    texts = []
    for seed in (0, 1, -2, -(2**63), 2**63 - 1):
        texts += [text(url, path, seed=seed)]
        assert text(url, path, seed=seed) == texts[-1]
    texts += [text(url, path, seed=seed) for seed in (-1, -1, None)]
    assert len({*texts}) == len(texts)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_bias_of_100_selects_a_token_and_one_of_minus_100_bans_it(url: str, path: str) -> None:
    assert text(url, path, logit_bias={"33": 100}, temperature=2) == "!" * 12
    assert "T" not in text(url, path, logit_bias={str(ord("T")): -100}, temperature=0)


def test_no_new_tokens_are_an_empty_text_or_the_prompt(url: str) -> None:
    for fields, expected in (
        ({}, ""),
        ({"echo": True}, "Why"),
        ({"echo": True, "logprobs": 0}, "Why"),
        ({"best_of": 2}, ""),
    ):
        assert text(url, COMPLETIONS, max_tokens=0, **fields) == expected
        if "best_of" not in fields:
            assert streamed(url, COMPLETIONS, max_tokens=0, **fields) == expected


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_minus_one_new_tokens_are_as_many_as_fit(name: str) -> None:
    """LM Studio's examples send it, and llama.cpp takes it. It was refused."""
    with serving(FakeEngine(n_ctx=40), max_length=30) as small:
        for said, length in (("x" * 20, 19), ("x", 30)):
            asked = {"messages": [{"role": "user", "content": said}], name: -1, "min_tokens": length}
            assert httpx.post(small + CHAT, json=asked).json()["usage"]["completion_tokens"] == length


def test_empty_stop_strings_beside_others_end_nothing(url: str) -> None:
    for path in (COMPLETIONS, CHAT):
        assert text(url, path, stop=["", "qu"], temperature=0) == "The "


def test_no_likeliest_tokens_may_be_asked_for_with_and_without_logprobs(url: str) -> None:
    assert text(url, CHAT, top_logprobs=0, seed=5) == text(url, CHAT, top_logprobs=0, logprobs=True, seed=5)


BOUNDS = st.fixed_dictionaries(
    {"seed": st.sampled_from([0, -2, 2**63 - 1])},
    optional={
        "temperature": st.sampled_from([0, SMALLEST, 1e-9, 1, 2]),
        "top_p": st.sampled_from([0, SMALLEST, 0.5, 1]),
        "top_k": st.sampled_from([-1, 0, 1, 2, 10**6]),
        "min_p": st.sampled_from([0, SMALLEST, 0.5, 1]),
        "typical_p": st.sampled_from([SMALLEST, 0.5, 1]),
        "presence_penalty": st.sampled_from([-2, 0, 2]),
        "frequency_penalty": st.sampled_from([-2, 0, 2]),
        "repetition_penalty": st.sampled_from([SMALLEST, 1e-50, 1, 100]),
        "logit_bias": st.sampled_from([{}, {"33": 100}, {"33": -100}, {str(token): -100 for token in range(257)}]),
        "stop": st.sampled_from([[], "e", ["a", "b", "c", "d"]]),
        "min_tokens": st.sampled_from([0, 12]),
    },
)


@given(fields=BOUNDS, path=st.sampled_from([COMPLETIONS, CHAT]))
def test_bounds_combine_and_a_stream_has_the_same_text(url: str, fields: dict[str, Any], path: str) -> None:
    """A repetition_penalty near zero once divided by zero."""
    assert text(url, path, **fields) == streamed(url, path, **fields)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_the_finish_reason_comes_after_the_last_text(url: str, path: str) -> None:
    for fields in ({}, {"n": 3}, {"logprobs": True if path == CHAT else 2}):
        *chunks, _ = events(httpx.post(url + path, json=ASKED[path] | fields | {"stream": True}).text)
        finished = [
            choice for chunk in map(json.loads, chunks) for choice in chunk["choices"] if choice["finish_reason"]
        ]
        assert len(finished) == fields.get("n", 1)
        for choice in finished:
            assert choice["logprobs"] is None
            assert not choice["text"] if path == COMPLETIONS else choice["delta"] == {}
