"""The engine that serves: ONNX Runtime with a KV cache that is updated in place.

The graph, which `finetune export` makes, writes each token's keys and values into the KV cache itself: the memory that is bound
as an input past_* is bound as the output too, so no step copies the cache. The cache is as long as the request needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Without this, official builds write an identifier to the disk and tell Microsoft what is loaded and how it runs. The library
# reads it once, when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from app.engine.base import Logits, Tokens
from app.engine.bundle import WEIGHTS, Bundle
from app.engine.deadline import NEVER, Deadline
from app.engine.heap import return_free_memory
from app.engine.prefix_cache import PrefixCache
from app.engine.processor import has_vnni
from app.engine.profile import Profile
from app.engine.tokenizer import Tokenizer
from app.errors import BundleError, MachineError

# The largest KV cache of one request. One text as long as the window is always allowed.
CACHE_BYTES = 192 * 2**20
# Tokens. A prompt is read in chunks: attention's scratch memory grows with the length of a chunk times that of the prompt, and
# a chunk cannot be interrupted. It takes a quarter of a second for 124M on one core.
CHUNK = 128
# The size of the prefix cache.
PREFIX_CACHE_BYTES = 96 * 2**20
# How ONNX Runtime says that memory is too small.
NO_MEMORY = ("bad_alloc", "Cannot allocate memory")
# For each row, bytes for each token of the vocabulary: its logit, what is remembered of it, and what memory is lost between.
ROW_BYTES = 10


class OnnxEngine:
    """A bundle on ONNX Runtime. Models may share a vocabulary and a prefix cache.

    `vocabulary` reads the vocabulary when that is first needed; else the constructor does. Both raise BundleError.
    """

    kind = "onnx"

    def __init__(
        self,
        bundle: Bundle,
        threads: int,
        vocabulary: Callable[[], Tokenizer] | None = None,
        prefix_cache: PrefixCache | None = None,
    ) -> None:
        hparams = bundle.manifest.hparams
        self.name = bundle.manifest.name
        self.n_ctx = hparams.n_ctx
        self.end = bundle.manifest.end
        self.profile: Profile = bundle.manifest
        if vocabulary is None:
            self.tokenizer = read_tokenizer(bundle)
        else:
            self._vocabulary = vocabulary
        self.hparams = hparams
        # Keys and values of each layer, of four bytes each.
        self.position_bytes = 8 * hparams.n_layer * hparams.n_embd
        self.max_positions = max(self.n_ctx, CACHE_BYTES // self.position_bytes)
        self.weight_bytes = bundle.weight_bytes
        self.prefix_cache = prefix_cache or PrefixCache(PREFIX_CACHE_BYTES)
        self._bundle = bundle
        self._threads = threads
        self._session: onnxruntime.InferenceSession | None = None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return self._vocabulary()

    def load(self) -> None:
        if self._session is None:
            self._bundle.check(WEIGHTS)
            return_free_memory()
            self._session = open_session(self._bundle, self._threads)
            # What loading took besides the weights, which is tens of megabytes even for a small model.
            return_free_memory()

    def free(self) -> None:
        self._session = None
        return_free_memory()

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> OnnxDecoder:
        self.load()
        assert self._session is not None
        prefix_cache = self.prefix_cache if reuse else None
        return OnnxDecoder(self, self._session, rows, self.capacity(rows, positions, reuse), prefix_cache)

    def decoder_bytes(self, rows: int, positions: int, reuse: bool = False) -> int:
        capacity = self.capacity(rows, positions, reuse)
        return rows * (capacity * self.position_bytes + ROW_BYTES * self.hparams.n_vocab)

    def capacity(self, rows: int, positions: int, reuse: bool) -> int:
        """Positions of a KV cache. One that is cached has a power of two, so that a conversation can grow in place."""
        return min(self.n_ctx, 1 << (positions - 1).bit_length()) if reuse and rows == 1 else positions


def read_tokenizer(bundle: Bundle) -> Tokenizer:
    """The bundle's vocabulary, which must have the size that the manifest says. Raises BundleError."""
    bundle.check([bundle.tokenizer.name])
    try:
        tokenizer = Tokenizer.from_file(bundle.tokenizer)
    except Exception:  # The tokenizers library raises bare Exceptions.
        raise BundleError(f"{bundle.tokenizer} is not a vocabulary: export the bundle again.") from None
    if len(tokenizer) != bundle.manifest.hparams.n_vocab:
        sizes = f"{len(tokenizer)} tokens and the manifest says {bundle.manifest.hparams.n_vocab}"
        raise BundleError(f"{bundle.tokenizer} has {sizes}: export the bundle again.")
    return tokenizer


