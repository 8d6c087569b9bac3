"""Model FLOPs: the operations that a token costs, and which share of the devices' peak rate the training reaches (MFU)."""

from __future__ import annotations

from dataclasses import dataclass

from app.engine.bundle import Hparams


@dataclass(frozen=True)
class ModelFlops:
    """`per_token`: operations of the forward and backward pass. `peak`: the devices' operations a second, if known."""

    per_token: float
    peak: float | None

    def utilisation(self, tokens_per_second: float) -> float | None:
        """Model FLOP utilisation (MFU), from 0 to 1; None where the peak is not known."""
        return None if self.peak is None else tokens_per_second * self.per_token / self.peak


def flops_per_token(hparams: Hparams, length: int) -> float:
    """6 · weights + 12 · layers · width · length, as in appendix B of PaLM (arXiv 2204.02311) and in nanoGPT.

    Each weight that multiplies costs a product and a sum in the forward pass and twice that in the backward pass. The
    position table, biases and norms do not count, the token table counts as the output head. Attention is counted over whole
    rows, and nothing that is computed twice (gradient checkpointing) or left out (frozen weights) changes the number.
    """
    width = hparams.n_embd
    weights = 12 * hparams.n_layer * width**2 + hparams.n_vocab * width
    return 6.0 * weights + 12.0 * hparams.n_layer * width * length
