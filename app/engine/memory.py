"""Memory: which models' weights are in it, and whether one more generation fits.

A generation claims what it needs before it begins: its model's weights, which are loaded if they are not there, and room for its
slots. Where memory is short, kept prefixes go first, then the models that nobody uses, the least recently used first. What still
does not fit waits for running generations to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.engine.base import Engine
from app.engine.prefix_cache import PREFIX_CACHE_BYTES, PrefixCache
from app.errors import MachineError

MEGABYTE = 2**20
# Bytes of Python, ONNX Runtime and the server with a model of next to no size, before the first request. Measured.
BASE = 60 * MEGABYTE
# Bytes of a vocabulary for each of its tokens. Measured.
TOKEN_BYTES = 320
# Bytes of scratch memory of a pass, besides the KV caches. Measured with 124M.
SCRATCH = 40 * MEGABYTE
# The largest number of texts in a batch.
MOST_ROWS = 128


@dataclass(eq=False)
class MemoryClaim:
    """What one generation may use: the model `engine`, and `work` bytes for its slots.

    `loads` says that the weights have yet to be loaded, or others freed: those of `freed`, before anything is loaded.
    """

    engine: Engine
    work: int
    loads: bool = False
    freed: Sequence[Engine] = field(default_factory=list)


class ModelMemory:
    """Counts the memory in use, in bytes; `allowed` is None for no limit. Only one thread may call it, the event loop's.

    `base` is what is always in use.
    """

    def __init__(self, allowed: int | None = None, base: int = BASE, prefixes: PrefixCache | None = None) -> None:
        self._allowed = allowed
        self._base = base
        self.prefixes = prefixes or PrefixCache(PREFIX_CACHE_BYTES)
        # From the least to the most recently used.
        self._loaded: dict[str, Engine] = {}
        self._claims: set[MemoryClaim] = set()

    @property
    def loaded(self) -> list[str]:
        """The models in memory, from the least to the most recently used."""
        return list(self._loaded)

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded or freed."""
        return any(claim.loads for claim in self._claims)

    def fit(self, engine: Engine, where: Path, rows: int = 1) -> None:
        """Limit the engine's batches to what fits beside its weights. Raises MachineError if `rows` texts do not fit."""
        if self._allowed is None:
            return
        window = engine.slot_bytes(engine.n_ctx)
        room = self._allowed - self._base - engine.weight_bytes - SCRATCH
        if room < window:
            needed = self._allowed - room + window
            raise MachineError(
                f"the container may use {self._allowed // MEGABYTE} MB of memory and {where} needs "
                f"{-(-needed // MEGABYTE)}: allow it more, or export the model with fewer bits."
            )
        if room < rows * window:
            raise MachineError(
                f"CONCURRENCY is {rows}, and beside {where} {room // window} texts as long as its window fit into the "
                f"{self._allowed // MEGABYTE} MB that the container may use: set CONCURRENCY={room // window}, or allow more."
            )
        # Beside the largest request there is room for a text of another, where there is room for two.
        batch = (room - window - MOST_ROWS * engine.slot_bytes(1)) * engine.n_ctx // window
        engine.max_positions = min(engine.max_positions, max(batch, engine.n_ctx))

    def load(self, engine: Engine) -> None:
        """Load the first model, before any generation. Raises FatalError."""
        engine.load()
        self._loaded[engine.name] = engine

    def claim(self, engine: Engine, work: int = 0) -> MemoryClaim | None:
        """Claim the engine's weights, and `work` bytes for slots. None if the generation has to wait.

        It waits for memory that others use. If its model has to be loaded, it waits while any other is loaded or freed, so that
        none is loaded twice, or freed right after it was loaded.
        """
        claim = MemoryClaim(engine, work, loads=engine.name not in self._loaded)
        if any(other.loads and (claim.loads or other.engine is engine) for other in self._claims):
            return None
        missing = self._missing(claim)
        if missing > 0:
            self.prefixes.shrink(max(0, self.prefixes.bytes - missing))
            claim.freed = self._unused(engine, self._missing(claim))
            missing = self._missing(claim) - sum(other.weight_bytes for other in claim.freed)
        # Alone, it begins in any case: `fit` has seen to it that there is room.
        if missing > 0 and self._claims:
            return None
        claim.loads = claim.loads or bool(claim.freed)
        for other in claim.freed:
            del self._loaded[other.name]
        self._loaded[engine.name] = self._loaded.pop(engine.name, engine)
        self._claims.add(claim)
        return claim

    def settle(self, claim: MemoryClaim, loaded: bool) -> None:
        """The claim's weights have been loaded, or could not be."""
        claim.loads = False
        if not loaded:
            self._loaded.pop(claim.engine.name, None)

    def release(self, claim: MemoryClaim) -> None:
        """The generation has ended. The weights stay until the memory is needed."""
        self._claims.discard(claim)

    def _missing(self, claim: MemoryClaim) -> int:
        """Bytes that are missing for the claim; negative if there are more than enough."""
        if self._allowed is None:
            return 0
        engines = self._loaded | {claim.engine.name: claim.engine}
        weights = sum(engine.weight_bytes for engine in engines.values())
        work = claim.work + sum(other.work for other in self._claims)
        return self._base + SCRATCH + weights + self.prefixes.bytes + work - self._allowed

    def _unused(self, wanted: Engine, missing: int) -> list[Engine]:
        """Models that nobody uses: the least recently used, and no more than make up for the `missing` bytes."""
        used = {wanted.name, *(claim.engine.name for claim in self._claims)}
        found: list[Engine] = []
        for name, engine in self._loaded.items():
            if missing > 0 and name not in used:
                found.append(engine)
                missing -= engine.weight_bytes
        return found
