"""OpenAI's client: chat, completions, responses. tests/api/test_openai_client.py has more of the first two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from app.engine.fake import SCRIPT

HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_chat_and_completions(api: openai.OpenAI) -> None:
    chat = api.chat.completions.create(model="fake", messages=HELLO, temperature=0, max_completion_tokens=9)
    assert chat.choices[0].message.content == SCRIPT[:9]
    completion = api.completions.create(model="fake", prompt="Why", temperature=0, max_tokens=9)
    assert completion.choices[0].text == SCRIPT[:9]


def test_a_response_and_the_next_turn(api: openai.OpenAI) -> None:
    first = api.responses.create(model="starter", instructions="Be kind.", input=HELLO)
    assert first.output_text
    assert first.status == "completed"
    assert first.usage is not None
    following: Any = [*HELLO, *first.output, {"role": "user", "content": [{"type": "input_text", "text": "And?"}]}]
    second = api.responses.create(model="starter", input=following, max_output_tokens=5)
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.output_tokens


def test_a_streamed_response_is_the_whole_one(api: openai.OpenAI) -> None:
    same: Any = {"model": "fake", "input": "Why", "temperature": 0, "max_output_tokens": 20}
    whole = api.responses.create(**same)
    deltas = [event.delta for event in api.responses.create(**same, stream=True) if event.type.endswith("text.delta")]
    assert "".join(deltas) == whole.output_text == SCRIPT[:20]
    with api.responses.stream(model="starter", input="Hello!") as stream:
        assert stream.get_final_response().output_text


def test_what_is_not_stored_cannot_be_asked_for(api: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="nothing is stored here"):
        api.responses.create(model="fake", input="x", previous_response_id="resp_1")
    for ask in (api.responses.retrieve, api.responses.delete):
        with pytest.raises(openai.NotFoundError):
            ask("resp_1")
