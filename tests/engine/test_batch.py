"""The batch: who is in a pass, who waits, and how texts leave."""

from __future__ import annotations

from contextlib import suppress

from app.engine.batch import TextBatch, generate
from app.engine.batched_prompt import BatchedPrompt
from app.engine.deadline import Deadline, DeadlinePassed
from app.engine.generation import GenerationOptions
from tests.fakes.history_engine import HistoryEngine


def test_who_writes_gets_a_token_in_every_pass_while_a_long_prompt_is_read() -> None:
    """A request waited for the whole text of another, and a prompt of a thousand tokens delayed all for a second."""
    engine = HistoryEngine(n_ctx=1024)
    batch = TextBatch(engine, 3)
    free = GenerationOptions(length=100, ignore_end=True)
    writers = [batch.add([5, number], free) for number in range(2)]
    for _ in range(3):
        batch.run()
    for prompt in writers:
        prompt.take()
    late = batch.add([1] * 1000, GenerationOptions(length=1))
    passes = 0
    while not late.ended:
        batch.run()
        passes += 1
        assert [len(prompt.take()) for prompt in writers] == [1, 1]
    assert passes == -(-1000 // 32)
    assert all(each.read <= 32 for each in engine.passes[-passes:])


def test_prompts_are_read_in_the_order_in_which_they_came() -> None:
    engine = HistoryEngine(n_ctx=1024)
    batch = TextBatch(engine, 4)
    asked = [batch.add([number] * 200, GenerationOptions(length=1)) for number in range(4)]
    ended: list[BatchedPrompt] = []
    while batch.prompts:
        batch.run()
        ended += [prompt for prompt in asked if prompt.ended and prompt not in ended]
    assert ended == asked
    chunks = [each.chunk for each in engine.passes]
    assert chunks == sorted(chunks, key=chunks.index)


def test_a_prompt_waits_for_slots_and_takes_them_as_soon_as_they_are_free() -> None:
    engine = HistoryEngine()
    batch = TextBatch(engine, 2)
    short, long = (batch.add([5], GenerationOptions(length=n, ignore_end=True)) for n in (3, 30))
    waiting = batch.add([6], GenerationOptions(length=1))
    while not short.ended:
        batch.run()
        assert not waiting.begun
    batch.run()
    assert waiting.ended
    assert not long.ended


def test_a_text_that_is_removed_is_in_no_further_pass() -> None:
    engine = HistoryEngine()
    batch = TextBatch(engine, 2)
    gone, stays = (batch.add([5, 6], GenerationOptions(length=50, ignore_end=True)) for _ in range(2))
    for _ in range(4):
        batch.run()
    batch.remove(gone)
    batch.run()
    assert engine.passes[-1].steps == [1]
    assert not stays.ended


def test_a_text_whose_time_is_up_ends_and_the_others_go_on() -> None:
    batch, deadline = TextBatch(HistoryEngine(), 2), Deadline()
    late = batch.add([5, 6], GenerationOptions(length=50, ignore_end=True), deadline)
    other = batch.add([5, 6], GenerationOptions(length=20, ignore_end=True))
    for _ in range(4):
        batch.run()
    deadline.at = 0.0
    while batch.prompts:
        batch.run()
    assert late.take()[-1].finish_reason == "timeout"
    assert other.take()[-1].finish_reason == "length"
    never = batch.add([5], GenerationOptions(), Deadline(0.0))
    batch.run()
    assert isinstance(never.error, DeadlinePassed)


class PickyEngine(HistoryEngine):
    """Token 66 cannot be decoded."""

    def __init__(self) -> None:
        super().__init__()
        bytes_of = self.tokenizer.bytes_of

        def picky(token: int) -> bytes:
            if token == 66:
                raise ZeroDivisionError
            return bytes_of(token)

        self.tokenizer.bytes_of = picky  # type: ignore[method-assign]


def test_what_goes_wrong_in_a_text_ends_no_other() -> None:
    engine = PickyEngine()
    batch = TextBatch(engine, 2)
    broken = batch.add([5, 6], GenerationOptions(length=9, bias={66: 100.0}))
    whole = batch.add([5, 6], GenerationOptions(length=9, ignore_end=True, bias={66: -100.0}))
    while batch.prompts:
        batch.run()
    assert isinstance(broken.error, ZeroDivisionError)
    assert sum(delta.tokens for delta in whole.take()) == 9


def test_a_generation_that_is_not_read_on_frees_its_slots() -> None:
    engine = HistoryEngine()
    batch = TextBatch(engine, 1)
    for _ in range(3):
        deltas = generate(engine, [5, 6], GenerationOptions(length=50, ignore_end=True), batch=batch)
        next(deltas)
        deltas.close()  # type: ignore[attr-defined]
    assert batch.prompts == []
    with suppress(DeadlinePassed):
        list(generate(engine, [5], GenerationOptions(), Deadline(0.0), batch))
    assert batch.prompts == []
