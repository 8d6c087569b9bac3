"""`/api/generate` and `/api/chat`, as in Ollama's API: a prompt or a conversation in, lines of JSON out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from app.api.error_responses import naming_fields
from app.api.generation_options import going_on, seed_or_random, stop_list
from app.api.generation_response import respond
from app.api.last_n_penalties import last_n_penalties
from app.api.model_limits import AS_MANY_AS_FIT, check_length, check_logprobs, default_length, fitting_length
from app.api.model_names import ollama_model
from app.api.ollama_requests import OllamaChatRequest, OllamaGenerateRequest, OllamaRequest
from app.api.replies.ollama_reply import OllamaReply
from app.api.state import State
from app.api.validation import read_fields
from app.ask import Generation, read_prompt, read_turns, turn_options
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.prompts import Turn, all_turn_tokens, size_of, whole_turn_tokens
from app.engine.sampling import Sampling
from app.engine.templates import layout_of
from app.errors import ContextExceeded, PromptTooLong
from app.off_loop import off_loop

# Ollama's defaults, but for a penalty.
OLLAMA_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.9)
GENERATE_EXAMPLE = '{"model": "starter", "prompt": "Why"}'
CHAT_EXAMPLE = '{"model": "starter", "messages": [{"role": "user", "content": "Hello!"}]}'


async def ollama_generate(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_fields(request, OllamaGenerateRequest, GENERATE_EXAMPLE)
    engine = ollama_model(request.state["models"], fields.model)
    layout = layout_of(engine.profile.template)
    turns = [Turn(fields.system, instructs=True)] if fields.system else []
    turns.append(Turn(fields.prompt))
    if fields.raw or not (fields.system or layout.has_turns):
        with naming_fields(prompt="prompt"):
            prompt = await read_prompt(engine, fields.prompt, engine.n_ctx if fields.truncate else None)
        options = ollama_options(fields, engine)
    else:
        with naming_fields(prompt="prompt"):
            prompt = await read_ollama_turns(fields, engine, turns)
        options = answer_options(fields, engine)
    return await answer(request, fields, engine, prompt, options, began, loads=not fields.prompt)


async def ollama_chat(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_fields(request, OllamaChatRequest, CHAT_EXAMPLE)
    engine = ollama_model(request.state["models"], fields.model)
    # An answer of which nothing has been said has not begun.
    turns = [message.turn for message in fields.messages if message.content.strip() or message.role != "assistant"]
    turns = turns or [Turn("")]
    turns[-1] = turns[-1]._replace(goes_on=turns[-1].by_model)
    with naming_fields(prompt="messages"):
        prompt = await read_ollama_turns(fields, engine, turns)
    options = answer_options(fields, engine, fields.unfinished)
    return await answer(request, fields, engine, prompt, options, began, loads=not fields.messages)


async def answer(
    request: Request[State],
    fields: OllamaRequest,
    engine: Engine,
    prompt: list[int],
    options: GenerationOptions,
    began: float,
    *,
    loads: bool,
) -> Response:
    """Generate and answer. `loads`: there is nothing to answer, and only the model is loaded."""
    max_length = request.state["settings"].max_length
    name = "messages" if isinstance(fields, OllamaChatRequest) else "prompt"
    window = min(fields.options.num_ctx or engine.n_ctx, engine.n_ctx)
    if len(prompt) > window and not fields.truncate:
        raise ContextExceeded(len(prompt), window, name)
    prompt = prompt[-window:]
    length = text_length(fields, engine, len(prompt), max_length)
    check_length("options.num_predict", length, max_length)
    check_logprobs(length, fields.likeliest)
    options = replace(options, length=0 if loads else length)
    generation = Generation(request.state["queue"], engine, [prompt], options, since=began)
    reply = OllamaReply(generation, fields.model, chat=isinstance(fields, OllamaChatRequest), loads=loads)
    return await respond(request, reply, stream=fields.stream and not loads)


async def read_ollama_turns(fields: OllamaRequest, engine: Engine, turns: Sequence[Turn]) -> list[int]:
    """The tokens of a conversation, without its oldest turns where they do not fit, if it may be shortened.

    Raises PromptTooLong.
    """
    if fields.truncate:
        asked = fields.options.num_predict
        with suppress(PromptTooLong):
            return await read_turns(engine, turns, asked if asked and asked > 0 else None)
    read = all_turn_tokens if fields.truncate else whole_turn_tokens
    return await off_loop(size_of(turns), lambda: read(engine, turns))


def text_length(fields: OllamaRequest, engine: Engine, prompt: int, max_length: int) -> int:
    """The maximum number of new tokens after a prompt of that many tokens."""
    asked = fields.options.num_predict
    length = default_length(engine, AS_MANY_AS_FIT, max_length) if asked is None else asked
    fitting = fitting_length(engine, prompt, max_length)
    return fitting if length < 0 else length if fields.shift else min(length, fitting)


def ollama_options(fields: OllamaRequest, engine: Engine) -> GenerationOptions:
    """The options of a request, but for the length."""
    asked = fields.options
    penalties, window = last_n_penalties(asked, engine.n_ctx)
    sampling = engine.profile.sampling.sampling(
        {
            "temperature": 0 if asked.top_p == 0 else asked.temperature,
            "top_k": asked.top_k,
            "top_p": asked.top_p,
            "min_p": asked.min_p,
            "typical_p": asked.typical_p,
        }
        | penalties,
        OLLAMA_SAMPLING,
    )
    return GenerationOptions(
        seed=seed_or_random(asked.fixed_seed),
        sampling=sampling,
        stops=stop_list(asked.stop),
        logprobs=fields.likeliest,
        penalty_window=window,
    )


def answer_options(fields: OllamaRequest, engine: Engine, unfinished: str = "") -> GenerationOptions:
    """The options of an answer, or of the rest of an `unfinished` one, which ends where its turn ends."""
    reuse = engine.shares_passes or fields.options.fixed_seed is None
    return turn_options(engine, going_on(replace(ollama_options(fields, engine), reuse=reuse), unfinished))
