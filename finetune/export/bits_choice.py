"""`--bits auto`: the fewest bits, which are the fastest, whose bundle strays little enough on text that the model never met."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.engine.bundle import Bundle, Hparams, read_manifest
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.cores import cores_allowed
from finetune.checkpoint import Array, read_finite_weights
from finetune.export.calibration_texts import CalibrationTexts, corpus_texts, sampled_texts
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.parity import compare_logits, logits_step_by_step
from finetune.export.quantization import Bits
from finetune.run_folder import RunFolder

DIVERGENCE = 0.005
"""Nats per token that are little enough, unless `--divergence` says otherwise."""
CANDIDATES: tuple[Bits, ...] = (4, 8, 32)
"""From the fastest to the exact one."""
TOKENS = 1024
"""Of the texts that are compared."""
SAMPLED = 64
"""Tokens of each text, where the model has to write them itself."""


class Divergences:
    """Measures how far the bundles of a checkpoint stray from it, all on the same text where there is held-out data."""

    def __init__(self, source: CheckpointFolder) -> None:
        self._hparams: Hparams = source.hparams
        self._weights: Mapping[str, Array] = read_finite_weights(source)
        run = RunFolder(source.folder).description
        self._held_out = corpus_texts(run, source.hparams.n_ctx, "validation", TOKENS)

    def measure(self, folder: Path) -> tuple[float, str]:
        """The mean divergence of a bundle in nats per token, and of what text that is."""
        from app.engine.onnx import OnnxEngine

        engine = OnnxEngine(Bundle(folder, read_manifest(folder)), cores_allowed())
        compared: CalibrationTexts = self._held_out or sampled_texts(engine, TOKENS, SAMPLED)
        found = [
            compare_logits(logits_step_by_step(engine, text), all_logits(self._hparams, self._weights, text))
            for text in compared.texts
        ]
        mean = np.average([each.mean_kl for each in found], weights=[each.tokens for each in found])
        return float(mean), compared.source
