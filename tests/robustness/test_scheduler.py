"""The scheduler against the reference: whatever is asked, left and cut in whatever order, each text is what it is alone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.ask import Generation
from app.engine import generation_queue
from app.engine.batch import generate
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.memory import SCRATCH, ModelMemory
from app.engine.prefix_cache import PrefixCache
from app.engine.sampling import Sampling
from app.errors import QueueUnavailable
from tests.fakes.history_engine import HistoryEngine, HistorySlots

WINDOW = 24
TIMEOUT = 600.0
# Seconds within which everything must be over once nothing is held back.
PATIENCE = 60

prompts = st.lists(
    st.builds(
        lambda beginning, rest: [*beginning, *rest],
        st.sampled_from([[5], [7] * 9, [*range(11)]]),
        st.lists(st.integers(0, 255), max_size=5),
    ),
    min_size=1,
    max_size=5,
)
options = st.builds(
    GenerationOptions,
    length=st.integers(0, 40),
    samples=st.integers(1, 4),
    seed=st.integers(0, 3),
    sampling=st.builds(
        Sampling, temperature=st.sampled_from([0, 0.5, 1.0]), repetition_penalty=st.sampled_from([1.0, 1.3])
    ),
    stops=st.lists(st.sampled_from(["e", "a "]), max_size=1),
    ignore_end=st.booleans(),
    min_length=st.integers(0, 5),
    logprobs=st.sampled_from([None, 1]),
    score_prompt=st.booleans(),
    reuse=st.booleans(),
)


@dataclass
class Client:
    """Who asked, and what has come. `left`: it does not read on. `hurried`: its time may be up before its texts end."""

    engine: HistoryEngine
    prompts: Sequence[Sequence[int]]
    options: GenerationOptions
    hurried: bool
    texts: list[str]
    left: bool = False
    refused: bool = False
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Task[None] | None = None
    generation: Generation | None = None

    async def read(self) -> None:
        assert self.generation is not None
        left = asyncio.ensure_future(self.leaving.wait())
        async with contextlib.aclosing(self.generation):
            while not self.leaving.is_set():
                delta = asyncio.ensure_future(anext(self.generation))
                await asyncio.wait({delta, left}, return_when=asyncio.FIRST_COMPLETED)
                if not delta.done():
                    delta.cancel()
                    await asyncio.wait({delta})
                    break
                try:
                    self.texts[delta.result().index] += delta.result().text
                except StopAsyncIteration:
                    break
                except QueueUnavailable:
                    self.refused = True
                    break
        left.cancel()

    def check(self) -> None:
        """What it has read is what the engine writes for it alone, or the beginning of that if it left or was hurried."""
        expected = alone(self.engine, self.prompts, self.options)
        if self.left or self.hurried:
            held = self.options.stops
            for whole, part in zip(expected, self.texts, strict=True):
                # What was held back as the beginning of a stop string is shown when the time is up.
                rest = part.removeprefix(whole)
                assert whole.startswith(part) or (part.startswith(whole) and any(s.startswith(rest) for s in held))
        else:
            assert not self.refused
            assert self.texts == expected


def alone(engine: HistoryEngine, asked: Sequence[Sequence[int]], options: GenerationOptions) -> list[str]:
    """The reference: one text after the other, each in a batch of its own."""
    reference = HistoryEngine(WINDOW, shares_passes=engine.shares_passes)
    texts = [""] * (len(asked) * options.samples)
    for number, tokens in enumerate(asked):
        for delta in generate(reference, tokens, replace(options, reuse=False)):
            texts[number * options.samples + delta.index] += delta.text
    return texts


class Gate:
    """Lets passes begin one by one, or all of them once it is open."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(0)
        self._open = threading.Event()

    def wait(self) -> None:
        while not self._open.is_set() and not self._free.acquire(timeout=0.02):
            pass

    def let(self, passes: int) -> None:
        self._free.release(passes)

    def open(self) -> None:
        self._open.set()


