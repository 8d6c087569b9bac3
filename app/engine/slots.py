"""Slots: the KV caches of several texts of one model, and the passes over them.

A pass reads one more token of each running row and, beside them, a chunk of one more text. Each slot is a place in one array
[slots, heads, capacity, head size] for keys and one for values of each layer, which never move. The graph writes into them.

Where the KV cache has 8 bits, a chunk is read over a float32 scratch that all texts share. It holds what the 8-bit cache
restores, so it can be made anew from a slot, and a text's bits do not depend on how it was cut into chunks.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, RowStep
from app.engine.bound_pass import BoundPass, PassShape
from app.engine.bundle import Hparams
from app.engine.slot_memory import SlotMemory, cache_names

if TYPE_CHECKING:
    import onnxruntime

BINDINGS = 64
"""How many shapes of passes stay bound to their memory."""
TILE = 8
"""Tokens. One that is left over where a matrix is cut into tiles is read in another way, whose last bits differ. So a chunk
with one over gets one more, to no effect."""
SCALES = "cache_scales"
"""The entry of the graph's metadata with the 8-bit cache's scales [layers, 2, heads, head size], float32 in base 64."""


class OnnxSlots:
    """Slots over a graph that `finetune export` makes. Only one thread may use them at a time."""

    def __init__(self, session: onnxruntime.InferenceSession, hparams: Hparams, count: int, capacity: int) -> None:
        self.count = count
        self.capacity = capacity
        self._session = session
        self._hparams = hparams
        names = cache_names(hparams)
        # One position more than a text has, for the token that pads a chunk.
        shape = (hparams.n_head, capacity + 1, hparams.n_embd // hparams.n_head)
        self._scales = dict(zip(names, read_scales(session, hparams), strict=False))
        self._slots = SlotMemory(names, count, shape, np.int8 if self._scales else np.float32)
        self._scratch = SlotMemory(names, 1, shape, np.float32) if self._scales else None
        # Stand in for the rows or the chunk of a pass that has none.
        self._nothing = [
            SlotMemory(names, 1, (shape[0], 1, shape[2]), kind)
            for kind in (np.int8 if self._scales else np.float32, np.float32)
        ]
        # The keys and values of a chunk of up to so many tokens, as the graph rounds them.
        self._longest = 1
        self._rounded = {
            f"chunk_{layer}": np.empty((1, 2 * hparams.n_embd), np.int8)
            for layer in range(hparams.n_layer if self._scales else 0)
        }
        # The slot whose first positions the scratch holds, and how many.
        self._held = (-1, 0)
        self._bound: dict[PassShape, BoundPass] = {}
        self._logits = np.empty((2, hparams.n_vocab), np.float32)

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> NDArray[np.float32]:
        """One pass: logits [len(steps) + c, n_vocab], valid until the next call.

        c is 0 without a chunk, 1 for its newest position, all of its positions with `every`. There is a step or a chunk.
        """
        first = min((step.slot for step in steps), default=0)
        rows = max((step.slot for step in steps), default=first - 1) + 1 - first
        wanted = 0 if chunk is None else len(chunk.tokens) if chunk.every else 1
        size = 0 if chunk is None else padded(chunk)
        over = -1 if chunk is None or self._scratch is not None else chunk.slot
        bound = self._bind(PassShape(first, rows, size, len(steps) + wanted, over))
        slots, tokens, positions = zip(*steps, strict=True) if steps else ((), (), ())
        bound.fill_rows([slot - first for slot in slots], tokens, positions)
        if chunk is None:
            self._forget()
        else:
            self._prepare(chunk)
            bound.fill_chunk(chunk.tokens, chunk.start, wanted, self._hparams.n_ctx)
        self._run_around(bound, set(range(first, first + rows)) - set(slots), chunk)
        return bound.logits

    def reserve(self, slots: Sequence[int], positions: int) -> None:
        """A slot's memory grows as it is filled."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Make a slot's first positions those of another."""
        for array in self._slots.arrays.values():
            array[target, :, :length] = array[source, :, :length]
        self._changed(target)

    def release(self, slot: int) -> None:
        """Give a slot's memory back to the system."""
        self._slots.release(slot)
        self._changed(slot)

    def close(self) -> None:
        """Give all memory back. The caller makes no more calls."""
        self._bound.clear()
        del self._session, self._slots, self._scratch, self._nothing, self._logits

    def _run_around(self, bound: BoundPass, holes: set[int], chunk: Chunk | None) -> None:
        """Run, and leave slots between those of the steps as they are, though the graph writes a row into each."""
        first, over = bound.shape.first, bound.shape.over
        if chunk is not None and over in holes:
            # What the chunk reads must not change: its row writes where nothing is yet.
            holes.discard(over)
            bound.move_row(over - first, chunk.start + len(chunk.tokens))
        at = (sorted(holes), slice(None), 0)
        kept = {name: array[at] for name, array in self._slots.arrays.items()} if holes else {}
        bound.run()
        for name, content in kept.items():
            self._slots.arrays[name][at] = content
        if chunk is not None and self._scratch is not None:
            self._store(bound, chunk)

    def _bind(self, shape: PassShape) -> BoundPass:
        if (bound := self._bound.get(shape)) is not None:
            return bound
        if len(self._bound) >= BINDINGS:
            del self._bound[next(iter(self._bound))]
        if shape.chunk > self._longest:
            # One for all passes: each would keep megabytes of its own.
            self._bound.clear()
            self._longest, size = shape.chunk, (shape.chunk, 2 * self._hparams.n_embd)
            self._rounded = {name: np.empty(size, np.int8) for name in self._rounded}
        if shape.wanted > len(self._logits):
            self._bound.clear()
            self._logits = np.empty((2 * shape.wanted, self._hparams.n_vocab), np.float32)
        rows = self._slots.slot(shape.first, shape.rows) if shape.rows else self._nothing[0].arrays
        if not shape.chunk:
            chunk = self._nothing[1].arrays
        else:
            chunk = self._slots.slot(shape.over) if self._scratch is None else self._scratch.arrays
        caches = dict(rows) | {f"chunk_{name}": array for name, array in chunk.items()}
        rounded = {name: array[: max(shape.chunk, 1)] for name, array in self._rounded.items()}
        bound = BoundPass(self._session, shape, caches, rounded, self._logits[: shape.wanted])
        self._bound[shape] = bound
        return bound

    def _prepare(self, chunk: Chunk) -> None:
        """Let the scratch hold what comes before the chunk, as the 8-bit slot restores it."""
        if self._scratch is None:
            return
        slot, length = self._held
        if chunk.start and (slot != chunk.slot or length < chunk.start):
            for name, scales in self._scales.items():
                restored = self._slots.arrays[name][chunk.slot, :, : chunk.start] * scales
                self._scratch.arrays[name][0, :, : chunk.start] = restored
        self._held = (chunk.slot, chunk.start + len(chunk.tokens))

    def _store(self, bound: BoundPass, chunk: Chunk) -> None:
        """Put the chunk's rounded keys and values into its slot."""
        start, n, heads = chunk.start, len(chunk.tokens), self._hparams.n_head
        for layer in range(self._hparams.n_layer):
            both = bound.rounded[f"chunk_{layer}"][:n].reshape(n, 2, heads, -1)
            for index, part in enumerate(("key", "value")):
                slot = self._slots.arrays[f"{part}_{layer}"][chunk.slot]
                slot[:, start : start + n] = both[:, index].transpose(1, 0, 2)

    def _changed(self, slot: int) -> None:
        if self._held[0] == slot:
            self._forget()

    def _forget(self) -> None:
        """Give the scratch's memory back until the next chunk."""
        if self._scratch is not None and self._held[1]:
            self._scratch.release(0)
        self._held = (-1, 0)


def padded(chunk: Chunk) -> int:
    """The number of tokens that the graph gets for a chunk."""
    return len(chunk.tokens) + (len(chunk.tokens) % TILE == 1)


def read_scales(session: onnxruntime.InferenceSession, hparams: Hparams) -> list[NDArray[np.float32]]:
    """The scales of each layer's keys and values in an 8-bit cache, [heads, 1, head size]. None for a cache of float32."""
    written = session.get_modelmeta().custom_metadata_map.get(SCALES, "")
    scales = np.frombuffer(base64.b64decode(written), np.float32)
    return list(scales.reshape(-1, hparams.n_head, 1, hparams.n_embd // hparams.n_head))
