"""The engine that serves, compared with gpt-2-simple itself: same weights, same logits, same text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.base import Chunk, RowStep
from app.engine.batch import generate
from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.sampling import Sampling
from app.engine.tensorflow import TensorflowEngine
from finetune.export.parity import compare_logits, logits_step_by_step, read


def test_logits_of_32_bits_equal_tensorflows(
    exact: OnnxEngine, reference: TensorflowEngine, tokens: np.ndarray
) -> None:
    assert np.abs(logits_step_by_step(exact, tokens.tolist()) - reference.all_logits(tokens)).max() < 1e-4


def test_greedy_text_equals_tensorflows_over_200_tokens(exact: OnnxEngine, reference: TensorflowEngine) -> None:
    """The text is longer than the window, so the window slides too."""
    options = GenerationOptions(length=200, sampling=Sampling(temperature=0))
    ours, theirs = (
        "".join(piece.text for piece in generate(engine, prepare(engine, "Why did", options), options))
        for engine in (exact, reference)
    )
    assert ours == theirs


@pytest.mark.parametrize(("bits", "limit"), [(8, 0.02), (4, 1.0)])
def test_rounded_logits_stay_near(
    bundles: dict[int, Path], exact: OnnxEngine, tokens: np.ndarray, bits: int, limit: float
) -> None:
    rounded = OnnxEngine(open_bundle(bundles[bits]), threads=1)
    parity = compare_logits(logits_step_by_step(rounded, tokens.tolist()), logits_step_by_step(exact, tokens.tolist()))
    assert 0 < parity.mean_kl < limit


def test_a_prompt_read_at_once_gives_the_logits_of_one_read_token_by_token(
    exact: OnnxEngine, tokens: np.ndarray
) -> None:
    whole = read(exact.slots(1, len(tokens)), tokens)
    assert np.allclose(whole, logits_step_by_step(exact, tokens.tolist())[-1], atol=1e-4)


def test_a_prompt_may_be_read_in_pieces_and_copied(exact: OnnxEngine, tokens: np.ndarray) -> None:
    slots = exact.slots(3, len(tokens))
    whole = read(slots, tokens)
    for start in range(0, 35, 7):
        slots.run([], Chunk(2, tokens[start : start + 7], start))
    slots.copy(2, 1, 35)
    slots.release(2)
    assert np.allclose(slots.run([], Chunk(1, tokens[35:], 35))[0], whole, atol=1e-4)


def test_all_logits_of_a_piece(exact: OnnxEngine, tokens: np.ndarray) -> None:
    slots = exact.slots(1, len(tokens))
    first = slots.run([], Chunk(0, tokens[:20], 0, every=True)).copy()
    rest = slots.run([], Chunk(0, tokens[20:], 20, every=True))
    assert np.allclose(np.concatenate([first, rest]), logits_step_by_step(exact, tokens.tolist()), atol=1e-4)


def test_rows_of_a_batch_do_not_see_each_other(exact: OnnxEngine, tokens: np.ndarray) -> None:
    texts = (tokens, tokens[::-1].copy())
    slots = exact.slots(2, len(tokens))
    both = [slots.run([], Chunk(slot, text[:-1], 0))[0].copy() for slot, text in enumerate(texts)]
    steps = [RowStep(slot, int(text[-1]), len(text) - 1) for slot, text in enumerate(texts)]
    stepped = slots.run(steps, None).copy()
    for slot, text in enumerate(texts):
        alone = logits_step_by_step(exact, text.tolist())
        assert np.allclose(both[slot], alone[-2], atol=1e-4)
        assert np.allclose(stepped[slot], alone[-1], atol=1e-4)
