"""The engine that serves: ONNX Runtime over a key-value cache that stays where it is.

The graph (made by `finetune export`) writes each token's keys and values into the cache in place: the memory bound as
past_* is also bound as its output, so nothing is copied from step to step. The cache is as long as the request needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Else its official builds write an identifier to the disk and send Microsoft what is loaded and how it runs. It is read once,
# when the library starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from app.engine.base import Logits, Tokens
from app.engine.bundle import Bundle, open_bundle
from app.engine.prefix_cache import PrefixCache
from app.engine.tokenizer import Tokenizer
from app.errors import BundleError

# Keys and values of one request at most; one text over the whole window is always allowed.
CACHE_BYTES = 192 * 2**20
# A prompt is read in pieces: attention's scratch memory grows with the length of a piece times that of the prompt.
CHUNK = 128
# What is kept of texts that may be continued.
KEPT_BYTES = 96 * 2**20


class OnnxEngine:
    kind = "onnx"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        hparams = bundle.manifest.hparams
        self.name = bundle.manifest.name
        self.n_ctx = hparams.n_ctx
        self.end = bundle.manifest.end
        self.template = bundle.manifest.template
        self.tokenizer = read_tokenizer(bundle)
        self.hparams = hparams
        self.max_positions = max(self.n_ctx, CACHE_BYTES // (8 * hparams.n_layer * hparams.n_embd))
        self.session = open_session(bundle, threads)
        self.prefixes = PrefixCache(KEPT_BYTES)

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> OnnxDecoder:
        return OnnxDecoder(self, rows, positions, self.prefixes if reuse else None)


def load_bundle(folder: Path, threads: int) -> OnnxEngine:
    """Raises BundleError."""
    return OnnxEngine(open_bundle(folder), threads)


def read_tokenizer(bundle: Bundle) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(bundle.tokenizer)
    except Exception:  # The tokenizers library raises bare Exceptions.
        raise BundleError(f"{bundle.tokenizer} is not a vocabulary: export the bundle again.") from None
    if len(tokenizer) != bundle.manifest.hparams.n_vocab:
        sizes = f"{len(tokenizer)} tokens and the manifest says {bundle.manifest.hparams.n_vocab}"
        raise BundleError(f"{bundle.tokenizer} has {sizes}: export the bundle again.")
    return tokenizer


def open_session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(bundle.model), options, providers=["CPUExecutionProvider"])
    except Exception:  # Its exceptions have no common base.
        raise BundleError(
            f"{bundle.model} is not a graph that ONNX Runtime {onnxruntime.__version__} reads: export it again."
        ) from None


class OnnxDecoder:
    def __init__(self, engine: OnnxEngine, rows: int, positions: int, prefixes: PrefixCache | None) -> None:
        hparams = engine.hparams
        self._session = engine.session
        # Room to go on in, so that a conversation seldom moves.
        capacity = positions if prefixes is None else min(hparams.n_ctx, 1 << (positions - 1).bit_length())
        shape = (rows, hparams.n_head, capacity, hparams.n_embd // hparams.n_head)
        names = [f"{part}_{layer}" for layer in range(hparams.n_layer) for part in ("key", "value")]
        self._caches = {name: np.empty(shape, np.float32) for name in names}
        self._logits = np.empty((rows, hparams.n_vocab), np.float32)
        self._length = 0
        self._prefixes = prefixes
        # The first row's, in pieces, as they came.
        self._read_so_far: list[Tokens] = []

    def prefill(self, tokens: Tokens) -> Logits:
        self._read_so_far = [tokens[0]]
        for row, prompt in enumerate(tokens):
            if row and np.array_equal(prompt, tokens[0]):
                self._copy_first_row(row)
            else:
                self._read(row, prompt)
        self._length = tokens.shape[1]
        return self._logits

    def step(self, tokens: Tokens) -> Logits:
        self._step.run(tokens[:, np.newaxis], self._length)
        self._read_so_far.append(tokens[:1])
        self._length += 1
        return self._logits

    def close(self) -> None:
        if self._prefixes is not None and self._length:
            # A view of one row would hold on to the memory of all.
            alone = len(self._logits) == 1
            first = {name: cache if alone else cache[:1].copy() for name, cache in self._caches.items()}
            self._prefixes.keep(np.concatenate(self._read_so_far), first)

    @cached_property
    def _step(self) -> BoundRun:
        return self._bind(slice(None), 1)

    def _bind(self, rows: slice, n: int) -> BoundRun:
        return BoundRun(
            self._session, {name: cache[rows] for name, cache in self._caches.items()}, self._logits[rows], n
        )

    def _read(self, row: int, prompt: Tokens) -> None:
        for start in range(self._recall(row, prompt), len(prompt), CHUNK):
            piece = prompt[np.newaxis, start : start + CHUNK]
            self._bind(slice(row, row + 1), piece.shape[1]).run(piece, start)

    def _recall(self, row: int, prompt: Tokens) -> int:
        """Go on from what is kept of how the prompt begins, in its place or in a copy. Returns how many tokens that is."""
        if self._prefixes is None or self._length:
            return 0
        known, kept, yours = self._prefixes.take(prompt)
        if kept is None:
            return 0
        capacity = next(iter(self._caches.values())).shape[2]
        if yours and len(self._logits) == 1 and next(iter(kept.values())).shape[2] >= capacity:
            self._caches = dict(kept)
        else:
            for name, cache in kept.items():
                self._caches[name][row, :, :known] = cache[0, :, :known]
        return known

    def _copy_first_row(self, row: int) -> None:
        for cache in self._caches.values():
            cache[row] = cache[0]
        self._logits[row] = self._logits[0]


class BoundRun:
    """A run of the graph over n tokens a row, bound to memory once: inputs are overwritten in place from run to run."""

    def __init__(
        self, session: onnxruntime.InferenceSession, caches: Mapping[str, Logits], logits: Logits, n: int
    ) -> None:
        rows = len(logits)
        self._session = session
        self._binding = session.io_binding()
        self._tokens, self._positions = np.empty((rows, n), np.int64), np.empty(n, np.int64)
        self._last, self._total = np.empty(rows, np.int32), np.empty((), np.int32)
        past = {f"past_{name}": cache for name, cache in caches.items()}
        small: dict[str, NDArray[Any]] = {
            "tokens": self._tokens,
            "positions": self._positions,
            "last": self._last,
            "total": self._total,
        }
        # The binding holds addresses only, so what they point to is kept here.
        self._inputs: dict[str, NDArray[Any]] = small | past
        self._outputs = {"logits": logits, **caches}
        for name, array in self._inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in self._outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self, tokens: Tokens, start: int) -> None:
        """Feed tokens [rows, n] at positions start … start + n - 1."""
        end = start + tokens.shape[1]
        self._tokens[:] = tokens
        self._positions[:] = np.arange(start, end)
        self._last[:] = end - 1
        self._total[()] = end
        self._session.run_with_iobinding(self._binding)
