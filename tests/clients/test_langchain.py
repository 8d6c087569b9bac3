"""LangChain, with OpenAI's API and with Ollama's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAI

from app.engine.fake import SCRIPT

CHATS: dict[str, Callable[[str], Any]] = {
    "openai": lambda url: ChatOpenAI(
        base_url=f"{url}/v1", api_key="none", model="fake", temperature=0, max_completion_tokens=9
    ),
    "responses": lambda url: ChatOpenAI(
        base_url=f"{url}/v1", api_key="none", model="fake", temperature=0, max_completion_tokens=9, use_responses_api=True
    ),
    "ollama": lambda url: ChatOllama(
        base_url=url, model="fake", temperature=0, num_predict=9, seed=1, num_ctx=2048, validate_model_on_init=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_chat(url: str, name: str) -> None:
    chat = CHATS[name](url)
    first = chat.invoke([("system", "Be kind."), ("human", "Hello!")])
    assert first.text == SCRIPT[:9]
    assert chat.invoke([("human", "Hello!"), first, ("human", "And?")]).text == SCRIPT[:9]
    assert "".join(chunk.text for chunk in chat.stream("Hello!")) == SCRIPT[:9]


def test_texts(url: str) -> None:
    openai = OpenAI(base_url=f"{url}/v1", api_key="none", model="fake", temperature=0, max_tokens=9)
    ollama = OllamaLLM(base_url=url, model="fake", temperature=0, num_predict=9)
    for texts in (openai, ollama):
        assert texts.invoke("Why") == "".join(texts.stream("Why")) == SCRIPT[:9]
