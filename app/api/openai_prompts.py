"""The prompts and conversations of OpenAI-compatible requests, as the model's tokens."""

from __future__ import annotations

from collections.abc import Sequence

from app.api.conversation import ChatMessage
from app.api.model_limits import check_token_ids
from app.api.openai_requests import ChatRequest, CompletionRequest, OpenAIRequest
from app.engine.base import Engine, start_tokens
from app.engine.generation import refuse_long
from app.engine.prompts import FittingTurns, Turn, all_turn_tokens, fitting_turns, size_of
from app.off_loop import off_loop


def read_prompts(request: CompletionRequest, engine: Engine) -> list[list[int]]:
    """The tokens of each prompt. Prompts that are token ids are used as they are. Raises InvalidRequest, PromptTooLong."""
    prompts: list[list[int]] = []
    for prompt in request.prompts:
        if isinstance(prompt, list):
            check_token_ids("prompt", prompt, engine.tokenizer)
        elif request.truncate_prompt_tokens is None:
            refuse_long(engine, [prompt])
        tokens = start_tokens(engine, prompt) if isinstance(prompt, str) else prompt
        prompts.append(last_tokens(tokens, request, engine.n_ctx))
    return prompts


async def read_conversation(request: ChatRequest, engine: Engine, room: int | None) -> FittingTurns:
    """The conversation as far as it fits. Raises PromptTooLong.

    The oldest turns are left out until there is `room` for the answer or, with `truncate_prompt_tokens`, the oldest tokens.
    """
    turns = turns_of(request.messages, goes_on=bool(request.continue_final_message))
    size = size_of(turns)
    if request.truncate_prompt_tokens is None:
        return await off_loop(size, lambda: fitting_turns(engine, turns, room))
    tokens = await off_loop(size, lambda: all_turn_tokens(engine, turns))
    return FittingTurns(last_tokens(tokens, request, engine.n_ctx))


def last_tokens(tokens: list[int], request: OpenAIRequest, n_ctx: int) -> list[int]:
    """The part of a prompt that `truncate_prompt_tokens` leaves."""
    kept = n_ctx if request.truncate_prompt_tokens == -1 else request.truncate_prompt_tokens
    return tokens[-kept:] if kept else tokens


def turns_of(messages: Sequence[ChatMessage], *, goes_on: bool = False) -> list[Turn]:
    """The turns of a conversation, of which the last may go on. The models know two speakers: instructions are the user's."""
    turns = [Turn(message.text, message.role == "assistant", message.instructs) for message in messages]
    return [*turns[:-1], turns[-1]._replace(goes_on=goes_on)]
