"""`/v1/completions`: prompts in, their continuations out, as in OpenAI's API."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from app.api.error_responses import naming_fields
from app.api.generation_options import completion_options
from app.api.generation_response import respond
from app.api.model_limits import check_length, check_logprobs, check_min_tokens, check_option_tokens, default_length
from app.api.model_names import openai_model
from app.api.openai_prompts import read_prompts
from app.api.openai_requests import DEFAULT_MAX_TOKENS, CompletionRequest
from app.api.replies.completion import CompletionReply
from app.api.state import State
from app.api.validation import read_fields
from app.ask import Generation
from app.engine.base import Engine
from app.engine.generation import GenerationOptions, shown_text
from app.off_loop import off_loop

EXAMPLE = '{"prompt": "Why", "max_tokens": 16}'


async def completions(request: Request[State]) -> Response:
    began = time.monotonic()
    max_length = request.state["settings"].max_length
    fields = await read_fields(request, CompletionRequest, EXAMPLE)
    engine = openai_model(request.state["models"], fields.model)
    length = fields.max_tokens
    if length is None:
        length = default_length(engine, DEFAULT_MAX_TOKENS, max_length, fields.min_tokens)
    check_limits(fields, engine, length, max_length)
    with naming_fields(prompt="prompt"):
        prompts = await off_loop(fields.size, lambda: read_prompts(fields, engine))
    options = completion_options(fields, length, engine.profile.sampling)
    check_logprobs(
        scored_tokens(prompts, options), options.logprobs, "best_of" if fields.logprobs is None else "logprobs"
    )
    with naming_fields(prompt="prompt", samples="n" if fields.best_of is None else "best_of"):
        generation = Generation(request.state["queue"], engine, prompts, options, since=began)
    echoes = await off_loop(generation.prompt_tokens, lambda: read_echoes(fields, engine, prompts))
    return await respond(request, CompletionReply(generation, fields, echoes), stream=fields.stream)


def check_limits(fields: CompletionRequest, engine: Engine, length: int, max_length: int) -> None:
    """Raises InvalidRequest."""
    check_length("max_tokens", length, max_length)
    check_min_tokens(fields, "max_tokens", length)
    check_option_tokens(fields, engine.tokenizer)


def scored_tokens(prompts: Sequence[Sequence[int]], options: GenerationOptions) -> int:
    """The largest number of tokens whose log probabilities the reply can have."""
    in_prompts = sum(map(len, prompts)) if options.score_prompt else 0
    return len(prompts) * options.samples * options.length + in_prompts


def read_echoes(fields: CompletionRequest, engine: Engine, prompts: Sequence[Sequence[int]]) -> list[str]:
    """What the texts begin with: with `echo` the prompts as text."""
    return [shown_text(engine, tokens) if fields.echo else "" for tokens in prompts]
