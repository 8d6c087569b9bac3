"""Asking a model, as the HTTP routes and the bot do, with the fake engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest

from app.ask import Generation, read_prompt, read_turns, turn_options
from app.engine.base import Chunk, Engine, Logits, RowStep
from app.engine.fake import SCRIPT, FakeEngine, FakeSlots
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.prompts import Turn, whole_turn_tokens
from app.errors import (
    BatchTooLarge,
    GenerationTimeout,
    PromptTooLong,
    QueueFull,
    ShuttingDown,
    UnknownModel,
)
from app.models import Models
from tests.fakes.listening_engine import ListeningEngine


@pytest.fixture
def queue() -> Iterator[GenerationQueue]:
    queue = GenerationQueue(queue_limit=0)
    yield queue
    queue.close()


async def write(generation: Generation) -> list[str]:
    """The texts, once all are finished."""
    texts = [""] * len(generation.finish_reasons)
    async with aclosing(generation):
        async for delta in generation:
            texts[delta.index] += delta.text
    return texts


async def settled(queue: GenerationQueue) -> None:
    while queue.pending:
        await asyncio.sleep(0.01)


def test_a_generation_knows_its_tokens_times_and_reasons(queue: GenerationQueue) -> None:
    async def ask() -> None:
        engine = Models([FakeEngine()]).get()
        prompts = [await read_prompt(engine, "Why"), await read_prompt(engine, "")]
        generation = Generation(queue, engine, prompts, GenerationOptions(length=4, samples=2))
        assert (generation.prompt_tokens, generation.generated_tokens) == (5, 0)
        assert generation.finish_reasons == [None] * 4
        assert await write(generation) == [SCRIPT[:4]] * 4
        assert generation.generated_tokens == 16
        assert generation.finish_reasons == ["length"] * 4
        assert 0 < generation.queue_seconds <= generation.seconds

    asyncio.run(ask())


def test_an_answer_ends_where_its_turn_ends(queue: GenerationQueue) -> None:
    """A model of questions and answers would go on with the next question."""

    async def ask() -> None:
        engine = FakeEngine(" Because.\n[QUESTION] Why?\n", template="qa")
        prompt = await read_turns(engine, [Turn("Why?")], room=20)
        assert engine.tokenizer.decode(prompt[1:]) == "[QUESTION] Why?\n[ANSWER]"
        options = turn_options(engine, GenerationOptions(length=100))
        generation = Generation(queue, engine, [prompt], options)
        assert (await write(generation), generation.finish_reasons) == ([" Because."], ["stop"])

    asyncio.run(ask())


def test_what_cannot_be_generated_is_refused_before_it_is_queued(queue: GenerationQueue) -> None:
    engine = FakeEngine(n_ctx=8)
    with pytest.raises(PromptTooLong) as long:
        Generation(queue, engine, [[1], [1] * 9], GenerationOptions())
    assert (long.value.n_prompt_tokens, long.value.n_ctx) == (9, 8)
    with pytest.raises(BatchTooLarge) as large:
        Generation(queue, engine, [[1] * 8], GenerationOptions(samples=9))
    assert (large.value.n_tokens, large.value.max_tokens) == (72, 64)
    with pytest.raises(PromptTooLong):
        asyncio.run(read_turns(engine, [Turn("a question of many words")], room=1))
    with pytest.raises(UnknownModel, match="model 'other' is not served here; 'fake' is"):
        Models([FakeEngine()]).get("other")
    assert queue.stats.prompt_tokens == 0


def test_a_full_queue_says_when_to_ask_again_and_a_reader_who_leaves_makes_room(queue: GenerationQueue) -> None:
    async def ask() -> None:
        engine: Engine = FakeEngine(seconds_per_token=0.001)
        first = Generation(queue, engine, [[256]], GenerationOptions(length=100_000))
        async with aclosing(first):
            await anext(first)
            with pytest.raises(QueueFull) as full:
                await write(Generation(queue, engine, [[256]], GenerationOptions(length=1)))
            assert full.value.retry_after >= 1
        await settled(queue)
        assert first.generated_tokens < 100_000
        assert queue.stats.texts["abort"] == 1
        assert await write(Generation(queue, engine, [[256]], GenerationOptions(length=1))) == ["T"]

    asyncio.run(ask())


class StuckEngine(FakeEngine):
    """One of its passes takes as long as it is not told to go on, as one of a very large model may."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.go_on = threading.Event()

    def slots(self, count: int, positions: int) -> FakeSlots:
        return StuckSlots(self, count, positions)


