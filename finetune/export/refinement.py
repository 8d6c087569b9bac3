"""Refinement: a rounded bundle is made again with what it shows of the model while it writes a text.

The largest values of each channel tell how to smooth the weights (`smoothing`) and how to round the KV cache. They come from
text that the model samples, because text of other kinds has other ranges: those of random tokens are no good. For 4 bits, more
text tells how to round the weights (`gptq`): that of the run, where it is still there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.engine.bundle import BATCH, Bundle, Parity
from app.engine.cores import cores_allowed
from finetune.checkpoint import Array
from finetune.export.calibration_texts import CalibrationTexts, sampled_texts
from finetune.export.gptq import round_weights
from finetune.export.parity import Parities, sample_with_logits
from finetune.export.quantization import RoundedBlocks, is_small
from finetune.export.ranges import Ranges, cache_scales, measure_ranges
from finetune.export.smoothing import smooth

CALIBRATION_TOKENS = 384
SEED = 1
"""Parity is measured on the text of another."""
BATCH_DIVERGENCE = 0.005
"""Nats. The graph for batches is left out where it strays further, and further than twice as far as the main graph."""
Facts = dict[str, int | float | str]


def needs_refinement(weights: Mapping[str, Array], bits: int) -> bool:
    """Whether a bundle's activations are rounded. Those of small models are not, at 8 bits."""
    return bits == 4 or (bits == 8 and not is_small(weights))


def calibrate(bundle: Bundle, weights: Mapping[str, Array]) -> Ranges:
    """The ranges of the exact model while it reads a text that the bundle samples."""
    from app.engine.onnx import OnnxEngine

    hparams = bundle.manifest.hparams
    tokens, _ = sample_with_logits(OnnxEngine(bundle, cores_allowed()), min(CALIBRATION_TOKENS, hparams.n_ctx), SEED)
    # Over and over, so that there is a token at each position.
    return measure_ranges(hparams, weights, np.resize(tokens, hparams.n_ctx))


def refine(bundle: Bundle, weights: Mapping[str, Array], texts: CalibrationTexts | None) -> Facts:
    """Write the graphs of a bundle again. Returns what was done, for the manifest.

    At 4 bits, weights are rounded for `texts`; without those, for what the bundle samples.
    """
    from app.engine.onnx import OnnxEngine
    from finetune.export.batch_graph import build_batch_graph
    from finetune.export.graph import build_graph
    from finetune.export.graph_builder import write_graph

    hparams, bits = bundle.manifest.hparams, bundle.manifest.bits
    ranges = calibrate(bundle, weights)
    smoothed = smooth(weights, ranges.norms)
    rounded: Mapping[str, RoundedBlocks] = {}
    more: Facts = {}
    if bits == 4:
        texts = texts or sampled_texts(OnnxEngine(bundle, cores_allowed()))
        rounded = round_weights(hparams, smoothed, texts.texts)
        more = {"weights": "GPTQ", "weights_for": texts.source, "weights_for_tokens": texts.tokens}
    write_graph(
        build_graph(hparams, smoothed, bits, rounded), bundle.model, bundle.folder / f"{bundle.model.name}.data"
    )
    facts: Facts = {"smoothed": "layer norms", "calibration": "sampled text", "calibration_tokens": CALIBRATION_TOKENS}
    if bits != 8:
        return facts | more | {"batch": "none: only for 8 bits"}
    graph, data = (bundle.folder / name for name in BATCH)
    write_graph(build_batch_graph(hparams, smoothed, cache_scales(hparams, ranges)), graph, data)
    data.chmod(0o644)  # A container may run as any user.
    return facts | {"batch": "8 bits by token and column", "batch_cache_bits": 8}


def drop_batch(bundle: Bundle, parities: Parities) -> Parity | None:
    """Remove a graph for batches that strays too far. Returns the parity of one that stays."""
    if parities.batch is None:
        return None
    # Written so that NaN is refused too.
    if parities.batch.mean_kl <= max(BATCH_DIVERGENCE, 2 * parities.main.mean_kl):
        return parities.batch
    for name in BATCH:
        (bundle.folder / name).unlink()
    return None
