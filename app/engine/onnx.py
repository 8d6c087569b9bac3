"""The engine that serves: ONNX Runtime with a KV cache that is updated in place.

The graph, which `finetune export` makes, writes each token's keys and values into the KV cache itself: the memory that is bound
as an input past_* is bound as the output too, so no step copies the cache.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from functools import cached_property

# Without this, official builds write an identifier to the disk and tell Microsoft what is loaded and how it runs. The library
# reads it once, when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from app.engine.base import Slots
from app.engine.bundle import BATCH, WEIGHTS, Bundle
from app.engine.bundle_parts import check_graph, read_tokenizer
from app.engine.heap import return_free_memory
from app.engine.processor import batches_fast, has_vnni
from app.engine.profile import Profile
from app.engine.slots import OnnxSlots, read_scales
from app.engine.tokenizer import Tokenizer
from app.engine.uniform_slots import UniformSlots
from app.errors import BundleError, MachineError

# The largest KV cache of one request. One text as long as the window is always allowed.
CACHE_BYTES = 192 * 2**20
# How ONNX Runtime says that memory is too small.
NO_MEMORY = ("bad_alloc", "Cannot allocate memory")
# For each row, bytes for each token of the vocabulary: its logit, what is remembered of it, and what memory is lost between.
ROW_BYTES = 10


class OnnxEngine:
    """A bundle on ONNX Runtime. Models may share a vocabulary.

    `vocabulary` reads the vocabulary when that is first needed; else the constructor does. Both raise BundleError, the
    constructor also for a graph that is not the manifest's.
    """

    kind = "onnx"

    def __init__(
        self, bundle: Bundle, threads: int, vocabulary: Callable[[], Tokenizer] | None = None, rows: int = 1
    ) -> None:
        hparams = bundle.manifest.hparams
        # Whether it runs the graph for batches.
        self.shares_passes = bundle.has_batch and batches_fast(rows, bundle.size_of(BATCH))
        self._graph, self._data = BATCH if self.shares_passes else WEIGHTS
        check_graph(bundle, self._graph)
        self.name = bundle.manifest.name
        self.n_ctx = hparams.n_ctx
        self.end = bundle.manifest.end
        self.profile: Profile = bundle.manifest
        if vocabulary is None:
            self.tokenizer = read_tokenizer(bundle)
        else:
            self._vocabulary = vocabulary
        self.hparams = hparams
        # Keys and values of each layer, of four bytes each, or one.
        exact_bytes = 8 * hparams.n_layer * hparams.n_embd
        self.position_bytes = exact_bytes // 4 if self.shares_passes else exact_bytes
        self.max_positions = max(self.n_ctx, CACHE_BYTES // self.position_bytes)
        self.weight_bytes = bundle.weight_bytes
        if self.shares_passes:
            # One text at a time is read over a cache of four bytes.
            self.weight_bytes = bundle.size_of(BATCH) + exact_bytes * self.n_ctx
        self._bundle = bundle
        self._threads = threads
        self._session: onnxruntime.InferenceSession | None = None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return self._vocabulary()

    def load(self) -> None:
        if self._session is None:
            self._bundle.check([self._graph, self._data])
            return_free_memory()
            session = open_session(self._bundle, self._threads, self._graph)
            if self.shares_passes:
                self._check_scales(session)
            self._session = session
            # What loading took besides the weights, which is tens of megabytes even for a small model.
            return_free_memory()

    def _check_scales(self, session: onnxruntime.InferenceSession) -> None:
        """Raises BundleError unless the graph has a scale for each channel of its 8-bit cache."""
        try:
            complete = len(read_scales(session, self.hparams)) == 2 * self.hparams.n_layer
        except ValueError:  # No base 64, not UTF-8, or not so many numbers.
            complete = False
        if not complete:
            path = self._bundle.folder / self._graph
            raise BundleError(f"{path} lacks the scales of its cache: copy the whole bundle again, or export it again.")

    def free(self) -> None:
        self._session = None
        return_free_memory()

    def slots(self, count: int, positions: int) -> Slots:
        self.load()
        assert self._session is not None
        kind = OnnxSlots if self.shares_passes else UniformSlots
        return kind(self._session, self.hparams, count, positions)

    def slot_bytes(self, positions: int) -> int:
        # The keys and the values of each head begin and end within pages of their own.
        pages = 2 * self.hparams.n_layer * self.hparams.n_head * mmap.PAGESIZE
        return positions * self.position_bytes + pages + ROW_BYTES * self.hparams.n_vocab


def open_session(bundle: Bundle, threads: int, graph: str = WEIGHTS[0]) -> onnxruntime.InferenceSession:
    """A graph of the bundle, ready to run on `threads` threads.

    Raises BundleError, and MachineError where memory is too small.
    """
    try:
        return onnxruntime.InferenceSession(
            str(bundle.folder / graph),
            session_options(threads),
            providers=["CPUExecutionProvider"],
            # It would make one slow node of an addition and a layer norm.
            disabled_optimizers=["SkipLayerNormFusion"],
            # There is no other provider to fall back to, and it would print what it does.
            enable_fallback=0,
        )
    except Exception as error:  # Its exceptions have no common base.
        if any(sign in str(error) for sign in NO_MEMORY):
            raise MachineError(
                f"there is not enough memory for {bundle.folder}: allow more, or export the model with fewer bits."
            ) from None
        raise BundleError(
            f"{bundle.folder / graph} is not a graph that ONNX Runtime {onnxruntime.__version__} reads: export it again."
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
