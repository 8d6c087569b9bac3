"""How much memory training takes, estimated from the model's shape and the options; and how much there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.engine.bundle import Hparams
from finetune.checkpoint import Array
from finetune.machine_memory import free_memory
from finetune.training.devices import Devices
from finetune.training.options import TrainingOptions

# Bytes that the backward pass needs of each token, layer and unit of the model's width. Measured with 124M and 355M on an H100.
STORED = {"float32": 84, "bfloat16": 42, "float16": 42}
# Bytes of the gradients of the logits, by token of the vocabulary and token of the text.
OF_LOGITS = {"float32": 4, "bfloat16": 2, "float16": 2}
# The same with gradient checkpointing, which stores no more than each layer's input.
RECOMPUTED = {"float32": 4, "bfloat16": 2, "float16": 2}
LOGIT = 10
"""Bytes of a logit with its gradient, while it is computed."""
SCORE = 12
"""Bytes of an attention score with its gradient, of one layer at a time."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each device: what does not depend on the batch, the least of it that has to be there, and each row of a batch."""

    fixed: int
    least: int
    row: int


def estimate_memory(
    options: TrainingOptions, hparams: Hparams, weights: Mapping[str, Array], devices: Devices, *, flash: bool
) -> MemoryEstimate:
    share = devices.count if options.parallel == "model" else 1
    parameters, trained = sum(weight.size for weight in weights.values()), trained_parameters(options, weights)
    optimizer = 8 if options.optimizer == "adamw" else 0
    # Weights, gradients and the optimizer's state are in float32, whatever the precision.
    least = 4 * parameters + (4 + optimizer) * trained
    copies = 0 if options.precision == "float32" else 2 * parameters
    sums = 4 * trained if options.accumulate > 1 or options.tokens_per_step else 0
    logits = LOGIT * hparams.n_vocab * (4096 if devices.gpu else 1024)
    return MemoryEstimate(
        (least + copies + sums) // share + logits, least // share, row_bytes(options, hparams, flash) // share
    )


def row_bytes(options: TrainingOptions, hparams: Hparams, flash: bool) -> int:
    length = options.context or hparams.n_ctx
    stored = STORED[options.precision] * length * hparams.n_embd
    layers = stored * hparams.n_layer
    if options.gradient_checkpointing:
        layers = stored + RECOMPUTED[options.precision] * length * hparams.n_embd * hparams.n_layer
    logits = OF_LOGITS[options.precision] * length * hparams.n_vocab
    return layers + logits + (0 if flash else SCORE * hparams.n_head * length**2)


def trained_parameters(options: TrainingOptions, weights: Mapping[str, Array]) -> int:
    """How many parameters --lora and --freeze leave to be trained."""
    if options.lora:
        return sum(options.lora * sum(weight.shape[-2:]) for name, weight in weights.items() if name.endswith("/w"))
    frozen = [] if options.freeze == "nothing" else ["wte", "wpe"]
    if isinstance(options.freeze, int):
        frozen += [f"h{layer}/" for layer in range(options.freeze)]
    return sum(weight.size for name, weight in weights.items() if not name.startswith(tuple(frozen)))


def usable_memory(devices: Devices) -> int | None:
    """Bytes of each device that training may take, or None if nobody says."""
    if devices.memory is not None:
        # JAX has set its part aside already. TensorFlow takes it piece by piece, and some is lost between them.
        return int(devices.memory * (0.92 if devices.backend == "jax" else 0.8))
    free = None if devices.gpu else free_memory()
    return None if free is None else int(free * 0.8)
