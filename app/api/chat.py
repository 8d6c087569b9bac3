"""`/v1/chat/completions`: turns in, the model's next turn out, as OpenAI's chat has it.

How turns are put to the model is its template's affair (app.engine.prompts).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from app.api.body import read_object
from app.api.error_responses import naming_fields
from app.api.logprobs import in_chat
from app.api.openai import (
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatLogprobs,
    ChatRequest,
    ChunkChoice,
    Delta,
    Message,
    Reply,
    Usage,
    finish,
    invalid,
)
from app.api.schemas import validate
from app.api.state import State
from app.api.writing import Text, Writing, event, events
from app.engine.base import Engine
from app.engine.generation import GenerationOptions, TextDelta, TokenScore, check
from app.engine.prompts import all_turn_tokens, fitting_turn_tokens, turn_stops

EXAMPLE = '{"messages": [{"role": "user", "content": "Hello!"}]}'


async def chat(request: Request[State]) -> Response:
    asked = validate(await read_object(request, EXAMPLE), ChatRequest, nullable=True)
    job = await asyncio.to_thread(understand, asked, request.state)
    writing = Writing(request, job.engine, [job.prompt], job.options)
    if asked.stream:
        return await writing.stream(job.chunk, lambda: job.last_chunk(writing.tokens), job.first_chunk())
    return await writing.whole(lambda: job.reply(writing.texts, writing.tokens))


@dataclass
class Job:
    """A request that has been understood."""

    asked: ChatRequest
    engine: Engine
    prompt: list[int]
    options: GenerationOptions
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def reply(self, texts: Sequence[Text], tokens: int) -> ChatCompletion:
        choices = [
            ChatChoice(
                index=index,
                message=Reply(text.text),
                logprobs=self.logprobs(text.written),
                finish_reason=finish(text.finish_reason) or "stop",
            )
            for index, text in enumerate(texts)
        ]
        usage = Usage.of(len(self.prompt), tokens)
        return ChatCompletion(id=self.id, created=self.created, model=self.engine.name, choices=choices, usage=usage)

    def first_chunk(self) -> bytes:
        """Who is speaking."""
        delta = Delta(role="assistant", content="")
        return events(self.chunk_of([ChunkChoice(index=index, delta=delta)]) for index in range(self.options.samples))

    def chunk(self, piece: TextDelta) -> bytes:
        if not (piece.text or piece.scored or piece.finish_reason):
            return b""
        choice = ChunkChoice(
            index=piece.index,
            delta=Delta(content=piece.text) if piece.text or piece.scored else Delta(),
            logprobs=self.logprobs(piece.scored) if piece.scored else None,
            finish_reason=finish(piece.finish_reason),
        )
        return event(self.chunk_of([choice]))

    def last_chunk(self, tokens: int) -> bytes:
        if not self.asked.usage_wanted:
            return b""
        return event(self.chunk_of([], Usage.of(len(self.prompt), tokens)))

    def chunk_of(self, choices: list[ChunkChoice], usage: Usage | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            id=self.id,
            created=self.created,
            model=self.engine.name,
            choices=choices,
            usage=usage if self.asked.usage_wanted else UNSET,
        )

    def logprobs(self, scored: Sequence[TokenScore]) -> ChatLogprobs | None:
        return in_chat(self.engine.tokenizer, scored) if self.asked.logprobs else None


def understand(asked: ChatRequest, state: State) -> Job:
    if asked.max_tokens is not None and asked.max_completion_tokens is not None:
        raise invalid("max_tokens", "max_tokens is the old name of max_completion_tokens: give one of them.")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise invalid("top_logprobs", "top_logprobs needs logprobs: set that to true, or leave this out.")
    engine = state["models"].get(asked.model)
    name = "max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens"
    wanted: int | None = getattr(asked, name)
    longest = state["settings"].max_length
    with naming_fields(prompt="messages", samples="n"):
        prompt = read_messages(asked, engine, wanted or engine.n_ctx)
    length = wanted or max(1, min(longest, engine.n_ctx - len(prompt)))
    asked.check(engine, length, longest, name)
    logprobs = (asked.top_logprobs or 0) if asked.logprobs else None
    asked.check_logprobs(asked.n * length, logprobs)
    options = asked.options(
        length,
        asked.n,
        marks=turn_stops(engine.template),
        # What separates the turns is not part of them.
        strip=" \n",
        # Most of a conversation has been read at its last turn; but a seed promises the same text to the last digit.
        reuse=asked.seed is None,
        logprobs=logprobs,
    )
    with naming_fields(prompt="messages", samples="n"):
        check(engine, prompt, options)
    return Job(asked, engine, prompt, options)


def read_messages(asked: ChatRequest, engine: Engine, room: int) -> list[int]:
    turns = turns_of(asked.messages)
    if asked.truncate_prompt_tokens is not None:
        return asked.last_tokens(all_turn_tokens(engine, turns), engine.n_ctx)
    return fitting_turn_tokens(engine, turns, room)


def turns_of(messages: Sequence[Message]) -> list[str]:
    """What was said in turns. Raises InvalidRequest unless the last to speak was the user.

    The models know two voices. What the system says is therefore said by the user, before the rest; and who speaks several
    times in a row says it in one turn.
    """
    if messages[-1].role != "user":
        raise invalid("messages", "the last of messages is not the user's: end with a message of the role user.")
    spoken = groupby(messages, key=lambda message: message.role == "assistant")
    return ["\n".join(message.text for message in several) for _, several in spoken]