class StuckSlots(FakeSlots):
    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        assert isinstance(self._engine, StuckEngine)
        self._engine.steps -= bool(steps)
        assert self._engine.steps != 0 or self._engine.go_on.wait(20)
        return super().run(steps, chunk)


class UnreadableEngine(FakeEngine):
    """Has a vocabulary of bytes that tokenizes nothing."""

    def __init__(self) -> None:
        super().__init__(n_ctx=10)
        self.tokenizer.encode = pytest.fail  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("count", [66, 250_000])
def test_what_no_window_can_hold_is_refused_before_it_is_tokenized(count: int) -> None:
    """Seen: 250 kB took half a second, only to be refused. The longest token of this vocabulary has 13 bytes."""
    engine, text = UnreadableEngine(), "é" * count
    turns = [Turn(text, instructs=True), Turn("Hello!"), Turn("Hi.", by_model=True), Turn("Why?")]
    least = -(-2 * count // 13)
    with pytest.raises(
        PromptTooLong, match=f"the prompt is at least {least} tokens long and the model's window holds 10"
    ):
        asyncio.run(read_prompt(engine, text))
    with pytest.raises(PromptTooLong, match=f"at least {least} "):
        asyncio.run(read_turns(engine, [Turn(text)], 1))
    with pytest.raises(PromptTooLong, match="at least"):
        asyncio.run(read_turns(engine, turns, None))
    with pytest.raises(PromptTooLong, match="at least"):
        whole_turn_tokens(engine, [Turn(text)])


def test_a_reader_does_not_wait_for_a_step_that_takes_too_long() -> None:
    """What was written by the deadline is the answer. Who waits behind it is refused in time too."""

    async def ask() -> None:
        queue = GenerationQueue(queue_limit=1, timeout=0.3)
        engine = StuckEngine(steps=3)
        generation = Generation(queue, engine, [[256], [256]], GenerationOptions(length=5))
        assert await write(generation) == [SCRIPT[:3], SCRIPT[:2]]
        assert generation.finish_reasons == ["timeout", "timeout"]
        assert queue.running == 1
        with pytest.raises(GenerationTimeout):
            await write(Generation(queue, engine, [[256]], GenerationOptions(length=1)))
        engine.go_on.set()
        await settled(queue)
        assert await write(Generation(queue, engine, [[256]], GenerationOptions(length=2))) == [SCRIPT[:2]]
        assert queue.stats.texts["timeout"] == 2
        queue.close()
        with pytest.raises(ShuttingDown):
            await write(Generation(queue, engine, [[256]], GenerationOptions(length=1)))

    asyncio.run(ask())


def test_prompts_whose_turn_does_not_come_in_time_are_not_read(queue: GenerationQueue) -> None:
    """All the prompts of a request were read, one after the other, long after its time was up."""

    async def ask() -> None:
        engine = ListeningEngine(seconds_per_token=0.01)
        generation = Generation(queue, engine, [[256]] * 40, GenerationOptions(length=4))
        texts = [""] * 40
        async for delta in generation:
            texts[delta.index] += delta.text
            if delta.index == 5:
                queue.drain(0.0)
        assert texts[:2] == [SCRIPT[:4]] * 2
        assert texts[20:] == [""] * 20
        assert list(generation.finish_reasons)[20:] == ["timeout"] * 20
        assert len(engine.heard) <= 20

    asyncio.run(ask())


def test_a_reader_who_leaves_while_a_prompt_is_read_makes_room(queue: GenerationQueue) -> None:
    """The engine went on reading and scoring the prompt for somebody who was gone."""

    async def ask() -> None:
        engine = FakeEngine(seconds_per_token=0.01)
        options = GenerationOptions(length=1, score_prompt=True, logprobs=0)
        generation = Generation(queue, engine, [[97] * 1000] * 40, options)
        async with aclosing(generation):
            await anext(generation)
        await asyncio.wait_for(settled(queue), 5)
        assert queue.stats.texts["abort"] == 40

    asyncio.run(ask())


def test_a_long_generation_ends_with_the_text_it_has_when_the_server_stops(queue: GenerationQueue) -> None:
    async def ask() -> list[str | None]:
        engine = FakeEngine(seconds_per_token=0.02)
        reasons: list[str | None] = []
        async for delta in Generation(queue, engine, [[256]], GenerationOptions(length=4000)):
            reasons.append(delta.finish_reason)
            if len(reasons) == 3:
                queue.drain(0.3)
        return reasons

    assert asyncio.run(ask())[-1] == "timeout"
