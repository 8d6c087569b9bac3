"""The prefix cache: a text that continues an earlier one reads only its new tokens and stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.engine.base import Chunk, RowStep
from app.engine.batch import KEPT_SLOTS, TextBatch, generate
from app.engine.generation import GenerationOptions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.prefix_cache import KeptSlot, PrefixCache
from app.engine.sampling import Sampling
from app.engine.uniform_slots import UniformSlots

GREEDY = Sampling(temperature=0)


@pytest.fixture
def prefixes() -> PrefixCache:
    return PrefixCache(2**20)


@pytest.fixture
def batch(exact: OnnxEngine, prefixes: PrefixCache) -> TextBatch:
    return TextBatch(exact, 2, prefixes=prefixes)


def write(batch: TextBatch, prompt: str, **options: object) -> str:
    asked = GenerationOptions(**{"length": 12, "sampling": GREEDY} | options)  # type: ignore[arg-type]
    pieces = list(generate(batch.engine, prepare(batch.engine, prompt, asked), asked, batch=batch))
    texts = {"".join(piece.text for piece in pieces if piece.index == row) for row in range(asked.samples)}
    assert len(texts) == 1
    return texts.pop()


def kept(prefixes: PrefixCache) -> list[list[int]]:
    return [each.tokens.tolist() for each in prefixes._kept]


def test_the_next_turn_reuses_the_prefix_and_stays_the_same(batch: TextBatch, prefixes: PrefixCache) -> None:
    prompt = "Why did the duck"
    write(batch, prompt, reuse=True, length=2)
    (before,) = kept(prefixes)
    longer = prompt + " cross the road?"
    assert len(before) == len(prepare(batch.engine, prompt, GenerationOptions())) + 1
    expected = write(batch, longer)
    assert write(batch, longer, reuse=True) == expected
    assert write(batch, longer, reuse=True) == expected
    assert write(batch, longer, reuse=True, samples=2) == expected
    # The text that was written after the first turn is another one than the second turn continues; the rest is one text.
    assert len(kept(prefixes)) == 2


def test_a_repeated_prompt_reads_its_last_tokens_only(batch: TextBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    run = UniformSlots.run

    def counted(self: UniformSlots, steps: Sequence[RowStep], chunk: Chunk | None) -> Any:
        read.append(len(chunk.tokens) if chunk else len(steps))
        return run(self, steps, chunk)

    monkeypatch.setattr(UniformSlots, "run", counted)
    write(batch, "Why did the duck cross the road? It had a", reuse=True)
    first = read.copy()
    read.clear()
    write(batch, "Why did the duck cross the road? It had a", reuse=True)
    assert first[0] > 5
    assert read == [2] + [1] * (len(first) - 1)


def test_a_growing_text_takes_the_room_of_one(batch: TextBatch, prefixes: PrefixCache) -> None:
    """Suggestions are asked for at every pause, and end differently from what is typed then."""
    text = "Why did the duck cross the road? It had a bill to pay. Why did the"
    for more in (" d", " duck", " duck cr"):
        write(batch, text + more, reuse=True, length=2)
    assert len(kept(prefixes)) == 1


def test_what_has_been_read_stays_when_its_reader_leaves(
    batch: TextBatch, prefixes: PrefixCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types on before the whole text is read takes up from there."""
    monkeypatch.setattr("app.engine.batch.CHUNK_ALONE", 4)
    prompt = batch.add(prepare(batch.engine, "Why did the duck", GenerationOptions()), GenerationOptions(reuse=True))
    batch.run()
    assert prompt.unread
    batch.remove(prompt)
    assert [len(each) for each in kept(prefixes)] == [4]


def test_a_text_with_a_short_common_prefix_stays_kept(batch: TextBatch, prefixes: PrefixCache) -> None:
    write(batch, "Why did the duck cross the road?", reuse=True)
    (before,) = kept(prefixes)
    other = "Why is a cat"
    assert write(batch, other, reuse=True) == write(batch, other)
    assert before in kept(prefixes)
    assert len(kept(prefixes)) == 2


def test_nothing_is_kept_without_reuse(batch: TextBatch, prefixes: PrefixCache) -> None:
    write(batch, "Why did the duck")
    assert kept(prefixes) == []


def test_a_text_that_is_broken_off_is_kept_too(batch: TextBatch, prefixes: PrefixCache) -> None:
    options = GenerationOptions(length=12, sampling=GREEDY, reuse=True)
    tokens = prepare(batch.engine, "Why did", options)
    pieces = generate(batch.engine, tokens, options, batch=batch)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert kept(prefixes) == [tokens]


def test_more_texts_than_there_are_slots_for(exact: OnnxEngine) -> None:
    prefixes = PrefixCache(2**26)
    batch = TextBatch(exact, 2, prefixes=prefixes)
    for number in range(KEPT_SLOTS + 3):
        write(batch, f"{chr(65 + number)} duck", reuse=True, length=1)
    assert len(kept(prefixes)) == KEPT_SLOTS
    assert kept(prefixes)[-1] == prepare(batch.engine, "D duck", GenerationOptions())


def slot(number: int, tokens: Sequence[int], model: str = "a") -> KeptSlot:
    """Tokens of 32 bytes."""
    return KeptSlot(model, np.array(tokens), number, 32 * len(tokens))


def test_the_texts_used_least_recently_leave_when_the_cache_is_full() -> None:
    """There is room for ten tokens."""
    prefixes = PrefixCache(320)
    prefixes.keep(slot(1, [1, 2, 3]))
    prefixes.keep(slot(2, [7, 8, 9, 10]))
    assert prefixes.find("a", np.array([1, 2, 3, 4])) == (1, 3)
    prefixes.keep(slot(3, range(20, 25)))
    assert prefixes.find("a", np.array([7, 8, 0])) is None
    assert prefixes.find("a", np.array([1, 2, 0])) == (1, 2)
    assert prefixes.bytes == 256
    assert prefixes.take_dropped("b") == []
    assert prefixes.take_dropped("a") == [2]


def test_models_do_not_read_each_others_texts() -> None:
    prefixes = PrefixCache(320)
    prefixes.keep(slot(1, [1, 2, 3]))
    assert prefixes.find("b", np.array([1, 2, 3])) is None
    prefixes.keep(slot(1, [1, 2], model="b"))
    prefixes.forget("a")
    assert prefixes.find("a", np.array([1, 2, 3])) is None
    assert prefixes.find("b", np.array([1, 2, 3])) == (1, 2)


def test_an_empty_cache_finds_nothing() -> None:
    assert PrefixCache(320).find("a", np.array([1, 2])) is None
