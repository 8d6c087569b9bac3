"""Whatever is sent: the answer is a text or an error object that names a field of the request, and no field is ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.generate_request import GenerateRequest
from app.api.openai_requests import ChatRequest, CompletionRequest
from app.engine.fake import FakeEngine
from tests.api.test_compatibility import CHAT_HINTS, HINTS
from tests.conftest import serving

COMPLETIONS, CHAT, PLAIN = "/v1/completions", "/v1/chat/completions", "/"
Fields = dict[str, Any]
# One server and one connection for all examples.
api: httpx.Client

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
SMALL = st.integers(-2, 12)
NUMBERS = st.one_of(SMALL, st.floats(-3, 3), st.sampled_from([10**6, 2**31, 2**63, 1e300, 0.5]))
JUNK = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, SMALL, max_size=2)
)
CONTENTS = st.one_of(
    TEXTS,
    st.lists(
        st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}, optional={"cache_control": JUNK}), max_size=3
    ),
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "developer"]), "content": CONTENTS},
    optional={"name": JUNK, "tool_calls": JUNK, "refusal": JUNK, "reasoning_content": JUNK, "mood": st.none()},
)  # fmt: skip
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "temperature": NUMBERS, "top_p": NUMBERS, "top_k": SMALL, "min_p": NUMBERS, "seed": st.integers(),
    "presence_penalty": NUMBERS, "frequency_penalty": NUMBERS, "repetition_penalty": NUMBERS,
    "stop": st.one_of(TEXTS, st.lists(TEXTS, max_size=5)), "model": st.sampled_from(["fake", "gpt-5", None]),
}  # fmt: skip
OPENAI = SHARED | {
    "n": SMALL, "logit_bias": st.dictionaries(st.sampled_from(["5", "80", "x", "999"]), NUMBERS, max_size=2),
    "min_tokens": SMALL, "ignore_eos": st.booleans(), "typical_p": NUMBERS, "stop_token_ids": st.lists(SMALL, max_size=2),
    "stream_options": st.dictionaries(st.sampled_from(["include_usage", "x"]), st.booleans() | st.none(), max_size=2),
    "truncate_prompt_tokens": SMALL, "user": JUNK, "metadata": JUNK, "tools": JUNK, "tool_choice": JUNK,
    "reasoning_effort": JUNK, "response_format": JUNK, "audio": JUNK, "store": JUNK, "mirostat": JUNK, "grammar": JUNK,
}  # fmt: skip
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    COMPLETIONS: OPENAI | {
        "prompt": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.lists(st.integers(-1, 300), max_size=3)),
        "max_tokens": SMALL, "best_of": SMALL, "echo": st.booleans(), "logprobs": SMALL, "suffix": TEXTS,
    },
    CHAT: OPENAI | {"max_tokens": SMALL, "max_completion_tokens": SMALL, "logprobs": st.booleans(), "top_logprobs": SMALL},
    PLAIN: SHARED | {
        "prefix": TEXTS, "length": SMALL, "truncate": TEXTS, "nsamples": SMALL, "include_prefix": st.booleans(),
    },
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def served() -> Iterator[None]:
    global api
    with serving(FakeEngine(doubt=0.3, template="chat"), max_length=200) as url, httpx.Client(base_url=url) as api:
        yield


@st.composite
def requests(draw: st.DrawFn, *paths: str) -> tuple[str, Fields]:
    """A route and what it is asked: a few fields that fit, nearly fit or do not fit."""
    path = draw(st.sampled_from(paths))
    fields: Fields = draw(st.fixed_dictionaries({}, optional=FIELDS[path]))
    few = draw(st.sets(st.sampled_from(sorted(FIELDS[path])), max_size=6))
    asked = {name: value for name, value in fields.items() if name in few}
    asked |= {"seed": draw(st.integers(0, 9))} | ({"length": 4} if path == PLAIN else {"max_tokens": 4}) | asked
    if path == CHAT:
        asked["messages"] = draw(st.lists(MESSAGES, max_size=4))
    return path, asked | draw(st.dictionaries(TEXTS, JUNK, max_size=1))


def post(path: str, fields: Fields) -> httpx.Response:
    return api.post(path, content=json.dumps(fields))


def answer(reply: httpx.Response) -> tuple[int, Any]:
    """What has to be the same for the same request."""
    said = reply.json()
    return reply.status_code, {name: value for name, value in said.items() if name not in ("id", "created")}


def known_names(path: str) -> set[str]:
    schema = {COMPLETIONS: CompletionRequest, CHAT: ChatRequest, PLAIN: GenerateRequest}[path]
    return set(schema.__struct_fields__)


@given(requests(COMPLETIONS, CHAT, PLAIN))
def test_every_answer_is_a_text_or_an_error_that_names_a_field(asked: tuple[str, Fields]) -> None:
    """No error is the server's fault, and nothing that is asked for under an unknown name is dropped."""
    path, fields = asked
    reply = post(path, fields)
    if reply.status_code == 200:
        assert {name for name, value in fields.items() if value is not None} <= known_names(path)
    else:
        error = reply.json()["error"]
        assert reply.status_code in (400, 404), reply.text
        # Half a character is not repeated, and the only field that may be missing is `messages`.
        assert error["param"] in {*fields, None, "messages"}, error
        assert error["param"] is not None or "half a character" in error["message"], error
        assert error["message"].endswith(".")


@given(
    requests(COMPLETIONS, CHAT, PLAIN), st.sets(st.text(max_size=8), max_size=3), st.sampled_from(HINTS + CHAT_HINTS)
)
def test_nulls_hints_and_points_change_nothing(asked: tuple[str, Fields], nulls: set[str], hint: Fields) -> None:
    """What is asked stays the same with fields that are null, with hints, and with 16.0 for 16."""
    path, fields = asked
    bare = without_nulls(fields)
    more: Fields = dict.fromkeys(nulls - set(fields))
    # Several texts or their scores are asked for in two fields, which a hint about one of them could contradict.
    if path == CHAT and not {"n", "best_of", "logprobs", "top_logprobs"} & set(fields):
        more |= {name: value for name, value in hint.items() if name not in fields}
    assert answer(post(path, {name: pointed(value) for name, value in fields.items()} | more)) == answer(
        post(path, bare)
    )


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def pointed(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < 2**50 else value


@given(requests(PLAIN))
def test_a_query_and_a_body_mean_the_same(asked: tuple[str, Fields]) -> None:
    """A query has strings only, and a body may have strings for numbers and booleans."""
    _, fields = asked
    plain = {name: value for name, value in fields.items() if isinstance(value, str | int | float) and spelt(name)}
    strings = {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
    strings = {name: value for name, value in strings.items() if spelt(value)}
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in strings.items())
    whole = answer(post(PLAIN, strings))
    assert answer(api.get(f"/?{query}")) == whole
    if whole[0] == 200:
        assert answer(post(PLAIN, {name: plain[name] for name in strings})) == whole


def spelt(text: str) -> bool:
    """Whether UTF-8 has it, so that a query can."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
