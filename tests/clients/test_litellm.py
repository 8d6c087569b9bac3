"""litellm, under each of the names by which it can reach this server."""

from __future__ import annotations

from typing import Any

import litellm
import pytest

from app.engine.fake import SCRIPT

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("openai/fake", "/v1"), ("hosted_vllm/fake", "/v1"), ("ollama/fake", ""), ("ollama_chat/fake", ""),
        ("huggingface/tgi", ""),
    ],
)  # fmt: skip
def test_chat(url: str, model: str, path: str) -> None:
    same: Any = {"model": model, "messages": HELLO, "api_base": url + path, "api_key": "none"}
    same |= {"temperature": 0, "max_tokens": 9}
    assert litellm.completion(**same).choices[0].message.content == SCRIPT[:9]
    streamed = litellm.completion(**same, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == SCRIPT[:9]


def test_texts_and_responses(url: str) -> None:
    same: Any = {"api_base": f"{url}/v1", "api_key": "none", "temperature": 0}
    text = litellm.text_completion(model="text-completion-openai/fake", prompt="Why", max_tokens=9, **same)
    assert text.choices[0].text == SCRIPT[:9]
    response = litellm.responses(model="openai/fake", input="Why", max_output_tokens=20, **same)
    assert response.output[0].content[0].text == SCRIPT[:20]


def test_refusals_are_errors_of_the_request(url: str) -> None:
    with pytest.raises(litellm.BadRequestError, match="this is not supported"):
        litellm.completion("ollama_chat/fake", messages=HELLO, api_base=url, response_format={"type": "json_object"})
