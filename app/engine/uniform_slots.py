"""Slots over the graph of an older export, which has one position for all rows of a pass.

The texts of one prompt are written in one pass, as neighbours. A row's last bits depend on how many they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Logits, RowStep, Tokens
from app.engine.bundle import Hparams
from app.engine.slot_memory import SlotMemory, cache_names

if TYPE_CHECKING:
    import onnxruntime

# The most runs that stay bound: each has the addresses of its memory and logits.
BOUND_RUNS = 8


class UniformSlots:
    """Slots over a graph whose rows all have the same position. The slots of one pass are neighbours."""

    def __init__(self, session: onnxruntime.InferenceSession, hparams: Hparams, count: int, capacity: int) -> None:
        self.count = count
        self.capacity = capacity
        self._session = session
        self._hparams = hparams
        self._reserved: dict[int, SlotGroup] = {}

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        if chunk:
            return self._read(chunk)
        first, last = (edge(step.slot for step in steps) for edge in (min, max))
        # A text that has ended reads a token which is never shown.
        tokens = np.zeros((1 + last - first, 1), np.int64)
        rows = [step.slot - first for step in steps]
        tokens[rows, 0] = [step.token for step in steps]
        logits = self._group(first).bind(first, len(tokens), 1).run(tokens, steps[0].position)
        return logits if len(rows) == len(logits) else logits[rows]

    def reserve(self, slots: Sequence[int], positions: int) -> None:
        group = SlotGroup(self._session, self._hparams, slots[0], len(slots), positions)
        self._reserved.update(dict.fromkeys(slots, group))

    def copy(self, source: int, target: int, length: int) -> None:
        read, written = self._group(source).caches(source, 1), self._group(target).caches(target, 1)
        for name, cache in read.items():
            written[name][:, :, :length] = cache[:, :, :length]

    def release(self, slot: int) -> None:
        if slot in self._reserved:
            del self._reserved[slot]
        else:
            self._others.release(slot)

    def close(self) -> None:
        # Whoever still holds these slots, such as a traceback, holds neither the model nor the KV cache.
        del self._session, self._reserved
        self.__dict__.pop("_others", None)

    def _group(self, slot: int) -> SlotGroup:
        return self._reserved.get(slot) or self._others

    @cached_property
    def _others(self) -> SlotGroup:
        """The slots that were not reserved."""
        return SlotGroup(self._session, self._hparams, 0, self.count, self.capacity)

    def _read(self, chunk: Chunk) -> Logits:
        """Read a piece of a prompt. The graph returns the newest logits only, so those of all tokens are computed one by one."""
        earlier = range(len(chunk.tokens) - 1) if chunk.every else ()
        scored = [self._read_piece(chunk.slot, chunk.tokens[at : at + 1], chunk.start + at).copy() for at in earlier]
        return np.concatenate([*scored, self._read_piece(chunk.slot, chunk.tokens, chunk.start)])

    def _read_piece(self, slot: int, tokens: Tokens, start: int) -> Logits:
        return self._group(slot).bind(slot, 1, len(tokens)).run(tokens[np.newaxis], start)


class SlotGroup:
    """The KV cache of neighbouring slots from `first` on, with the runs that are bound to it."""

    def __init__(
        self, session: onnxruntime.InferenceSession, hparams: Hparams, first: int, count: int, positions: int
    ) -> None:
        self._session = session
        self._n_vocab = hparams.n_vocab
        self._first = first
        shape = (hparams.n_head, positions, hparams.n_embd // hparams.n_head)
        self._memory = SlotMemory(cache_names(hparams), count, shape, np.float32, huge=True)
        self._bound: dict[tuple[int, int, int], BoundRun] = {}

    def caches(self, slot: int, count: int) -> dict[str, NDArray[np.float32]]:
        return self._memory.slot(slot - self._first, count)

    def release(self, slot: int) -> None:
        self._memory.release(slot - self._first)

    def bind(self, slot: int, rows: int, n: int) -> BoundRun:
        """A run over `n` tokens of each of `rows` slots from `slot` on."""
        key = (slot, rows, n)
        if key not in self._bound:
            if len(self._bound) == BOUND_RUNS:
                self._bound.clear()
            logits = np.empty((rows, self._n_vocab), np.float32)
            self._bound[key] = BoundRun(self._session, self.caches(slot, rows), logits, n)
        return self._bound[key]


class BoundRun:
    """Runs the graph over n tokens a row, with all memory bound once: each run overwrites the same inputs and outputs."""

    def __init__(
        self, session: onnxruntime.InferenceSession, caches: Mapping[str, NDArray[Any]], logits: Logits, n: int
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
        self._logits = logits
        self._outputs = {"logits": logits, **caches}
        for name, array in self._inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in self._outputs.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self, tokens: Tokens, start: int) -> Logits:
        """Run over tokens [rows, n] at positions start … start + n - 1. Returns the newest logits, [rows, n_vocab]."""
        end = start + tokens.shape[1]
        self._tokens[:] = tokens
        self._positions[:] = np.arange(start, end)
        self._last[:] = end - 1
        self._total[()] = end
        self._session.run_with_iobinding(self._binding)
        return self._logits
