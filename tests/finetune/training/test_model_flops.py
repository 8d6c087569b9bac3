"""The operations of a token are those that the model's matrices take."""

from __future__ import annotations

import pytest

from app.engine.bundle import Hparams
from finetune.checkpoint import initial_weights
from finetune.training.model_flops import ModelFlops, flops_per_token


def test_every_weight_that_multiplies_counts() -> None:
    hparams = Hparams(n_vocab=300, n_ctx=64, n_embd=32, n_head=4, n_layer=3)
    weights = initial_weights(hparams)
    multiplying = sum(weight.size for name, weight in weights.items() if weight.ndim > 1 and name != "wpe")
    assert flops_per_token(hparams, 1) - 12 * 3 * 32 == 6 * multiplying


def test_gpt_2_at_its_full_window() -> None:
    """124M: 0.854 GFLOP a token, so that 357,852 tokens a second are 306 TFLOP/s."""
    hparams = Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)
    flops = ModelFlops(flops_per_token(hparams, 1024), peak=989.5e12)
    assert flops.per_token == pytest.approx(0.854e9, rel=1e-3)
    assert flops.utilisation(357_852) == pytest.approx(0.309, abs=1e-3)


def test_without_a_peak_there_is_no_share_of_it() -> None:
    assert ModelFlops(1e9, peak=None).utilisation(1e5) is None
