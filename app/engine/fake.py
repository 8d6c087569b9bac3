"""An engine with known logits, for tests and work on interfaces: it repeats a script.

Each byte is a token, and token 256 ends a text. After any prompt comes `script`, over and over, each byte almost with certainty.
`doubt` is the probability that is spread evenly over all tokens, so that sampling has something to choose from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from app.engine.base import Chunk, Logits, RowStep
from app.engine.bundle import EndMarker
from app.engine.profile import Profile
from app.engine.templates import Template
from app.engine.tokenizer import END_OF_TEXT, Tokenizer, byte_characters

SCRIPT = "The quick brown fox jumps over the lazy dog. "


def byte_tokenizer() -> Tokenizer:
    """Token ids 0–255 are bytes, and 256 is the end of text."""
    vocabulary = {character: byte for byte, character in enumerate(byte_characters())} | {END_OF_TEXT: 256}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return Tokenizer(tokenizer)


class FakeEngine:
    """Generates `script` after any prompt, a pass in `seconds_per_token`. An empty script ends every text at once."""

    kind = "fake"
    shares_passes = True
    end = EndMarker(token=256)

    def __init__(
        self,
        script: str = SCRIPT,
        n_ctx: int = 1024,
        seconds_per_token: float = 0.0,
        doubt: float = 0.0,
        *,
        name: str = "fake",
        template: Template = "text",
        profile: Profile | None = None,
    ) -> None:
        self.name = name
        self.profile = profile or Profile(template=template)
        self.n_ctx = n_ctx
        self.max_positions = 8 * n_ctx
        self.weight_bytes = 0
        self.tokenizer = byte_tokenizer()
        self.script = [*script.encode()]
        self.seconds_per_token = seconds_per_token
        self.doubt = doubt

    def load(self) -> None:
        pass

    def free(self) -> None:
        pass

    def slots(self, count: int, positions: int) -> FakeSlots:
        return FakeSlots(self, count, positions)

    def slot_bytes(self, positions: int) -> int:
        return 0


class FakeSlots:
    """A place in the script for each text."""

    def __init__(self, engine: FakeEngine, count: int, capacity: int) -> None:
        self.count = count
        self.capacity = capacity
        self._engine = engine
        # How many tokens of the script each slot's text has, and whether its prompt has been read.
        self._written = [0] * count
        self._read = [False] * count

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        if steps or (chunk and chunk.every):
            time.sleep(self._engine.seconds_per_token)
        for step in steps:
            self._written[step.slot] += 1
        slots = [step.slot for step in steps]
        if chunk:
            # The prompt is read once. Whatever begins after it is a window that has slid.
            self._written[chunk.slot] += self._read[chunk.slot] and chunk.start == 0
            self._read[chunk.slot] = True
            slots += [chunk.slot] * (len(chunk.tokens) if chunk.every else 1)
        return np.stack([self._logits(self._written[slot]) for slot in slots])

    def reserve(self, slots: Sequence[int], positions: int) -> None:
        pass

    def copy(self, source: int, target: int, length: int) -> None:
        self._written[target], self._read[target] = 0, True

    def release(self, slot: int) -> None:
        self._written[slot], self._read[slot] = 0, False

    def close(self) -> None:
        pass

    def _logits(self, written: int) -> Logits:
        script, size = self._engine.script, len(self._engine.tokenizer)
        token = script[written % len(script)] if script else 256
        doubt = max(self._engine.doubt, 1e-9)
        logits = np.full(size, np.log(doubt / size), np.float32)
        logits[token] = np.log1p(-doubt * (size - 1) / size)
        return logits
