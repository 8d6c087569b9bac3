"""The queue: what may be written at a time, in which order, and with how much memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ask import Generation
from app.engine.batch import CHUNK_ALONE, generate
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.memory import SCRATCH, ModelMemory
from app.engine.passes import ROWS_OF_A_REQUEST
from app.engine.prefix_cache import PrefixCache
from app.errors import NotIdle
from tests.fakes.history_engine import HistoryEngine


@pytest.fixture
def queue() -> Iterator[GenerationQueue]:
    queue = GenerationQueue(concurrency=3, queue_limit=100)
    yield queue
    queue.close()


async def write(generation: Generation, leave_after: int | None = None) -> list[str]:
    """The texts. `leave_after` is the number of deltas after which the reader leaves."""
    texts = [""] * len(generation.finish_reasons)
    count = 0
    async with aclosing(generation):
        async for delta in generation:
            texts[delta.index] += delta.text
            count += 1
            if count == leave_after:
                break
    return texts


def alone(engine: HistoryEngine, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> list[str]:
    texts = [""] * (len(prompts) * options.samples)
    for number, tokens in enumerate(prompts):
        for delta in generate(engine, tokens, options):
            texts[number * options.samples + delta.index] += delta.text
    return texts


async def settled(queue: GenerationQueue) -> None:
    while queue.pending:
        await asyncio.sleep(0.001)


asked = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=15), min_size=1, max_size=4),
        st.builds(
            GenerationOptions,
            length=st.integers(0, 20),
            samples=st.integers(1, 3),
            seed=st.integers(0, 3),
            score_prompt=st.booleans(),
        ),
        st.sampled_from([None, None, 1, 3]),
    ),
    min_size=1,
    max_size=8,
)


@given(asked=asked, concurrency=st.integers(1, 5), room=st.sampled_from([None, 80, 200]))
def test_every_request_gets_the_texts_it_would_get_alone(
    asked: Sequence[tuple[int, list[list[int]], GenerationOptions, int | None]], concurrency: int, room: int | None
) -> None:
    """Of two models, with little memory or much, while others come and go."""
    engines = [HistoryEngine(name="one"), HistoryEngine(name="two", shares_passes=False)]

    async def ask() -> None:
        memory = ModelMemory(None if room is None else SCRATCH + room, base=0, prefixes=PrefixCache(100))
        queue = GenerationQueue(concurrency, queue_limit=100, memory=memory)
        written = [
            write(Generation(queue, engines[which], prompts, options), leave_after)
            for which, prompts, options, leave_after in asked
        ]
        for (which, prompts, options, leave_after), texts in zip(asked, await asyncio.gather(*written), strict=True):
            expected = alone(HistoryEngine(shares_passes=not which), prompts, options)
            if leave_after is None:
                assert texts == expected
            else:
                assert all(whole.startswith(part) for whole, part in zip(expected, texts, strict=True))
        await asyncio.wait_for(settled(queue), 10)
        queue.close()

    asyncio.run(ask())


def test_no_more_slots_are_filled_than_there_is_memory_for() -> None:
    """Each text was counted when it was allocated only, and eight at once were too many."""
    engine = HistoryEngine()

    async def ask() -> None:
        memory = ModelMemory(SCRATCH + 3 * 24, base=0, prefixes=PrefixCache(48))
        queue = GenerationQueue(concurrency=8, queue_limit=100, memory=memory)
        options = [GenerationOptions(length=50, seed=seed, reuse=True, ignore_end=True) for seed in range(12)]
        await asyncio.gather(
            *(write(Generation(queue, engine, [[seed, 9]], each)) for seed, each in enumerate(options))
        )
        queue.close()

    asyncio.run(ask())
    assert engine.most_filled <= 3 * 24
    assert max(len(each.steps) for each in engine.passes) == 3


def test_a_request_of_many_prompts_writes_some_at_a_time_and_delays_nobody_else(queue: GenerationQueue) -> None:
    engine = HistoryEngine()
    engine.max_positions = 10**4

    async def ask() -> None:
        many = Generation(
            queue, engine, [[number] for number in range(40)], GenerationOptions(length=50, ignore_end=True)
        )
        long = asyncio.create_task(write(many))
        while not many.generated_tokens:
            await asyncio.sleep(0.001)
        other = Generation(queue, engine, [[5]], GenerationOptions(length=3))
        await write(other)
        assert not long.done()
        await long

    asyncio.run(ask())
    assert max(len(each.steps) for each in engine.passes) in (ROWS_OF_A_REQUEST, ROWS_OF_A_REQUEST + 1)


def test_many_long_prompts_of_one_request_delay_a_short_one_by_no_more_than_one(queue: GenerationQueue) -> None:
    engine = HistoryEngine(n_ctx=2048)
    engine.max_positions = 10**6
    passes_of_a_prompt = -(-1000 // CHUNK_ALONE)
    short_has_come = threading.Event()
    engine.before_pass = lambda: len(engine.passes) < passes_of_a_prompt or short_has_come.wait(60)

    async def ask() -> None:
        many = Generation(queue, engine, [[number] * 1000 for number in range(10)], GenerationOptions(length=1))
        long = asyncio.create_task(write(many))
        while not many.generated_tokens:
            await asyncio.sleep(0.001)
        short = asyncio.create_task(write(Generation(queue, engine, [[5, 6]], GenerationOptions(length=1))))
        while queue.running < 2:
            await asyncio.sleep(0.001)
        short_has_come.set()
        await asyncio.gather(long, short)

    asyncio.run(ask())
    read = [each.read for each in engine.passes]
    assert read.index(2) == 2 * passes_of_a_prompt
    assert len(read) == 10 * passes_of_a_prompt + 1


def test_a_dear_request_delays_the_next_by_no_more_than_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen with 128 prompts of 4,096 tokens: others waited for eleven seconds, and got 503."""
    monkeypatch.setattr("app.engine.generation_queue.TURN", 0.01)
    engine, queue = HistoryEngine(), GenerationQueue(concurrency=1)

    async def ask() -> None:
        endless = GenerationOptions(length=10**6, ignore_end=True)
        dear = [asyncio.create_task(write(Generation(queue, engine, [[5]] * 128, endless))) for _ in range(3)]
        await asyncio.sleep(0)
        for seed in range(3):
            options = GenerationOptions(length=5, seed=seed)
            assert await write(Generation(queue, engine, [[seed, 9]], options)) == alone(engine, [[seed, 9]], options)
        assert not any(each.done() for each in dear)
        assert queue.running == len(dear)
        for each in dear:
            each.cancel()
        await asyncio.wait(dear)
        await asyncio.wait_for(settled(queue), 10)

    asyncio.run(ask())
    queue.close()


