"""A rounded bundle is smoothed, gets a graph for batches, and its manifest says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import BATCH, Bundle, Hparams, Parity, open_bundle, read_manifest
from app.errors import BundleError
from finetune.checkpoint import Array, initial_weights
from finetune.commands.export import export
from finetune.export.batch_graph import build_batch_graph
from finetune.export.graph_builder import write_graph
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.parity import Parities, batch_logits, compare_logits
from finetune.export.ranges import cache_scales, measure_ranges
from finetune.export.refinement import drop_batch
from finetune.export.smoothing import READERS, smooth

HPARAMS = Hparams(n_vocab=97, n_ctx=64, n_embd=64, n_head=2, n_layer=2)
WEIGHTS = {name: w * 8 if w.ndim > 1 else w for name, w in initial_weights(HPARAMS, seed=2).items()}
TEXT = np.random.default_rng(5).integers(0, HPARAMS.n_vocab, HPARAMS.n_ctx)


def with_large_channels(weights: dict[str, Array]) -> dict[str, Array]:
    """The same function, in which three channels of each layer norm are thirty times as large."""
    changed = {name: w.copy() for name, w in weights.items()}
    random = np.random.default_rng(0)
    for layer in range(HPARAMS.n_layer):
        for norm, reader in READERS.items():
            channels = random.choice(HPARAMS.n_embd, 3, replace=False)
            for part in ("g", "b"):
                changed[f"h{layer}/{norm}/{part}"][channels] *= 30
            changed[f"h{layer}/{reader}/w"][0, channels] /= 30
    return changed


def divergence(weights: dict[str, Array], folder: Path, bundle: Bundle) -> float:
    """How far the graph for batches is from the model."""
    ranges = measure_ranges(HPARAMS, weights, TEXT)
    write_graph(build_batch_graph(HPARAMS, weights, cache_scales(HPARAMS, ranges)), *(folder / name for name in BATCH))
    return compare_logits(batch_logits(bundle, TEXT), all_logits(HPARAMS, WEIGHTS, TEXT)).mean_kl


def test_large_channels_cost_nothing_once_they_are_smoothed(bundles: dict[int, Path], tmp_path: Path) -> None:
    """Three of them, such as GPT-2's own weights have, made rounded activations stray many times as far."""
    import msgspec

    bundle = Bundle(tmp_path, msgspec.structs.replace(read_manifest(bundles[8]), hparams=HPARAMS))
    large = with_large_channels(WEIGHTS)
    assert np.allclose(all_logits(HPARAMS, large, TEXT), all_logits(HPARAMS, WEIGHTS, TEXT), atol=1e-3)
    smoothed = smooth(large, measure_ranges(HPARAMS, large, TEXT).norms)
    assert np.allclose(all_logits(HPARAMS, smoothed, TEXT), all_logits(HPARAMS, WEIGHTS, TEXT), atol=1e-3)
    before, rough, after = (divergence(weights, tmp_path, bundle) for weights in (WEIGHTS, large, smoothed))
    assert rough > 5 * before
    assert after < 1.5 * before


def test_a_model_without_large_channels_stays_as_it_is() -> None:
    ranges = measure_ranges(HPARAMS, WEIGHTS, TEXT)
    smoothed = smooth(WEIGHTS, ranges.norms)
    assert all(np.array_equal(smoothed[name], weight) for name, weight in WEIGHTS.items())


def test_the_manifest_says_what_was_done(bundles: dict[int, Path]) -> None:
    exact, eight, four = (read_manifest(bundles[bits]) for bits in (32, 8, 4))
    assert (exact.rounding, exact.batch) == ({}, None)
    assert four.batch is None
    assert four.rounding["calibration"] == "sampled text"
    assert eight.batch is not None
    assert 0 < eight.batch.mean_kl < 0.05
    assert eight.rounding["batch_cache_bits"] == 8


def test_a_changed_graph_for_batches_is_refused(bundles: dict[int, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundles[8], copy)
    (copy / "batch.onnx.data").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"batch\.onnx\.data is not the file its manifest describes"):
        open_bundle(copy)
    (copy / "batch.onnx.data").unlink()
    with pytest.raises(BundleError, match=r"batch\.onnx\.data is missing"):
        open_bundle(copy)


def test_a_newer_export_leaves_no_older_graph_behind(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.export.quantization.SMALL_MODEL_BYTES", 0)
    out = tmp_path / "model"
    export(checkpoint, out, bits=8)
    assert (out / "batch.onnx").exists()
    export(checkpoint, out, bits=32)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json"}


@pytest.mark.parametrize(("main", "batch", "stays"), [(0.001, 0.004, True), (0.01, 0.019, True), (0.001, 0.02, False)])
def test_a_graph_for_batches_that_strays_is_left_out(
    bundles: dict[int, Path], tmp_path: Path, main: float, batch: float, stays: bool
) -> None:
    for name in BATCH:
        (tmp_path / name).touch()
    found = [Parity(tokens=1, max_difference=0, mean_kl=mean_kl, same_choice=1) for mean_kl in (main, batch)]
    kept = drop_batch(Bundle(tmp_path, read_manifest(bundles[8])), Parities(*found))
    assert (kept is not None) == (tmp_path / "batch.onnx").exists() == stays
