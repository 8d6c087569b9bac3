"""An engine with known logits, for tests and work on interfaces: it repeats a script.

Each byte is a token, and token 256 ends a text. After any prompt comes `script`, over and over, each byte almost with certainty.
`doubt` is the probability that is spread evenly over all tokens, so that sampling has something to choose from.
"""

from __future__ import annotations

import time

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from app.engine.base import Logits, Tokens
from app.engine.bundle import EndMarker
from app.engine.deadline import NEVER, Deadline
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
    """Generates `script` after any prompt, `seconds_per_token` each. An empty script ends every text at once."""

    kind = "fake"
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

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> FakeDecoder:
        return FakeDecoder(self)

    def decoder_bytes(self, rows: int, positions: int, reuse: bool = False) -> int:
        return 0


class FakeDecoder:
    """A place in the script, the same for all rows."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._written = 0

    def prefill(self, tokens: Tokens, deadline: Deadline = NEVER) -> Logits:
        deadline.check()
        return self._logits(len(tokens))

    def step(self, tokens: Tokens) -> Logits:
        time.sleep(self._engine.seconds_per_token)
        return self._logits(len(tokens))

    def close(self) -> None:
        pass

    def _logits(self, rows: int) -> Logits:
        script, size = self._engine.script, len(self._engine.tokenizer)
        token = script[self._written % len(script)] if script else 256
        self._written += 1
        doubt = max(self._engine.doubt, 1e-9)
        logits = np.full((rows, size), np.log(doubt / size), np.float32)
        logits[:, token] = np.log1p(-doubt * (size - 1) / size)
        return logits
