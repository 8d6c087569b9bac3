"""Refinement: a rounded bundle is made again with what it shows of the model while it writes a text.

The largest values of each channel tell how to smooth the weights (`smoothing`) and how to round the KV cache. They come from
the run's text, where it is still there, else from text that the model samples: text of other kinds has other ranges, and those
of random tokens are no good. For 4 bits, more of it tells how to round the weights (`gptq`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.engine.bundle import BATCH, WEIGHTS, Bundle, Parity
from app.engine.cores import cores_allowed
from finetune.checkpoint import Array
from finetune.export.calibration_texts import CalibrationTexts, sampled_texts
from finetune.export.gptq import Say, round_weights
from finetune.export.parity import Parities
from finetune.export.quantization import RoundedBlocks, is_small
from finetune.export.ranges import Ranges, cache_scales, measure_ranges
from finetune.export.smoothing import smooth

RANGE_TOKENS, RANGE_LONGEST = 1024, 64
"""Of the texts that a bundle samples to measure ranges: many beginnings show more than a long text."""
BATCH_DIVERGENCE = 0.005
"""Nats. The graph for batches is left out where it strays further, and further than twice as far as the main graph."""
Facts = dict[str, int | float | str]


def calibrate(bundle: Bundle, weights: Mapping[str, Array], texts: CalibrationTexts | None) -> Ranges:
    """The ranges of the exact model while it reads these texts, or some that the bundle samples."""
    from app.engine.onnx import OnnxEngine

    hparams = bundle.manifest.hparams
    texts = texts or sampled_texts(OnnxEngine(bundle, cores_allowed()), RANGE_TOKENS, RANGE_LONGEST)
    # Cut, or over and over, so that there is a token at each position.
    return measure_ranges(hparams, weights, np.resize(np.concatenate(texts.texts), hparams.n_ctx))


def refine(bundle: Bundle, weights: Mapping[str, Array], texts: CalibrationTexts | None, say: Say) -> Facts:
    """Write the graphs of a bundle again. Returns what was done, for the manifest.

    At 4 bits, weights are rounded for `texts`; without those, for what the bundle samples. `say` is told what comes next.
    """
    from finetune.export.batch_graph import build_batch_graph
    from finetune.export.graph import build_graph
    from finetune.export.graph_builder import write_graph

    hparams, bits = bundle.manifest.hparams, bundle.manifest.bits
    ranges = calibrate(bundle, weights, texts)
    smoothed = smooth(weights, ranges.norms)
    more: Facts = {}
    if bits == 4 or not is_small(weights):  # Else its activations are exact.
        rounded, more = round_carefully(bundle, smoothed, texts, say) if bits == 4 else ({}, {})
        write_graph(build_graph(hparams, smoothed, bits, rounded), bundle.model, bundle.folder / WEIGHTS[1])
    channels = sum(int((smoothed[f"{name}/g"] != weights[f"{name}/g"]).sum()) for name in ranges.norms)
    facts: Facts = {"smoothed_channels": channels, "calibration": texts.source if texts else "sampled text"}
    if bits != 8:
        return facts | more | {"batch": "none: only for 8 bits"}
    graph, data = (bundle.folder / name for name in BATCH)
    write_graph(build_batch_graph(hparams, smoothed, cache_scales(hparams, ranges)), graph, data)
    data.chmod(0o644)  # A container may run as any user.
    return facts | {"batch": "8 bits by token and column", "batch_cache_bits": 8}


def round_carefully(
    bundle: Bundle, weights: Mapping[str, Array], texts: CalibrationTexts | None, say: Say
) -> tuple[dict[str, RoundedBlocks], Facts]:
    """Weights of 4 bits, and what was done."""
    from app.engine.onnx import OnnxEngine

    if texts is None:
        say("write text to round for")
        texts = sampled_texts(OnnxEngine(bundle, cores_allowed()))
    rounded = round_weights(bundle.manifest.hparams, weights, texts.texts, say)
    return rounded, {"weights": "GPTQ", "weights_for": texts.source, "weights_for_tokens": texts.tokens}


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
