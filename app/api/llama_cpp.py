"""`/completion` and `/props`, as llama.cpp's server has them."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import app
from app.api.error_responses import naming_fields
from app.api.generation_options import seed_or_random, stop_list
from app.api.generation_response import respond
from app.api.last_n_penalties import last_n_penalties
from app.api.llama_cpp_requests import LlamaCppRequest
from app.api.model_limits import (
    AS_MANY_AS_FIT,
    check_length,
    check_logprobs,
    check_token_ids,
    default_length,
    fitting_length,
)
from app.api.msgspec_response import MsgspecResponse
from app.api.replies.llama_cpp_reply import LlamaCppReply
from app.api.state import State
from app.api.validation import invalid_value, read_fields
from app.ask import Generation
from app.engine.base import Engine, begin
from app.engine.generation import GenerationOptions, refuse_long
from app.engine.sampling import Sampling
from app.engine.tokenizer import Tokenizer
from app.off_loop import off_loop

EXAMPLE = '{"prompt": "Why", "n_predict": 20}'
# The defaults of llama.cpp's server.
LLAMA_CPP_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05)


class Modalities(msgspec.Struct, frozen=True):
    vision: Literal[False] = False
    audio: Literal[False] = False


class DefaultSettings(msgspec.Struct, frozen=True):
    """`params` are the options of a request that says nothing else."""

    n_ctx: int
    params: dict[str, Any]
    id: int = 0
    is_processing: bool = False


class Props(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/props`, about the default model. `chat_template` is in this project's notation, which `export` explains."""

    default_generation_settings: DefaultSettings
    total_slots: int
    model_alias: str
    model_path: str
    chat_template: str
    modalities: Modalities = Modalities()
    build_info: str
    is_sleeping: Literal[False] = False


async def completion(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_fields(request, LlamaCppRequest, EXAMPLE)
    engine, max_length = request.state["models"].get(fields.model), request.state["settings"].max_length
    with naming_fields(prompt="prompt"):
        prompts = await off_loop(fields.size, lambda: read_llama_cpp_prompts(fields, engine))
    length = default_length(engine, AS_MANY_AS_FIT, max_length) if fields.n_predict is None else fields.n_predict
    if length < 0:
        length = fitting_length(engine, max(map(len, prompts)), max_length)
    check_length("n_predict", length, max_length)
    bias = await off_loop(fields.bias_size, lambda: read_bias(fields, engine.tokenizer))
    options = llama_cpp_options(fields, length, engine, bias)
    check_logprobs(len(prompts) * fields.n_cmpl * length, options.logprobs, "n_probs")
    with naming_fields(prompt="prompt", samples="n_cmpl"):
        generation = Generation(request.state["queue"], engine, prompts, options, since=began)
    reply = LlamaCppReply(
        generation,
        prompts,
        generation_settings(options, engine),
        probabilities=fields.n_probs > 0,
        tokens=fields.return_tokens or fields.stream,
        as_list=fields.several,
        fields=fields.response_fields,
    )
    return await respond(request, reply, stream=fields.stream)


async def props(request: Request[State]) -> Response:
    models, settings = request.state["models"], request.state["settings"]
    engine = models.get()
    options = llama_cpp_options(LlamaCppRequest(prompt="", seed=0), AS_MANY_AS_FIT, engine, {})
    return MsgspecResponse(
        Props(
            default_generation_settings=DefaultSettings(
                engine.n_ctx, generation_settings(options, engine) | {"seed": -1}
            ),
            total_slots=settings.concurrency,
            model_alias=engine.name,
            model_path=engine.name,
            chat_template=engine.profile.template,
            build_info=f"gpt-2-cloud-run {app.__version__}",
        )
    )


def read_llama_cpp_prompts(fields: LlamaCppRequest, engine: Engine) -> list[list[int]]:
    """The tokens of each prompt. Tokens alone are used as they are. Raises InvalidRequest, PromptTooLong."""
    prompts = []
    for prompt in fields.prompts:
        given = [item for item in prompt if isinstance(item, int)]
        check_token_ids("prompt", given, engine.tokenizer)
        refuse_long(engine, (item for item in prompt if isinstance(item, str)))
        tokens = [
            token for item in prompt for token in (engine.tokenizer.encode(item) if isinstance(item, str) else [item])
        ]
        # As in llama.cpp, a prompt that begins with a text begins as a document does.
        prompts.append(begin(engine, tokens) if isinstance(prompt[0], str) else tokens)
    return prompts


def llama_cpp_options(
    fields: LlamaCppRequest, length: int, engine: Engine, bias: dict[int, float]
) -> GenerationOptions:
    """The options of a request, for up to `length` new tokens."""
    penalties, window = last_n_penalties(fields, engine.n_ctx)
    sampling = engine.profile.sampling.sampling(
        {
            "temperature": 0 if fields.top_p == 0 else fields.temperature,
            "top_k": None if fields.top_k is None else max(fields.top_k, 0),
            "top_p": fields.top_p,
            "min_p": fields.min_p,
            "typical_p": fields.typical_p,
        }
        | penalties,
        LLAMA_CPP_SAMPLING,
    )
    return GenerationOptions(
        length=length,
        samples=fields.n_cmpl,
        seed=seed_or_random(fields.fixed_seed),
        sampling=sampling,
        stops=stop_list(fields.stop),
        ignore_end=fields.ignore_eos,
        bias=bias,
        penalty_window=window,
        # The scores have the token ids.
        logprobs=fields.n_probs if fields.n_probs or fields.return_tokens or fields.stream else None,
        reuse=fields.cache_prompt and (engine.shares_passes or fields.fixed_seed is None),
    )


def read_bias(fields: LlamaCppRequest, tokenizer: Tokenizer) -> dict[int, float]:
    """What is added to the logits, by token. Raises InvalidRequest."""
    given = fields.logit_bias
    biases: dict[int, float] = {}
    for key, bias in given.items() if isinstance(given, dict) else given:
        if bias is True:
            raise invalid_value("logit_bias", "logit_bias has true: expected a number, or false to rule a token out.")
        is_id = isinstance(key, int) or (isinstance(given, dict) and key.isdecimal() and len(key) < 10)
        tokens = [int(key)] if is_id else tokenizer.encode(str(key))
        check_token_ids("logit_bias", tokens, tokenizer)
        for token in tokens:
            biases[token] = biases.get(token, 0.0) + (-math.inf if bias is False else bias)
    if sum(bias == -math.inf for bias in biases.values()) == len(tokenizer):
        raise invalid_value("logit_bias", "logit_bias rules out every token: leave one.")
    return biases


def generation_settings(options: GenerationOptions, engine: Engine) -> dict[str, Any]:
    """The options under llama.cpp's names."""
    sampling = options.sampling
    return {
        "n_ctx": engine.n_ctx,
        "n_predict": options.length,
        "seed": options.seed,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": options.penalty_window or -1,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": list(options.stops),
        "ignore_eos": options.ignore_end,
        "n_probs": options.logprobs or 0,
    }
