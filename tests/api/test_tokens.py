"""`/tokenize` and `/detokenize`: a round trip, and the same token counts as a generation."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(template="qa")) as address:
        yield address


@pytest.mark.parametrize("text", ["Why", "", "日本語 👍🏽", "9" * 30, "9" * 5000, "<|endoftext|>"])
def test_there_and_back(url: str, text: str) -> None:
    reply = httpx.post(f"{url}/tokenize", json={"prompt": text, "add_special_tokens": False}).json()
    assert reply == {"count": len(text.encode()), "max_model_len": 1024, "tokens": [*text.encode()], "token_strs": None}
    assert httpx.post(f"{url}/detokenize", json={"tokens": reply["tokens"]}).json() == {"prompt": text}


def test_tokens_as_texts_and_the_one_that_documents_begin_with(url: str) -> None:
    reply = httpx.post(f"{url}/tokenize", json={"prompt": "Hé", "return_token_strs": True}).json()
    assert reply["tokens"] == [256, 72, 195, 169]
    assert reply["token_strs"] == ["<|endoftext|>", "H", "bytes:\\xc3", "bytes:\\xa9"]


def test_where_each_token_begins(url: str) -> None:
    """Half a character begins where the whole one does, and characters are counted as Python does."""
    reply = httpx.post(f"{url}/tokenize", json={"prompt": "aé👍b", "return_text_offsets": True}).json()
    assert reply["text_offsets"] == [0, 0, 1, 1, 2, 2, 2, 2, 3]
    assert len(reply["tokens"]) == 9


def test_a_conversation_has_as_many_as_its_reply_will_count(url: str) -> None:
    messages = [{"role": "user", "content": "Why?"}]
    count = httpx.post(f"{url}/tokenize", json={"messages": messages}).json()["count"]
    usage = httpx.post(f"{url}/v1/chat/completions", json={"messages": messages, "max_tokens": 1}).json()["usage"]
    assert count == usage["prompt_tokens"]


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("tokenize", {}, "prompt"),
        ("tokenize", {"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt"),
        ("tokenize", {"messages": [{"role": "user", "content": "a"}], "add_special_tokens": False}, "add_special_tokens"),
        ("tokenize", {"prompt": "a", "text": "a"}, "text"),
        ("tokenize", {"messages": [{"role": "user", "content": "a"}], "return_text_offsets": True}, "return_text_offsets"),
        ("detokenize", {}, "tokens"),
        ("detokenize", {"tokens": [300]}, "tokens"),
        ("detokenize", {"tokens": [-1]}, "tokens"),
        ("detokenize", {"tokens": "a"}, "tokens"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_400(url: str, path: str, fields: dict[str, object], param: str) -> None:
    reply = httpx.post(f"{url}/{path}", json=fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
