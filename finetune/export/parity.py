"""Parity: how far a bundle's logits are from a reference's on the same text.

The bundle samples a text, the reference reads it, and the logits at every position are compared. The reference is
gpt-2-simple's own graph on TensorFlow or, where neither is installed, `numpy_gpt2`. A bundle that is further off than
rounding explains is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Engine, RowStep, Slots
from app.engine.bundle import BATCH, Bundle, Parity
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.cores import cores_allowed
from app.engine.sampling import softmax
from app.errors import BundleError
from finetune.checkpoint import Array
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.quantization import Bits

PARITY_TOKENS = 192
LIMITS: dict[Bits, float] = {32: 1e-6, 8: 0.05, 4: 1.0}
"""The largest mean divergence, in nats, that rounding to this many bits explains."""
Logits = NDArray[np.float32]


class Parities(NamedTuple):
    """Of a bundle's graph, and of its graph for batches where it has one."""

    main: Parity
    batch: Parity | None


def measure_parity(source: CheckpointFolder, bundle: Bundle) -> Parities:
    """Compare a bundle with the checkpoint that it was made of, on a text that the bundle samples."""
    from app.engine.tensorflow import TensorflowEngine

    return compare_graphs(bundle, TensorflowEngine(source, cores_allowed()).all_logits)


def measure_parity_by_numpy(weights: Mapping[str, Array], bundle: Bundle) -> Parities:
    """Compare a bundle with GPT-2 written out in NumPy, on a text that the bundle samples."""
    main, batch = compare_graphs(bundle, partial(all_logits, bundle.manifest.hparams, weights))
    by_numpy = partial(msgspec.structs.replace, reference="NumPy")
    return Parities(by_numpy(main), batch and by_numpy(batch))


def compare_graphs(bundle: Bundle, reference: Callable[[NDArray[np.int64]], Logits]) -> Parities:
    from app.engine.onnx import OnnxEngine

    length = min(PARITY_TOKENS, bundle.manifest.hparams.n_ctx)
    tokens, ours = sample_with_logits(OnnxEngine(bundle, cores_allowed()), length)
    theirs = reference(tokens)
    has_batch = (bundle.folder / BATCH[0]).is_file()
    return Parities(
        compare_logits(ours, theirs), compare_logits(batch_logits(bundle, tokens), theirs) if has_batch else None
    )


def batch_logits(bundle: Bundle, tokens: NDArray[np.int64]) -> Logits:
    """The logits after each token, [n, n_vocab], by the graph for batches: half of them read as a prompt, half written."""
    from app.engine.onnx import open_session
    from app.engine.slots import OnnxSlots

    session = open_session(bundle, cores_allowed(), BATCH[0])
    middle = -(-len(tokens) // 2)
    with closing(OnnxSlots(session, bundle.manifest.hparams, 1, len(tokens))) as slots:
        read = slots.run([], Chunk(0, tokens[:middle], 0, every=True)).copy()
        written = [step(slots, token, position) for position, token in enumerate(tokens[middle:], middle)]
    return np.concatenate([read, np.stack(written)])


def sample_with_logits(engine: Engine, length: int, seed: int = 0) -> tuple[NDArray[np.int64], Logits]:
    """Sample a text at temperature 1. Returns its tokens [length] and the logits after each, [length, n_vocab]."""
    random = np.random.default_rng(seed)
    first = engine.tokenizer.end_of_text or 0
    with closing(engine.slots(1, length)) as slots:
        tokens, logits = [first], [read(slots, [first])]
        while len(tokens) < length:
            probabilities = softmax(logits[-1]).astype(np.float64)
            tokens.append(int(random.choice(len(probabilities), p=probabilities / probabilities.sum())))
            logits.append(step(slots, tokens[-1], len(tokens) - 1))
        # The last logits come from reading the whole text at once, as a prompt is read, so that this path is compared too.
        logits[-1] = read(slots, tokens)
    return np.array(tokens), np.stack(logits)


def logits_step_by_step(engine: Engine, tokens: Sequence[int] | NDArray[np.int64]) -> Logits:
    """Feed a text token by token, as generation does. Returns the logits after each, [n, n_vocab]."""
    with closing(engine.slots(1, len(tokens))) as slots:
        logits = [read(slots, tokens[:1])]
        return np.stack(logits + [step(slots, token, at) for at, token in enumerate(tokens[1:], 1)])


def read(slots: Slots, tokens: Sequence[int] | NDArray[np.int64]) -> Logits:
    """Read a whole text into the first slot. Returns the logits after it, [n_vocab]."""
    logits: Logits = slots.run([], Chunk(0, np.asarray(tokens, np.int64), 0))[0].copy()
    return logits


def step(slots: Slots, token: int, position: int) -> Logits:
    """Read one more token of the text in the first slot. Returns the logits after it, [n_vocab]."""
    logits: Logits = slots.run([RowStep(0, int(token), position)], None)[0].copy()
    return logits


def compare_logits(ours: Logits, theirs: Logits) -> Parity:
    """Compare logits [n, n_vocab] with the reference's at the same positions."""
    p, q = (rows - np.logaddexp.reduce(rows.astype(np.float64), axis=-1, keepdims=True) for rows in (theirs, ours))
    return Parity(
        tokens=len(ours),
        max_difference=float(np.abs(ours - theirs).max()),
        mean_kl=max(0.0, float((np.exp(p) * (p - q)).sum(axis=-1).mean())),
        same_choice=float((ours.argmax(-1) == theirs.argmax(-1)).mean()),
    )


def check_parity(parity: Parity, bits: Bits) -> None:
    """Raises BundleError where the bundle strays further from its reference than rounding explains."""
    # Written so that NaN is refused too.
    if not parity.mean_kl <= LIMITS[bits]:
        raise BundleError(
            f"the bundle strays from {parity.reference} by {parity.mean_kl:.2g} nats per token, more than {LIMITS[bits]:g}: "
            "it was not written; try more bits."
        )
