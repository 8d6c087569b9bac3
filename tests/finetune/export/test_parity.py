"""Parity is measured for each bundle, and one that strays from TensorFlow is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import EndMarker, Hparams, Parity, open_bundle, read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import BundleError
from finetune.commands.export import export
from finetune.export.bundle_writer import write_manifest
from finetune.export.checkpoint_engine import temporary_bundle
from finetune.export.parity import check_parity, compare_logits


def parity_of(bundle: Path) -> Parity:
    parity = read_manifest(bundle).parity
    assert parity is not None
    return parity


def test_parity_is_measured_for_each_rounding(bundles: dict[int, Path]) -> None:
    exact, eight, four = (parity_of(bundles[bits]) for bits in (32, 8, 4))
    assert exact.max_difference < 1e-4
    assert exact.same_choice == 1
    assert exact.mean_kl < eight.mean_kl < four.mean_kl


@pytest.mark.parametrize("stray", [0.2, float("nan"), float("inf")])
def test_a_bundle_that_strays_too_far_is_refused(stray: float) -> None:
    with pytest.raises(BundleError, match="strays from TensorFlow"):
        check_parity(Parity(tokens=1, max_difference=0, mean_kl=stray, same_choice=1), bits=8)


def test_a_bundle_made_of_other_weights_strays(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check notices a wrong graph: here one layer has the weights of another."""
    import finetune.export.graph

    right = finetune.export.graph.build_graph

    def wrong(hparams: Hparams, weights: dict[str, np.ndarray], bits: int) -> object:
        return right(hparams, weights | {"h0/mlp/c_fc/w": weights["h1/mlp/c_fc/w"]}, bits)

    monkeypatch.setattr("finetune.export.graph.build_graph", wrong)
    with pytest.raises(BundleError, match="strays from TensorFlow"):
        export(checkpoint, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_divergence_of_known_distributions() -> None:
    ours, theirs = np.log([[0.5, 0.5]]).astype(np.float32), np.log([[0.25, 0.75]]).astype(np.float32)
    expected = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)
    assert compare_logits(ours, theirs).mean_kl == pytest.approx(expected, rel=1e-5)
    assert compare_logits(theirs, theirs) == Parity(tokens=1, max_difference=0, mean_kl=0, same_choice=1)


def test_a_bundle_that_is_only_sampled_from_claims_no_parity(checkpoint: Path) -> None:
    """Its manifest once had zeros, as if it had been measured and found exact."""
    source = open_checkpoint(checkpoint)
    with temporary_bundle(source, 8, EndMarker(text="<|endoftext|>")) as bundle:
        assert bundle.manifest.parity is None
        write_manifest(bundle.folder, bundle.manifest)
        assert open_bundle(bundle.folder, "crc32") == bundle
