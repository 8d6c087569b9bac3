"""`/v1/completions`: prompts in, texts out, as OpenAI's completions have it."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from app.api.body import read_object
from app.api.error_responses import naming_fields
from app.api.logprobs import in_completion
from app.api.openai import (
    MAX_TEXTS,
    Completion,
    CompletionChoice,
    CompletionLogprobs,
    CompletionRequest,
    Usage,
    finish,
    invalid,
)
from app.api.schemas import validate
from app.api.state import State
from app.api.writing import Text, Writing, event, events
from app.engine.base import Engine, start_tokens
from app.engine.generation import GenerationOptions, TextDelta, TokenScore, check, shown_text

EXAMPLE = '{"prompt": "Why", "max_tokens": 16}'


async def completions(request: Request[State]) -> Response:
    asked = validate(await read_object(request, EXAMPLE), CompletionRequest, nullable=True)
    job = await asyncio.to_thread(understand, asked, request.state)
    writing = Writing(request, job.engine, job.prompts, job.options)
    if asked.stream:
        return await writing.stream(job.chunk, lambda: job.last_chunk(writing.tokens), job.first_chunk())
    return await writing.whole(lambda: job.reply(writing.texts, writing.tokens))


@dataclass
class Job:
    """A request that has been understood. `echoes` are what the texts of each prompt begin with."""

    asked: CompletionRequest
    engine: Engine
    prompts: list[list[int]]
    echoes: list[str]
    options: GenerationOptions
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def prompt_tokens(self) -> int:
        return sum(map(len, self.prompts))

    def reply(self, texts: Sequence[Text], tokens: int) -> Completion:
        choices: list[CompletionChoice] = []
        for number, echo in enumerate(self.echoes):
            first = number * self.options.samples
            for text in best(texts[first : first + self.options.samples], self.asked.n):
                choices.append(self.choice(len(choices), echo + text.text, text))
        return self.completion(choices, Usage.of(self.prompt_tokens, tokens))

    def first_chunk(self) -> bytes:
        """The prompts, before any token of the texts."""
        texts = [echo for echo in self.echoes for _ in range(self.options.samples)]
        choices = [CompletionChoice(text=text, index=index) for index, text in enumerate(texts) if text]
        return events(self.completion([choice], self.usage_before_the_end) for choice in choices)

    def chunk(self, piece: TextDelta) -> bytes:
        if not (piece.text or piece.scored or piece.finish_reason):
            return b""
        choice = CompletionChoice(
            text=piece.text,
            index=piece.index,
            logprobs=self.logprobs(piece.scored) if piece.scored else None,
            finish_reason=finish(piece.finish_reason),
        )
        return event(self.completion([choice], self.usage_before_the_end))

    def last_chunk(self, tokens: int) -> bytes:
        if not self.asked.usage_wanted:
            return b""
        return event(self.completion([], Usage.of(self.prompt_tokens, tokens)))

    @property
    def usage_before_the_end(self) -> UnsetType | None:
        return None if self.asked.usage_wanted else UNSET

    def completion(self, choices: list[CompletionChoice], usage: Usage | UnsetType | None) -> Completion:
        return Completion(id=self.id, created=self.created, model=self.engine.name, choices=choices, usage=usage)

    def choice(self, index: int, text: str, whole: Text) -> CompletionChoice:
        logprobs = self.logprobs([*whole.read, *whole.written])
        return CompletionChoice(text=text, index=index, logprobs=logprobs, finish_reason=finish(whole.finish_reason))

    def logprobs(self, scored: Sequence[TokenScore]) -> CompletionLogprobs | None:
        return None if self.asked.logprobs is None else in_completion(self.engine.tokenizer, scored)


def understand(asked: CompletionRequest, state: State) -> Job:
    engine = state["models"].get(asked.model)
    asked.check(engine, asked.max_tokens, state["settings"].max_length)
    samples = asked.n if asked.best_of is None else asked.best_of
    if samples < asked.n:
        raise invalid("best_of", f"best_of is {samples}: expected at least n, which is {asked.n}.")
    if asked.stream and samples > asked.n:
        raise invalid("best_of", "best_of cannot be streamed when it is above n: the best are known at the end.")
    # The best are the likeliest, so that it has to be known how likely they are.
    logprobs = 0 if asked.logprobs is None and samples > asked.n else asked.logprobs
    score_prompt = asked.echo and asked.logprobs is not None
    options = asked.options(asked.max_tokens, samples, logprobs=logprobs, score_prompt=score_prompt)
    prompts = [asked.last_tokens(tokens, engine.n_ctx) for tokens in read_prompts(asked, engine)]
    if len(prompts) * samples > MAX_TEXTS:
        many = f"{len(prompts)} prompts with {samples} texts each"
        raise invalid("prompt", f"prompt has {many}: expected at most {MAX_TEXTS} texts in one request.")
    asked.check_logprobs(len(prompts) * samples * asked.max_tokens + score_prompt * sum(map(len, prompts)), logprobs)
    with naming_fields(prompt="prompt", samples="n" if asked.best_of is None else "best_of"):
        for tokens in prompts:
            check(engine, tokens, options)
    echoes = [shown_text(engine, tokens) if asked.echo else "" for tokens in prompts]
    return Job(asked, engine, prompts, echoes, options)


def read_prompts(asked: CompletionRequest, engine: Engine) -> list[list[int]]:
    """The tokens of each prompt. Those that come as tokens are taken as they are."""
    prompt = asked.prompt
    if isinstance(prompt, str):
        return [start_tokens(engine, prompt)]
    texts = [item for item in prompt if isinstance(item, str)]
    single = [item for item in prompt if isinstance(item, int)]
    several = [item for item in prompt if isinstance(item, list)]
    if not prompt or not all(several) or len(prompt) not in (len(texts), len(single), len(several)):
        raise invalid("prompt", "prompt is empty or mixed: expected a text, its tokens, or a list of one or the other.")
    size = len(engine.tokenizer)
    several += [single] if single else []
    if any(token >= size for tokens in several for token in tokens):
        raise invalid("prompt", f"prompt has a token that the model lacks: its tokens are 0 to {size - 1}.")
    return [start_tokens(engine, text) for text in texts] or several


def best(texts: Sequence[Text], n: int) -> list[Text]:
    """The likeliest by their tokens' mean."""
    return sorted(texts, key=mean_logprob, reverse=True)[:n] if n < len(texts) else [*texts]


def mean_logprob(text: Text) -> float:
    logprobs = [scored.logprob for scored in text.written if scored.logprob is not None]
    return sum(logprobs) / len(logprobs) if logprobs else -math.inf
