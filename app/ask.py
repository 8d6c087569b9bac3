"""Ask a model: prompts and options in, pieces of text out, for the HTTP routes and the bot.

    engine = models.get("jokes")
    prompt = await read_turns(engine, [Turn("Why?")], room=100)        # or: await read_prompt(engine, "Why did")
    options = turn_options(engine, options)                              # for turns only
    generation = Generation(queue, engine, [prompt], options)            # raises if it is too large
    async with aclosing(generation):                                     # closing it early stops the generation
        async for delta in generation:                                   # raises if it is refused
            text += delta.text
    generation.generated_tokens, generation.finish_reasons

All errors are GenerationErrors (app.errors), which the API and the bot each translate for their clients.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from app.engine.base import Engine, start_tokens
from app.engine.generation import FinishReason, GenerationOptions, TextDelta, check, refuse_long
from app.engine.generation_queue import GenerationQueue
from app.engine.generation_stats import GenerationTimer
from app.engine.prompts import Turn, fitting_turn_tokens, size_of
from app.engine.templates import Template
from app.off_loop import off_loop


async def read_prompt(engine: Engine, prompt: str, last: int | None = None) -> list[int]:
    """The tokens of a text to continue, or the `last` of them.

    Raises PromptTooLong for a text that the window cannot hold, whatever its tokens are.
    """

    def read() -> list[int]:
        if last is None:
            refuse_long(engine, [prompt])
        tokens = start_tokens(engine, prompt)
        return tokens[-(last or len(tokens)) :]

    return await off_loop(len(prompt), read)


async def read_turns(
    engine: Engine, turns: Sequence[Turn], room: int | None, template: Template | None = None
) -> list[int]:
    """The tokens of a conversation up to where the model's turn begins, by default in the template of its conversations.

    The oldest turns are left out until `room` tokens are free for the answer; see app.engine.prompts. Raises PromptTooLong.
    """
    return await off_loop(size_of(turns), lambda: fitting_turn_tokens(engine, turns, room, template))


def turn_options(engine: Engine, options: GenerationOptions) -> GenerationOptions:
    """The same options for an answer in a conversation, which ends where its turn ends."""
    return replace(options, tags=engine.profile.stop_tags)


class Generation:
    """One request to a model: its texts, as an async iterator of deltas, and what is known about them.

    `prompts` are token ids. `options.samples` texts follow each prompt, numbered on from prompt to prompt.
    Its time is counted from `since`, a time of time.monotonic() before the prompts were read, by default from now.
    With `only_if_idle` it gives way to all others.
    The constructor raises PromptTooLong or BatchTooLarge. The first delta raises QueueFull, NotIdle, QueueTimeout,
    GenerationTimeout, ModelNotLoaded or ShuttingDown.
    """

    def __init__(
        self,
        queue: GenerationQueue,
        engine: Engine,
        prompts: Sequence[Sequence[int]],
        options: GenerationOptions,
        since: float | None = None,
        only_if_idle: bool = False,
    ) -> None:
        for tokens in prompts:
            check(engine, tokens, options)
        self.engine = engine
        self.options = options
        self._timer = GenerationTimer(queue.stats, sum(map(len, prompts)), len(prompts) * options.samples)
        self._deltas: AsyncGenerator[TextDelta] = queue.deltas(
            engine, prompts, options, self._timer, since, only_if_idle
        )

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all the prompts together."""
        return self._timer.prompt_tokens

    @property
    def generated_tokens(self) -> int:
        """Tokens generated so far in all the texts, of which some may not have been read yet."""
        return self._timer.generated_tokens

    @property
    def finish_reasons(self) -> Sequence[FinishReason | None]:
        """Why each text ended; None for one that has not."""
        return self._timer.finish_reasons

    @property
    def queue_seconds(self) -> float:
        """Seconds it waited in the queue; 0 until it leaves it."""
        return self._timer.queue_seconds

    @property
    def first_token_seconds(self) -> float:
        """Seconds until the first token of the first text; 0 until there is one."""
        return self._timer.first_token_seconds

    @property
    def end_seconds(self) -> float:
        """Seconds until all texts had ended by themselves; 0 until then."""
        return self._timer.end_seconds

    @property
    def seconds(self) -> float:
        """Seconds since it was asked for."""
        return self._timer.seconds

    def __aiter__(self) -> Generation:
        return self

    async def __anext__(self) -> TextDelta:
        return await anext(self._deltas)

    async def aclose(self) -> None:
        """Stop generating at the next token, if there is anything left to generate."""
        await self._deltas.aclose()
