"""A text that goes on from one before it reads only what is new, and writes the same."""

from __future__ import annotations

import numpy as np

from app.engine.generation import Options, generate, prepare
from app.engine.onnx import OnnxEngine
from app.engine.prefixes import Prefixes
from app.engine.sampling import Sampling

GREEDY = Sampling(temperature=0)


def write(engine: OnnxEngine, prompt: str, **options: object) -> str:
    asked = Options(length=12, sampling=GREEDY, **options)  # type: ignore[arg-type]
    return "".join(piece.text for piece in generate(engine, prepare(engine, prompt, asked), asked))


def known(engine: OnnxEngine, prompt: str) -> int:
    return engine.prefixes.find(np.array(prepare(engine, prompt, Options())))[0]


def test_the_next_turn_reads_only_what_is_new_and_writes_the_same(exact: OnnxEngine) -> None:
    exact.prefixes = Prefixes(2**20)
    prompt = "Why did the duck"
    first = write(exact, prompt, reuse=True)
    longer = prompt + first + " Why?"
    assert write(exact, longer) == write(exact, longer, reuse=True)
    assert known(exact, prompt + " cross") >= len(prepare(exact, prompt, Options()))
    # All of it is known, and the last token is read again, since its logits are not kept.
    assert known(exact, longer) == len(prepare(exact, longer, Options())) - 1
    assert write(exact, longer) == write(exact, longer, reuse=True, samples=1)


def test_nothing_is_kept_or_used_unless_asked_for(exact: OnnxEngine) -> None:
    exact.prefixes = Prefixes(2**20)
    write(exact, "Why did the duck")
    assert known(exact, "Why did the duck") == 0


def test_what_was_left_in_the_middle_is_kept_too(exact: OnnxEngine) -> None:
    exact.prefixes = Prefixes(2**20)
    options = Options(length=12, sampling=GREEDY, reuse=True)
    pieces = generate(exact, prepare(exact, "Why did", options), options)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert known(exact, "Why did the") == len(prepare(exact, "Why did", Options()))


def caches(length: int, value: float = 0.0) -> dict[str, np.ndarray]:
    return {"key_0": np.full((1, 2, length, 4), value, np.float32)}


def test_a_text_replaces_what_it_goes_on_from_and_the_oldest_leave() -> None:
    """Room for ten tokens of 32 bytes."""
    prefixes = Prefixes(320)
    prefixes.keep(np.array([1, 2]), caches(2))
    prefixes.keep(np.array([1, 2, 3]), caches(3, value=1.0))
    prefixes.keep(np.array([7, 8, 9, 10]), caches(4))
    length, found = prefixes.find(np.array([1, 2, 3, 4]))
    assert length == 3
    assert (found["key_0"] == 1).all()
    prefixes.keep(np.arange(20, 26), caches(6))
    assert prefixes.find(np.array([1, 2, 3, 4]))[0] == 0
    assert prefixes.find(np.array([7, 8, 0]))[0] == 2


def test_of_a_text_that_is_too_long_the_beginning_is_kept() -> None:
    prefixes = Prefixes(320)
    prefixes.keep(np.arange(30), caches(30))
    length, found = prefixes.find(np.arange(30))
    assert (length, found["key_0"].shape[2]) == (10, 10)


def test_nothing_kept_is_nothing_found() -> None:
    assert Prefixes(320).find(np.array([1, 2])) == (0, {})