class Scheduler(RuleBasedStateMachine):
    @initialize(
        concurrency=st.integers(1, 4),
        room=st.sampled_from([None, WINDOW, 80, 200]),
        kept=st.sampled_from([0, 100]),
        turn=st.sampled_from([0.0, 0.001, TIMEOUT]),
    )
    def start(self, concurrency: int, room: int | None, kept: int, turn: float) -> None:
        self.loop = asyncio.new_event_loop()
        self.gate = Gate()
        self.engines = [HistoryEngine(WINDOW, name="one"), HistoryEngine(WINDOW, name="two", shares_passes=False)]
        self.slots: list[HistorySlots] = []
        for engine in self.engines:
            engine.max_positions = WINDOW if room is None else max(WINDOW, room // 2)
            engine.before_pass = self.gate.wait
            noting(engine, self.slots)
        allowed = None if room is None else SCRATCH + room
        self.memory = ModelMemory(allowed, base=0, prefixes=PrefixCache(kept))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(generation_queue, "TURN", turn)
            self.queue = GenerationQueue(concurrency, queue_limit=100, timeout=TIMEOUT, memory=self.memory)
        self.clients: list[Client] = []

    def run_loop(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(which=st.integers(0, 1), asked=prompts, wanted=options, hurried=st.sampled_from([False] * 4 + [True]))
    def ask(self, which: int, asked: list[list[int]], wanted: GenerationOptions, hurried: bool) -> None:
        engine = self.engines[which]
        wanted = replace(wanted, samples=min(wanted.samples, max(1, engine.max_positions // WINDOW)))
        # Where passes are not shared, what is reused changes the last bits.
        wanted = replace(wanted, reuse=wanted.reuse and engine.shares_passes)
        client = Client(engine, asked, wanted, hurried, [""] * (len(asked) * wanted.samples))
        since = time.monotonic() - (TIMEOUT - 0.01 if hurried else 0.0)
        client.generation = Generation(self.queue, engine, asked, wanted, since)
        client.reading = self.loop.create_task(client.read())
        self.clients.append(client)
        self.run_loop()

    @rule(passes=st.integers(1, 30), seconds=st.sampled_from([0.0, 0.002]))
    def write(self, passes: int, seconds: float) -> None:
        self.gate.let(passes)
        self.run_loop(seconds)

    @rule(number=st.integers(0, 50))
    def leave(self, number: int) -> None:
        if self.clients:
            client = self.clients[number % len(self.clients)]
            client.left = True
            client.leaving.set()
            self.run_loop()

    @rule()
    def wait(self) -> None:
        self.run_loop(0.01)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.gate.open()
        try:
            self.loop.run_until_complete(asyncio.wait_for(self.everything(), PATIENCE))
            for client in self.clients:
                client.check()
            self.check_nothing_is_left()
        finally:
            self.queue.close()
            self.loop.close()

    async def everything(self) -> None:
        """Nobody starves, and the thread comes to the end of what it had been asked for."""
        await asyncio.gather(*(client.reading for client in self.clients if client.reading))
        while self.queue.pending:
            await asyncio.sleep(0.001)

    def check_nothing_is_left(self) -> None:
        assert not asyncio.all_tasks(self.loop)
        assert not self.memory.loading
        # On its thread, the batch releases what the cache has dropped.
        self.queue._passes.make_room([]).result(PATIENCE)
        filled = sum(len(held) for slots in self.slots for held in slots.held)
        assert filled == self.memory.prefixes.bytes


def noting(engine: HistoryEngine, opened: list[HistorySlots]) -> None:
    """Keep the slots that are opened, to look into them."""
    open_slots: Callable[[int, int], HistorySlots] = engine.slots

    def slots(count: int, positions: int) -> HistorySlots:
        opened.append(open_slots(count, positions))
        return opened[-1]

    engine.slots = slots  # type: ignore[method-assign]


def test_every_text_is_the_reference_s_whatever_happens_around_it(rounds: Callable[[int, int], int]) -> None:
    run_state_machine_as_test(
        Scheduler, settings=settings(max_examples=rounds(10, 300), stateful_step_count=rounds(20, 50))
    )
