"""Builds the engine's GenerationOptions from a request's fields, for each route."""

from __future__ import annotations

from dataclasses import replace

from app.api.field_types import Stop
from app.api.generate_request import GenerateRequest
from app.api.openai_requests import ChatRequest, CompletionRequest, OpenAIRequest
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.profile import SamplingDefaults
from app.engine.sampling import Sampling
from app.ids import new_seed

# OpenAI's defaults.
OPENAI_SAMPLING = Sampling(temperature=1, top_p=1)


def generate_options(request: GenerateRequest, length: int, defaults: SamplingDefaults) -> GenerationOptions:
    """The options of `/` and `/generate`, for up to `length` new tokens."""
    return GenerationOptions(
        length=length,
        samples=request.nsamples,
        seed=seed_or_random(request.seed),
        sampling=defaults.sampling(asked_sampling(request)),
        stops=stop_list(request.stop),
        truncate=request.truncate or None,
        min_length=request.min_tokens,
        # Suggestions follow a text as it grows. A seed, which promises exactly the same text, has it read from the start.
        reuse=request.only_if_idle and request.seed is None,
    )


def completion_options(request: CompletionRequest, length: int, defaults: SamplingDefaults) -> GenerationOptions:
    """The options of `/v1/completions`, for up to `length` new tokens."""
    # Which texts are the best is decided by their log probabilities, whether they were asked for or not.
    choose_best = request.samples > request.n
    return replace(
        openai_options(request, length, request.samples, defaults),
        logprobs=0 if request.logprobs is None and choose_best else request.logprobs,
        score_prompt=request.echo and request.logprobs is not None,
    )


def chat_options(request: ChatRequest, length: int, engine: Engine) -> GenerationOptions:
    """The options of `/v1/chat/completions`, for up to `length` new tokens. The model's template adds to them."""
    options = replace(
        openai_options(request, length, request.n, engine.profile.sampling),
        logprobs=request.likeliest,
        # The last request of a conversation has read most of its tokens. Where reusing their KV cache changes the last digits
        # of the logits, though, a seed promises exactly the same text.
        reuse=engine.shares_passes or request.fixed_seed is None,
    )
    return going_on(options, request.unfinished)


def going_on(options: GenerationOptions, unfinished: str) -> GenerationOptions:
    """The same options for a turn of the model, or for the rest of one of which it has said `unfinished` so far."""
    follows = unfinished.rstrip()
    # What separates the turns is not part of the answer. White space at the end of an unfinished one was not read.
    return replace(options, strip="" if follows and follows == unfinished else " \n", follows=follows)


def openai_options(request: OpenAIRequest, length: int, samples: int, defaults: SamplingDefaults) -> GenerationOptions:
    """What both OpenAI-compatible routes have in common."""
    sampling = defaults.sampling(asked_sampling(request) | {"typical_p": request.typical_p}, OPENAI_SAMPLING)
    return GenerationOptions(
        length=length,
        samples=samples,
        seed=seed_or_random(request.fixed_seed) % 2**64,
        # With a top_p of 0 only the likeliest token is left. In the engine 0 turns the rule off, as on `/`.
        sampling=replace(sampling, temperature=0) if request.top_p == 0 else sampling,
        stops=stop_list(request.stop),
        include_stop=request.include_stop_str_in_output,
        stop_tokens=request.stop_token_ids,
        ignore_end=request.ignore_eos,
        min_length=request.min_tokens,
        bias={int(token): bias for token, bias in request.logit_bias.items()},
    )


def asked_sampling(request: GenerateRequest | OpenAIRequest) -> dict[str, float | None]:
    """The sampling options that all routes have, None for those that the request leaves to the model."""
    return {
        "temperature": request.temperature,
        # OpenAI's clients for vLLM write "all tokens" as -1.
        "top_k": None if request.top_k is None else max(request.top_k, 0),
        "top_p": request.top_p,
        "min_p": request.min_p,
        "repetition_penalty": request.repetition_penalty,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }


def seed_or_random(seed: int | None) -> int:
    """The seed, or a random one that is small enough for every JSON parser to read back exactly."""
    return new_seed() if seed is None else seed


def stop_list(stop: Stop) -> list[str]:
    """The stop strings without empty ones, which forms send for lines that nobody filled in."""
    return [each for each in ([stop] if isinstance(stop, str) else stop or []) if each]
