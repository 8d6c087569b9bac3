"""OpenAI's official client works when only its base URL is changed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.conftest import serving

HELLO: Any = [{"role": "user", "content": "Hello!"}]


def client(address: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", **dict[str, Any](api_key="none", max_retries=0) | options)


@pytest.fixture(scope="module")
def api() -> Iterator[openai.OpenAI]:
    with serving(FakeEngine(doubt=0.3), FakeEngine(name="qa", template="qa")) as address, client(address) as found:
        yield found


def test_completions(api: openai.OpenAI) -> None:
    reply = api.completions.create(model="fake", prompt="Why", temperature=0)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == (SCRIPT[:16], "length")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 20


def test_completions_with_every_field_of_the_client(api: openai.OpenAI) -> None:
    reply = api.completions.create(
        model="fake", prompt=["Why", "Who"], best_of=4, n=2, echo=True, frequency_penalty=0.1, presence_penalty=0.1,
        logit_bias={"33": 1}, logprobs=5, max_tokens=20, seed=-5, stop=["x", "y"], temperature=1.5, top_p=0.9, user="somebody",
        extra_body={"top_k": 50, "min_p": 0.01, "typical_p": 0.95, "repetition_penalty": 1.1, "min_tokens": 2},
    )  # fmt: skip
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert all(choice.text.startswith(("Why", "Who")) for choice in reply.choices)
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert "".join(logprobs.tokens[:3]) == "Why"


def test_a_streamed_completion_is_the_whole_one(api: openai.OpenAI) -> None:
    same: Any = {"model": "fake", "prompt": "Why", "seed": 6, "max_tokens": 50}
    whole = api.completions.create(**same)
    parts = [*api.completions.create(**same, stream=True, stream_options={"include_usage": True})]
    assert "".join(part.choices[0].text for part in parts if part.choices) == whole.choices[0].text
    assert parts[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert parts[-1].usage == whole.usage
    assert len({part.id for part in parts}) == 1


@pytest.mark.parametrize("model", ["fake", "qa"])
def test_chat(api: openai.OpenAI, model: str) -> None:
    reply = api.chat.completions.create(model=model, messages=HELLO, temperature=0, max_completion_tokens=9)
    assert (reply.model, reply.choices[0].message.role) == (model, "assistant")
    assert reply.choices[0].message.content == SCRIPT[:9]


def test_a_streamed_chat_is_the_whole_one(api: openai.OpenAI) -> None:
    # The limit is high, because the client's helper raises an error for a reply that was cut short.
    same: Any = {"model": "fake", "messages": HELLO, "seed": 6, "max_tokens": 1000, "n": 2, "stop": ["dog", "fox"]}
    whole = api.chat.completions.create(**same)
    with api.chat.completions.stream(**same, stream_options={"include_usage": True}) as stream:
        found = stream.get_final_completion()
    assert [choice.message.content for choice in found.choices] == [choice.message.content for choice in whole.choices]
    assert [choice.finish_reason for choice in found.choices] == [choice.finish_reason for choice in whole.choices]
    assert found.usage == whole.usage


def test_chat_logprobs(api: openai.OpenAI) -> None:
    reply = api.chat.completions.create(
        model="fake", messages=HELLO, temperature=0, max_tokens=5, logprobs=True, top_logprobs=2
    )
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == reply.choices[0].message.content
    assert all(len(token.top_logprobs) == 2 for token in logprobs.content)


def test_replies_can_be_sent_back_as_messages(api: openai.OpenAI) -> None:
    """The messages that the client returns may be sent back as they are."""
    first = api.chat.completions.create(model="fake", messages=HELLO, max_tokens=9)
    messages = [*HELLO, first.choices[0].message, {"role": "user", "content": "And?"}]
    second = api.chat.completions.create(model="fake", messages=messages, max_tokens=9)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


def test_models(api: openai.OpenAI) -> None:
    assert [model.id for model in api.models.list()] == ["fake", "qa"]
    assert api.models.retrieve("qa").object == "model"


def test_the_client_can_read_the_request_id(api: openai.OpenAI) -> None:
    reply = api.completions.create(model="fake", prompt="Why", extra_headers={"X-Request-Id": "mine-1"})
    assert reply._request_id == "mine-1"


def test_errors_are_the_clients_own(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        api.completions.create(model="gpt-5", prompt="Why")
    assert (missing.value.code, missing.value.param, missing.value.type) == (
        "model_not_found",
        "model",
        "not_found_error",
    )
    with pytest.raises(openai.NotFoundError):
        api.models.retrieve("gpt-5")
    with pytest.raises(openai.BadRequestError) as suffix:
        api.completions.create(model="fake", prompt="Why", suffix="!")
    assert (suffix.value.param, suffix.value.type) == ("suffix", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as long:
        api.completions.create(model="fake", prompt="x" * 2000)
    assert (long.value.code, long.value.type) == ("context_length_exceeded", "exceed_context_size_error")
    assert long.value.body == {
        "message": "prompt is 2001 tokens long and the model's window holds 1024: shorten it.",
        "type": "exceed_context_size_error",
        "param": "prompt",
        "code": "context_length_exceeded",
        "n_prompt_tokens": 2001,
        "n_ctx": 1024,
    }
    with pytest.raises(openai.BadRequestError, match="tools"):
        api.chat.completions.create(
            model="fake", messages=HELLO, tools=[{"type": "function", "function": {"name": "f"}}]
        )


def test_keys() -> None:
    with serving(FakeEngine(), api_keys="first,Second") as address:
        with client(address, api_key="Second") as api:
            assert api.completions.create(model="fake", prompt="Why").choices
        for wrong in ("second", "third", "Second,", "first,Second"):
            with client(address, api_key=wrong) as api, pytest.raises(openai.AuthenticationError) as refused:
                api.completions.create(model="fake", prompt="Why")
            assert (refused.value.code, refused.value.type) == ("invalid_api_key", "authentication_error")


def test_a_rate_limited_client_is_told_when_to_try_again() -> None:
    """The client reads Retry-After and, if it is told to, tries again after that time."""
    with serving(FakeEngine(), api_keys="a", rate_limit=30) as address, client(address, api_key="a") as api:
        api.completions.create(model="fake", prompt="Why", max_tokens=1)
        with httpx.Client(base_url=address, headers={"X-Api-Key": "a", "Connection": "close"}) as others:
            assert [others.get("/?length=1").status_code for _ in range(40)][:29] == [200] * 29
        with pytest.raises(openai.RateLimitError) as refused:
            api.completions.create(model="fake", prompt="Why", max_tokens=1)
        assert refused.value.response.headers["retry-after"] in ("1", "2")
        assert refused.value.code == "rate_limit_exceeded"
        patient = api.with_options(max_retries=5)
        assert patient.completions.create(model="fake", prompt="Why", max_tokens=1).choices


def test_a_full_queue_is_tried_again() -> None:
    """The reply is 503 with Retry-After until there is room in the queue."""
    with serving(FakeEngine(seconds_per_token=0.02), queue_limit=0) as address, client(address) as api:
        long = threading.Thread(target=httpx.get, args=(f"{address}/?length=50",))
        long.start()
        while "num_requests_running 1.0" not in httpx.get(f"{address}/metrics").text:
            time.sleep(0.01)
        with pytest.raises(openai.InternalServerError) as refused:
            api.completions.create(model="fake", prompt="Why")
        assert (refused.value.status_code, refused.value.type) == (503, "unavailable_error")
        assert int(refused.value.response.headers["retry-after"]) >= 1
        patient = api.with_options(max_retries=5)
        assert patient.completions.create(model="fake", prompt="Why", max_tokens=1).choices
        long.join()


@pytest.mark.parametrize("route", ["completions", "chat"])
def test_a_client_that_leaves_in_the_middle_of_a_stream_frees_the_engine(route: str) -> None:
    """Otherwise the next client would wait a hundred seconds."""
    with serving(FakeEngine(seconds_per_token=0.05)) as address, client(address, timeout=30) as api:
        if route == "chat":
            stream: Any = api.chat.completions.create(model="fake", messages=HELLO, max_tokens=2000, stream=True)
        else:
            stream = api.completions.create(model="fake", prompt="Why", max_tokens=2000, stream=True)
        next(iter(stream))
        stream.close()
        assert api.completions.create(model="fake", prompt="Why", max_tokens=1).choices
        assert 'request_success_total{finished_reason="abort"} 1.0' in httpx.get(f"{address}/metrics").text


def test_a_stream_that_breaks_is_an_error() -> None:
    with serving(BreakingEngine()) as address, client(address) as api, pytest.raises(openai.APIError) as broken:
        list(api.completions.create(model="fake", prompt="Why", stream=True))
    assert json.dumps(broken.value.body).count("internal_error") == 1