def test_whose_turn_is_over_keeps_its_memory_and_the_next_waits_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.generation_queue.TURN", 0.01)
    engine = HistoryEngine()
    memory = ModelMemory(SCRATCH + 24, base=0, prefixes=PrefixCache(0))
    queue = GenerationQueue(concurrency=1, timeout=0.5, memory=memory)

    async def ask() -> None:
        dear = Generation(queue, engine, [[5]], GenerationOptions(length=10**6, ignore_end=True))
        dear_text = asyncio.create_task(write(dear))
        await asyncio.sleep(0)
        (text,) = await write(
            Generation(queue, engine, [[5]], GenerationOptions(length=3), since=time.monotonic() + 60)
        )
        assert dear_text.done()
        assert dear.finish_reasons == ["timeout"]
        assert alone(engine, [[5]], GenerationOptions(length=3)) == [text]

    asyncio.run(ask())
    assert engine.most_filled <= 24
    queue.close()


def test_a_reader_who_leaves_frees_the_slot_for_the_next(queue: GenerationQueue) -> None:
    engine = HistoryEngine()

    async def ask() -> None:
        endless = GenerationOptions(length=10**6, ignore_end=True)
        for _ in range(10):
            await write(Generation(queue, engine, [[5]], endless), leave_after=2)
        await asyncio.wait_for(settled(queue), 10)
        assert queue.stats.texts["abort"] == 10

    asyncio.run(ask())


def test_what_is_asked_only_if_idle_is_refused_if_another_comes_before_its_first_token() -> None:
    engine, queue, let_go = HistoryEngine(), GenerationQueue(queue_limit=1), threading.Event()
    options = GenerationOptions(length=3)

    async def ask() -> None:
        (text,) = await write(Generation(queue, engine, [[5]], options))
        engine.before_pass = let_go.wait
        suggested = asyncio.create_task(write(Generation(queue, engine, [[5]], options, only_if_idle=True)))
        await asyncio.sleep(0)
        other = asyncio.create_task(write(Generation(queue, engine, [[5]], options)))
        with pytest.raises(NotIdle):
            await suggested
        assert queue.stats.texts["timeout"] == 0
        let_go.set()
        assert await other == [text]
        # Nobody is answered any more, though the thread may be at the last pass of one who has left.
        await write(Generation(queue, engine, [[5]], GenerationOptions(length=10**6, ignore_end=True)), leave_after=2)
        assert await write(Generation(queue, engine, [[5]], options, only_if_idle=True)) == [text]
        with pytest.raises(NotIdle):
            await write(Generation(queue, HistoryEngine(name="elsewhere"), [[5]], options, only_if_idle=True))

    asyncio.run(ask())
    queue.close()


@pytest.mark.parametrize("shares", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_five_hundred_requests_leave_nothing_behind(queue: GenerationQueue, shares: bool) -> None:
    engine = HistoryEngine(shares_passes=shares)

    async def ask(count: int) -> int:
        for seed in range(count):
            options = GenerationOptions(length=3, seed=seed, reuse=True)
            await write(Generation(queue, engine, [[seed % 250, 4]], options))
        await settled(queue)
        engine.passes.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async def growth() -> int:
        before = await ask(50)
        return await ask(500) - before

    tracemalloc.start()
    try:
        assert asyncio.run(growth()) < 50_000
    finally:
        tracemalloc.stop()
