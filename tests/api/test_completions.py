"""`/v1/completions`, over plain HTTP: every field does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from app.engine.onnx import OnnxEngine
from tests.conftest import events, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.3)) as address:
        yield f"{address}/v1/completions"


@pytest.fixture(scope="module")
def real(exact: OnnxEngine) -> Iterator[str]:
    with serving(exact) as address:
        yield f"{address}/v1/completions"


def ask(url: str, **fields: Any) -> dict[str, Any]:
    reply = httpx.post(url, json={"temperature": 0} | fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def texts(reply: dict[str, Any]) -> list[str]:
    assert [choice["index"] for choice in reply["choices"]] == [*range(len(reply["choices"]))]
    return [choice["text"] for choice in reply["choices"]]


def test_the_defaults(url: str) -> None:
    reply = ask(url, prompt="Why")
    assert reply.pop("id").startswith("cmpl-")
    assert isinstance(reply.pop("created"), int)
    assert reply == {
        "object": "text_completion",
        "model": "fake",
        "choices": [{"text": SCRIPT[:16], "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 16, "total_tokens": 20},
    }


def test_a_field_that_is_null_counts_as_left_out(url: str) -> None:
    """Many clients send all the fields they know."""
    fields = [
        "best_of",
        "logit_bias",
        "logprobs",
        "max_tokens",
        "n",
        "presence_penalty",
        "seed",
        "stop",
        "stream",
        "suffix",
    ]
    assert texts(ask(url, prompt="Why", **dict.fromkeys(fields))) == [SCRIPT[:16]]


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("Why", 1), ([256, 87, 104, 121], 1), (["Why", "Who"], 2), ([[256, 87], [256, 87, 104, 121]], 2), ([""], 1)],
)
def test_a_prompt_is_a_text_or_its_tokens_or_several(url: str, prompt: object, count: int) -> None:
    assert texts(ask(url, prompt=prompt, max_tokens=9)) == [SCRIPT[:9]] * count


def test_each_of_several_prompts_gets_what_it_gets_alone(real: str) -> None:
    prompts = ["Why did the duck", "Yes", "cross the road?"]
    same = {"n": 2, "seed": 7, "temperature": 1, "max_tokens": 12}
    alone = [text for prompt in prompts for text in texts(ask(real, prompt=prompt, **same))]
    together = ask(real, prompt=prompts, **same)
    assert texts(together) == alone
    assert len(set(alone)) == 6
    assert together["usage"]["completion_tokens"] <= 6 * 12


def test_a_text_is_the_same_as_its_tokens(real: str) -> None:
    tokens = httpx.post(real.replace("v1/completions", "tokenize"), json={"prompt": "Why did"}).json()["tokens"]
    same = {"seed": 3, "temperature": 1}
    assert texts(ask(real, prompt=tokens, **same)) == texts(ask(real, prompt="Why did", **same))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"echo": True},
        {"logprobs": 2, "echo": True},
        {"stop": ["e", "\n"]},
        {"prompt": ["a", "Why"], "max_tokens": 9},
    ],
)
def test_a_stream_joined_is_the_reply(real: str, fields: dict[str, Any], n: int) -> None:
    same = {"prompt": "Why did the duck", "seed": 5, "temperature": 1, "max_tokens": 40, "n": n} | fields
    whole = ask(real, **same)
    *chunks, done = events(httpx.post(real, json=same | {"stream": True}).text)
    assert done == "[DONE]"
    joined: dict[int, dict[str, Any]] = {}
    for chunk in map(json.loads, chunks):
        assert "usage" not in chunk
        (choice,) = chunk["choices"]
        so_far = joined.setdefault(choice["index"], {"text": "", "logprobs": None, "finish_reason": None})
        so_far["text"] += choice["text"]
        so_far["finish_reason"] = choice["finish_reason"]
        for name, values in (choice["logprobs"] or {}).items():
            so_far["logprobs"] = so_far["logprobs"] or {}
            so_far["logprobs"][name] = so_far["logprobs"].get(name, []) + values
    assert [{"index": index} | joined[index] for index in sorted(joined)] == [
        {"index": choice["index"]} | choice for choice in whole["choices"]
    ]


def test_the_usage_of_a_stream(url: str) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last, done = events(httpx.post(url, json={"prompt": "Why", "n": 2, "temperature": 0} | options).text)
    assert done == "[DONE]"
    assert all(json.loads(chunk)["usage"] is None for chunk in chunks)
    assert json.loads(last)["choices"] == []
    assert json.loads(last)["usage"] == {"prompt_tokens": 4, "completion_tokens": 32, "total_tokens": 36}


def test_echo_with_logprobs_scores_the_prompt(real: str) -> None:
    """Without new tokens. Programs that compare how likely texts are ask for this."""
    (choice,) = ask(real, prompt="Why did the duck", echo=True, logprobs=1, max_tokens=0)["choices"]
    logprobs = choice["logprobs"]
    assert choice["text"] == "".join(logprobs["tokens"]) == "Why did the duck"
    assert (logprobs["token_logprobs"][0], logprobs["top_logprobs"][0]) == (None, None)
    assert all(value < 0 for value in logprobs["token_logprobs"][1:])
    begun = zip(logprobs["text_offset"], logprobs["tokens"], strict=True)
    assert all(choice["text"][offset:].startswith(token) for offset, token in begun)
    more = ask(real, prompt="Why did the duck", echo=True, logprobs=1, max_tokens=4)["choices"][0]["logprobs"]
    assert {name: values[:-4] for name, values in more.items()} == logprobs


def test_the_top_logprobs_have_the_token_itself_too(url: str) -> None:
    for top in (0, 1, 5):
        choice = ask(url, prompt="Why", logprobs=top, temperature=2, seed=11, max_tokens=20)["choices"][0]
        for token, logprob, likeliest in zip(
            choice["logprobs"]["tokens"],
            choice["logprobs"]["token_logprobs"],
            choice["logprobs"]["top_logprobs"],
            strict=True,
        ):
            assert likeliest[token] == logprob
            assert top <= len(likeliest) <= top + 1 or top == 0


def test_the_best_are_the_likeliest(real: str) -> None:
    same = {"prompt": "Why", "seed": 2, "temperature": 1.5, "max_tokens": 10, "logprobs": 0}

    def mean(choice: dict[str, Any]) -> float:
        values = choice["logprobs"]["token_logprobs"]
        return float(sum(values)) / len(values)

    every = ask(real, n=8, **same)
    best = ask(real, n=2, best_of=8, **same)
    expected = sorted(every["choices"], key=mean, reverse=True)[:2]
    assert texts(best) == [choice["text"] for choice in expected]
    assert best["usage"]["completion_tokens"] == every["usage"]["completion_tokens"]
    assert ask(real, n=2, best_of=8, **same | {"logprobs": None})["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stop": "quick"}, "The "),
        ({"stop": "quick", "include_stop_str_in_output": True}, "The quick"),
        ({"stop_token_ids": [ord("k")]}, "The quic"),
        ({"logit_bias": {"33": 100}}, "!" * 16),
        ({"min_tokens": 6, "stop": ["q", "k"]}, "The quic"),
        ({"echo": True, "max_tokens": 3}, "WhyThe"),
        ({"echo": True, "max_tokens": 0}, "Why"),
        ({"echo": True, "max_tokens": 3, "truncate_prompt_tokens": 2}, "hyThe"),
        ({"max_tokens": 2, "top_k": -1, "user": "somebody"}, "Th"),
    ],
)
def test_a_field_does_what_it_says(url: str, fields: dict[str, Any], text: str) -> None:
    assert texts(ask(url, prompt="Why", **fields)) == [text]


def test_ignoring_the_end(real: str, exact: OnnxEngine) -> None:
    end = str(exact.tokenizer.end_of_text)
    assert texts(ask(real, prompt="Why", logit_bias={end: 100})) == [""]
    reply = ask(real, prompt="Why", logit_bias={end: 100}, ignore_eos=True)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 16


def test_typical_p_and_the_others_change_what_is_drawn(real: str) -> None:
    same = {"prompt": "Why", "seed": 1, "temperature": 1, "max_tokens": 30}
    plain = texts(ask(real, **same))
    for field in ({"typical_p": 0.2}, {"top_k": 2}, {"min_p": 0.5}, {"top_p": 0.2}, {"repetition_penalty": 5}):
        assert texts(ask(real, **same, **field)) != plain
    assert texts(ask(real, **same, typical_p=1, top_k=-1, min_p=0, top_p=1)) == plain


def test_times_and_token_counts_are_in_the_headers(url: str) -> None:
    reply = httpx.post(url, json={"prompt": "Why", "max_tokens": 5, "temperature": 0})
    assert (reply.headers["x-prompt-tokens"], reply.headers["x-generated-tokens"]) == ("4", "5")
    assert int(reply.headers["x-total-time"]) >= int(reply.headers["x-queue-time"]) >= 0
    stream = httpx.post(url, json={"prompt": "Why", "stream": True})
    assert stream.headers["x-prompt-tokens"] == "4"
    assert "x-generated-tokens" not in stream.headers


def test_a_text_cut_by_the_deadline_has_the_finish_reason_length() -> None:
    with serving(FakeEngine(seconds_per_token=0.05), request_timeout=0.3) as address:
        reply = ask(f"{address}/v1/completions", prompt="Why", max_tokens=500)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] < 30
