"""The shapes of OpenAI's four models, and which of them the weights of a checkpoint have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from app.engine.bundle import Hparams

OpenaiModel = Literal["124M", "355M", "774M", "1558M"]
SHAPES: dict[OpenaiModel, Hparams] = {
    "124M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12),
    "355M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1024, n_head=16, n_layer=24),
    "774M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1280, n_head=20, n_layer=36),
    "1558M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1600, n_head=25, n_layer=48),
}
FORMER_NAMES: dict[str, OpenaiModel] = {"117M": "124M", "345M": "355M"}
"""OpenAI renamed two models when it had counted their parameters again."""


class StoredShape(NamedTuple):
    """What the weights of a checkpoint tell about its shape: everything but the number of attention heads."""

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_layer: int

    def __str__(self) -> str:
        return f"{self.n_layer} layers, {self.n_embd} wide, {self.n_vocab:,} tokens"

    @property
    def model(self) -> OpenaiModel | None:
        """OpenAI's model of this shape."""
        return next((name for name, shape in SHAPES.items() if self.fits(shape)), None)

    def fits(self, hparams: Hparams) -> bool:
        return self == (hparams.n_vocab, hparams.n_ctx, hparams.n_embd, hparams.n_layer)


def stored_shape(variables: Mapping[str, Sequence[int]]) -> StoredShape | None:
    """The shape of the GPT-2 among these variables, which may be others too; None if there is none."""
    match variables.get("model/wte"), variables.get("model/wpe"):
        case [n_vocab, n_embd], [n_ctx, _]:
            layers = {found[1] for name in variables if (found := re.match(r"model/h(\d+)/", name))}
            return StoredShape(n_vocab, n_ctx, n_embd, len(layers))
    return None