def open_session(bundle: Bundle, threads: int, graph: Path | None = None) -> onnxruntime.InferenceSession:
    """A graph, by default the bundle's main one, ready to run on `threads` threads.

    Raises BundleError, and MachineError where memory is too small.
    """
    graph = graph or bundle.model
    try:
        return onnxruntime.InferenceSession(
            str(graph),
            session_options(threads),
            providers=["CPUExecutionProvider"],
            # It would make one slow node of an addition and a layer norm.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
    except Exception as error:  # Its exceptions have no common base.
        if any(sign in str(error) for sign in NO_MEMORY):
            raise MachineError(
                f"there is not enough memory for {bundle.folder}: allow more, or export the model with fewer bits."
            ) from None
        raise BundleError(
            f"{graph} is not a graph that ONNX Runtime {onnxruntime.__version__} reads: export it again."
        ) from None


def session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not has_vnni():
        # There, products of unsigned and signed bytes saturate. Of two unsigned ones they are exact, and with VNNI slower.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


class OnnxDecoder:
    """A batch of texts with room for `capacity` tokens each. Every row may reuse a cached prefix; the first row is cached."""

    def __init__(
        self,
        engine: OnnxEngine,
        session: onnxruntime.InferenceSession,
        rows: int,
        capacity: int,
        prefix_cache: PrefixCache | None,
    ) -> None:
        hparams = engine.hparams
        self._model = engine.name
        self._session = session
        shape = (rows, hparams.n_head, capacity, hparams.n_embd // hparams.n_head)
        names = [f"{part}_{layer}" for layer in range(hparams.n_layer) for part in ("key", "value")]
        self._caches = {name: np.empty(shape, np.float32) for name in names}
        self._logits = np.empty((rows, hparams.n_vocab), np.float32)
        self._length = 0
        self._prefix_cache = prefix_cache
        # The tokens of the first row, in chunks, as they came.
        self._first_row: list[Tokens] = []

    def prefill(self, tokens: Tokens, deadline: Deadline = NEVER) -> Logits:
        # A text that slid out of the window has no beginning to reuse.
        reuse = self._prefix_cache if not self._length else None
        # Until all of it is read, there is nothing to keep.
        self._length = 0
        for row, prompt in enumerate(tokens):
            if row and np.array_equal(prompt, tokens[0]):
                self._copy_first_row(row)
            else:
                self._read(row, prompt, reuse, deadline)
        self._first_row, self._length = [tokens[0]], tokens.shape[1]
        return self._logits

    def step(self, tokens: Tokens) -> Logits:
        self._step.run(tokens[:, np.newaxis], self._length)
        self._first_row.append(tokens[:1])
        self._length += 1
        return self._logits

    def close(self) -> None:
        if self._prefix_cache is not None and self._length:
            # A view of one row would keep the memory of all rows.
            alone = len(self._logits) == 1
            first = {name: cache if alone else cache[:1].copy() for name, cache in self._caches.items()}
            self._prefix_cache.keep(self._model, np.concatenate(self._first_row), first)
        # Whoever still holds this decoder, such as a traceback, holds neither the model nor the KV cache.
        del self._session, self._caches, self._logits
        self.__dict__.pop("_step", None)

    @cached_property
    def _step(self) -> BoundRun:
        return self._bind(slice(None), 1)

    def _bind(self, rows: slice, n: int) -> BoundRun:
        return BoundRun(
            self._session, {name: cache[rows] for name, cache in self._caches.items()}, self._logits[rows], n
        )

    def _read(self, row: int, prompt: Tokens, prefixes: PrefixCache | None, deadline: Deadline) -> None:
        """Read a row's tokens, chunk by chunk. Raises DeadlinePassed."""
        for start in range(self._reuse_prefix(row, prompt, prefixes), len(prompt), CHUNK):
            deadline.check()
            chunk = prompt[np.newaxis, start : start + CHUNK]
            self._bind(slice(row, row + 1), chunk.shape[1]).run(chunk, start)

    def _reuse_prefix(self, row: int, prompt: Tokens, prefixes: PrefixCache | None) -> int:
        """Reuse a cached prefix, in place if owned, else copied. Returns the number of tokens skipped."""
        prefix = prefixes.take(self._model, prompt) if prefixes is not None else None
        if prefix is None:
            return 0
        capacity = next(iter(self._caches.values())).shape[2]
        if prefix.owned and len(self._logits) == 1 and next(iter(prefix.cache.values())).shape[2] >= capacity:
            self._caches = dict(prefix.cache)
        else:
            for name, cache in prefix.cache.items():
                self._caches[name][row, :, : prefix.length] = cache[0, :, : prefix.length]
        return prefix.length

    def _copy_first_row(self, row: int) -> None:
        for cache in self._caches.values():
            cache[row] = cache[0]
        self._logits[row] = self._logits[0]


class BoundRun:
    """Runs the graph over n tokens a row, with all memory bound once: each run overwrites the same inputs and outputs."""

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
        # The binding holds addresses only, so the arrays must be kept alive here.
        self._inputs: dict[str, NDArray[Any]] = small | past
        self._outputs = {"logits": logits, **caches}
        for name, array in self._inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in self._outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self, tokens: Tokens, start: int) -> None:
        """Run over tokens [rows, n] at positions start … start + n - 1."""
        end = start + tokens.shape[1]
        self._tokens[:] = tokens
        self._positions[:] = np.arange(start, end)
        self._last[:] = end - 1
        self._total[()] = end
        self._session.run_with_iobinding(self._binding)
