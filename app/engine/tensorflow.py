"""The reference engine: gpt-2-simple's own graph on TensorFlow, from its own checkpoint.

It is slow and large; its use is that every other engine is measured against it. `ENGINE=tensorflow MODEL=checkpoint/run1` serves
with it. Importing gpt_2_simple switches TensorFlow's eager execution off for the whole process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Logits, RowStep, Tokens
from app.engine.bundle import EndMarker
from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.engine.profile import Profile
from app.engine.tokenizer import END_OF_TEXT
from app.errors import CheckpointError, MachineError


class TensorflowEngine:
    """A checkpoint, or one of its saves, on TensorFlow. `end` is how its texts end, by default with gpt-2-simple's string.

    The constructor raises CheckpointError, and MachineError if TensorFlow is not installed.
    """

    kind = "tensorflow"
    shares_passes = False

    def __init__(self, source: Path | CheckpointFolder, threads: int = 1, end: EndMarker | None = None) -> None:
        checkpoint = source if isinstance(source, CheckpointFolder) else open_checkpoint(source)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            import gpt_2_simple
            import tensorflow as tf
            from gpt_2_simple.src import model
        except ImportError:
            raise MachineError(
                "ENGINE=tensorflow needs requirements/training.txt, which is not installed here."
            ) from None
        self.hparams = checkpoint.hparams
        self.name = (source if isinstance(source, Path) else source.folder).resolve().name
        self.n_ctx = self.hparams.n_ctx
        self.profile = Profile()
        self.max_positions = 8 * self.n_ctx
        self.weight_bytes = 0
        self.end = end or EndMarker(text=END_OF_TEXT)
        self.tokenizer = checkpoint.tokenizer
        tf.compat.v1.reset_default_graph()
        self.session = gpt_2_simple.start_tf_sess(threads=threads)
        # The graph is built once. gpt-2-simple's generate() adds to it at each call and never frees that: its memory leak.
        shape = model.past_shape(hparams=self.hparams, batch_size=None, sequence=None)
        self.tokens = tf.compat.v1.placeholder(tf.int32, [None, None])
        self.past = tf.compat.v1.placeholder(tf.float32, shape)
        output = model.model(hparams=self.hparams, X=self.tokens, past=self.past)
        self.logits, self.present = output["logits"], output["present"]
        # Not by gpt-2-simple's load_gpt2, which first fills the variables with random numbers: that doubles their memory.
        try:
            stored = tf.train.load_checkpoint(str(checkpoint.held.prefix)).get_variable_to_shape_map()
            refuse_other_shapes(tf.compat.v1.global_variables(), stored, self.hparams.n_layer)
            tf.compat.v1.train.Saver().restore(self.session, str(checkpoint.held.prefix))
        except (tf.errors.OpError, ValueError, RuntimeError):
            raise CheckpointError(
                f"{checkpoint.prefix} is damaged, or hparams.json is of another model: copy the whole checkpoint folder again."
            ) from None

    def load(self) -> None:
        """The constructor has loaded the weights: this engine never serves more than one model."""

    def free(self) -> None:
        """Nothing is freed, as there is no other model that could need the memory."""

    def slots(self, count: int, positions: int) -> TensorflowSlots:
        return TensorflowSlots(self, count, positions)

    def slot_bytes(self, positions: int) -> int:
        return 8 * self.hparams.n_layer * self.hparams.n_embd * positions

    def all_logits(self, tokens: Tokens) -> NDArray[np.float32]:
        """The logits after each of the tokens [n] of one text, 1 ≤ n ≤ n_ctx, [n, n_vocab]. The caller may overwrite them."""
        rows = self.session.run(self.logits, self.feed(tokens[np.newaxis], self.empty_past(1)))
        logits: NDArray[np.float32] = rows[0]
        return logits

    def empty_past(self, rows: int) -> NDArray[np.float32]:
        """The KV cache before the first token, [rows, n_layer, 2, n_head, 0, n_embd / n_head]."""
        shape = self.hparams
        return np.zeros((rows, shape.n_layer, 2, shape.n_head, 0, shape.n_embd // shape.n_head), np.float32)

    def feed(self, tokens: Tokens, past: NDArray[np.float32]) -> dict[object, object]:
        return {self.tokens: tokens, self.past: past}


def refuse_other_shapes(variables: Sequence[Any], stored: Mapping[str, Sequence[int]], n_layer: int) -> None:
    """Raises ValueError unless a save has the variables of the graph: TensorFlow restores other shapes without a word."""
    shapes = {variable.op.name: variable.shape.as_list() for variable in variables}
    if any(list(stored.get(name, ())) != shape for name, shape in shapes.items()):
        raise ValueError("hparams.json and the weights differ")
    if any(name.startswith(f"model/h{n_layer}/") for name in stored):
        raise ValueError("the weights have more layers than hparams.json")


class TensorflowSlots:
    """A KV cache for each text, which is copied at each step. Texts run one by one."""

    def __init__(self, engine: TensorflowEngine, count: int, capacity: int) -> None:
        self.count = count
        self.capacity = capacity
        self._engine = engine
        self._pasts: dict[int, NDArray[np.float32]] = {}

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        chunks = [Chunk(step.slot, np.array([step.token], np.int64), step.position) for step in steps]
        return np.concatenate([self._read(each) for each in (*chunks, *filter(None, [chunk]))])

    def reserve(self, slots: Sequence[int], positions: int) -> None:
        """A cache is as long as its text."""

    def copy(self, source: int, target: int, length: int) -> None:
        self._pasts[target] = self._pasts[source][..., :length, :]

    def release(self, slot: int) -> None:
        self._pasts.pop(slot, None)

    def close(self) -> None:
        self._pasts.clear()

    def _read(self, chunk: Chunk) -> Logits:
        """The logits after each token of the chunk if they are all wanted, else after the last one."""
        engine = self._engine
        past = self._pasts[chunk.slot][..., : chunk.start, :] if chunk.start else engine.empty_past(1)
        wanted = [engine.logits, engine.present]
        logits, present = engine.session.run(wanted, engine.feed(chunk.tokens[np.newaxis], past))
        self._pasts[chunk.slot] = np.concatenate([past, present], axis=-2)
        rows: Logits = logits[0]
        return rows if chunk.every else rows[-1:]
