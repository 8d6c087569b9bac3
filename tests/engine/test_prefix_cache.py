"""The prefix cache: a text that continues an earlier one reads only its new tokens and stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from app.engine.generation import GenerationOptions, generate, prepare
from app.engine.onnx import BoundRun, OnnxEngine
from app.engine.prefix_cache import PrefixCache
from app.engine.sampling import Sampling

GREEDY = Sampling(temperature=0)


def write(engine: OnnxEngine, prompt: str, **options: object) -> str:
    asked = GenerationOptions(**{"length": 12, "sampling": GREEDY} | options)  # type: ignore[arg-type]
    pieces = list(generate(engine, prepare(engine, prompt, asked), asked))
    texts = {"".join(piece.text for piece in pieces if piece.index == row) for row in range(asked.samples)}
    assert len(texts) == 1
    return texts.pop()


def kept(engine: OnnxEngine) -> list[list[int]]:
    return [text.tokens.tolist() for text in engine.prefix_cache._kept]


def test_the_next_turn_reuses_the_prefix_and_stays_the_same(exact: OnnxEngine) -> None:
    exact.prefix_cache = PrefixCache(2**20)
    prompt = "Why did the duck"
    write(exact, prompt, reuse=True, length=2)
    (before,) = kept(exact)
    longer = prompt + " cross the road?"
    assert len(before) == len(prepare(exact, prompt, GenerationOptions())) + 1
    expected = write(exact, longer)
    assert write(exact, longer, reuse=True) == expected
    # The second turn took over the first turn's KV cache, and so does a second try, which reads the last token only.
    assert len(kept(exact)) == 1
    assert write(exact, longer, reuse=True) == expected
    assert write(exact, longer, reuse=True, samples=2) == expected


def test_a_repeated_prompt_reads_its_last_token_only(exact: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    exact.prefix_cache = PrefixCache(2**20)
    read: list[int] = []
    run = BoundRun.run

    def counted(self: BoundRun, tokens: np.ndarray, start: int) -> None:
        read.append(tokens.shape[1])
        run(self, tokens, start)

    monkeypatch.setattr(BoundRun, "run", counted)
    write(exact, "Why did the duck cross the road? It had a", reuse=True)
    first = read.copy()
    read.clear()
    write(exact, "Why did the duck cross the road? It had a", reuse=True)
    assert first[0] > 5
    assert read == [1] * len(first)


def test_a_short_common_prefix_is_copied_and_its_text_stays_cached(exact: OnnxEngine) -> None:
    exact.prefix_cache = PrefixCache(2**20)
    write(exact, "Why did the duck cross the road?", reuse=True)
    (before,) = kept(exact)
    other = "Why is a cat"
    assert write(exact, other, reuse=True) == write(exact, other)
    assert before in kept(exact)
    assert len(kept(exact)) == 2


def test_nothing_is_cached_without_reuse(exact: OnnxEngine) -> None:
    exact.prefix_cache = PrefixCache(2**20)
    write(exact, "Why did the duck")
    assert kept(exact) == []


def test_a_text_that_is_broken_off_is_cached_too(exact: OnnxEngine) -> None:
    exact.prefix_cache = PrefixCache(2**20)
    options = GenerationOptions(length=12, sampling=GREEDY, reuse=True)
    tokens = prepare(exact, "Why did", options)
    pieces = generate(exact, tokens, options)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert kept(exact) == [tokens]


def caches(length: int, value: float = 0.0) -> dict[str, np.ndarray]:
    return {"key_0": np.full((1, 2, length, 4), value, np.float32)}


def test_the_oldest_texts_leave_when_the_cache_is_full() -> None:
    """There is room for ten tokens of 32 bytes."""
    prefixes = PrefixCache(320)
    prefixes.keep("a", np.array([1, 2, 3]), caches(3, value=1.0))
    prefixes.keep("a", np.array([7, 8, 9, 10]), caches(4))
    found = prefixes.take("a", np.array([1, 2, 3, 4]))
    assert found is not None
    assert (found.length, found.owned) == (3, True)
    assert (found.cache["key_0"] == 1).all()
    assert prefixes.take("a", np.array([1, 2, 3, 4])) is None
    prefixes.keep("a", np.array([1, 2, 3]), found.cache)
    prefixes.keep("a", np.arange(20, 25), caches(5))
    assert prefixes.take("a", np.array([7, 8, 0])) is None
    again = prefixes.take("a", np.array([1, 2, 3, 4]))
    assert again is not None
    assert again.length == 3


def test_a_text_of_which_less_than_half_is_reused_stays_cached() -> None:
    prefixes = PrefixCache(320)
    prefixes.keep("a", np.array([7, 8, 9, 10]), caches(4))
    for _ in range(2):
        found = prefixes.take("a", np.array([7, 8, 0]))
        assert found is not None
        assert (found.length, found.owned) == (2, False)


def test_the_beginning_of_a_too_long_text_is_cached() -> None:
    prefixes = PrefixCache(320)
    prefixes.keep("a", np.arange(30), caches(30))
    found = prefixes.take("a", np.arange(30))
    assert found is not None
    assert (found.length, found.cache["key_0"].shape[2]) == (10, 10)


def test_an_empty_cache_finds_nothing() -> None:
    assert PrefixCache(320).take("a", np.array([1, 2])) is None
