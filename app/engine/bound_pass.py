"""A pass over a graph, with all memory bound once: each run overwrites the same inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime

Arrays = Mapping[str, NDArray[Any]]


class PassShape(NamedTuple):
    """The first slot and the number of slots that it covers, the tokens of its chunk, and the logits that are wanted.

    `over` is the slot that the chunk is read over, -1 for the scratch.
    """

    first: int
    rows: int
    chunk: int
    wanted: int
    over: int


class BoundPass:
    """One shape of a pass.

    The graph must never get zero rows. A pass without rows passes the chunk's first token as a row too, and a pass without
    a chunk its first row's token as a chunk, over a cache of one position; what comes of it is cut off.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        shape: PassShape,
        caches: Arrays,
        rounded: Arrays,
        logits: NDArray[np.float32],
    ) -> None:
        """`caches` are bound as inputs past_* and as outputs; `rounded` are outputs, as are `logits`."""
        self.shape = shape
        self.rounded = rounded
        self.logits = logits
        rows, chunk = shape.rows, shape.chunk
        self._session = session
        self.numbers: dict[str, NDArray[Any]] = {
            "tokens": np.zeros(rows + chunk, np.int64),
            "positions": np.zeros(rows + chunk, np.int64),
            "pick": np.zeros(shape.wanted, np.int64),
            "row_last": np.zeros(max(rows, 1), np.int32),
            "row_total": np.ones((), np.int32),
            "chunk_last": np.zeros(1, np.int32),
            "chunk_total": np.ones((), np.int32),
            "rows_to": np.array([max(rows, 1)], np.int64),
            "chunk_from": np.array([rows if chunk else 0], np.int64),
            "chunk_to": np.array([rows + chunk if chunk else 1], np.int64),
            "from": np.array([0 if rows else 1], np.int64),
            "to": np.array([rows + chunk + (not rows)], np.int64),
        }
        # The binding holds addresses only, so the arrays must be kept alive here.
        self._caches = caches
        self._binding = session.io_binding()
        past = {
            ("chunk_past_" + name[6:]) if name.startswith("chunk_") else f"past_{name}": a for name, a in caches.items()
        }
        for name, array in (self.numbers | past).items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in ({"logits": logits} | dict(caches) | dict(rounded)).items():
            self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def fill_rows(self, rows: Sequence[int], tokens: Sequence[int], positions: Sequence[int]) -> None:
        """Which rows get which token at which position. All other rows get token 0 at position 0."""
        numbers, count = self.numbers, self.shape.rows
        for name, values in (("tokens", tokens), ("positions", positions)):
            numbers[name][:count] = 0
            numbers[name][rows] = values
        if count:
            numbers["row_last"][:] = numbers["positions"][:count]
            numbers["row_total"][()] = max(positions, default=0) + 1
        numbers["pick"][: len(rows)] = rows

    def fill_chunk(self, tokens: NDArray[np.int64], start: int, wanted: int, window: int) -> None:
        """The chunk's tokens from position `start` on; its last `wanted` logits are picked. What pads it gets token 0."""
        numbers, rows, size = self.numbers, self.shape.rows, self.shape.chunk
        numbers["tokens"][rows:] = 0
        numbers["tokens"][rows : rows + len(tokens)] = tokens
        numbers["positions"][rows:] = np.minimum(np.arange(start, start + size), window - 1)
        numbers["chunk_last"][:] = start + size - 1
        numbers["chunk_total"][()] = start + size
        end = rows + len(tokens)
        numbers["pick"][len(numbers["pick"]) - wanted :] = np.arange(end - wanted, end)

    def move_row(self, row: int, position: int) -> None:
        """Let a row that gets nothing write at a position where it does no harm."""
        self.numbers["row_last"][row] = position
        self.numbers["row_total"][()] = max(self.numbers["row_total"], position + 1)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
