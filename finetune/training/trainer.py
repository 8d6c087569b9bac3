"""Trainer: the model, its optimizer and the training step, on any Keras backend.

KERAS_BACKEND chooses the backend. Neither this module nor the loop around it calls TensorFlow itself, so JAX trains too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from app.errors import CheckpointError
from finetune.data.packing import Batch, empty
from finetune.run_folder import TrainingState
from finetune.training.attention import flash_attention, uses_flash
from finetune.training.devices import found_devices
from finetune.training.gpt2 import GPT2, Array
from finetune.training.learning_rate_schedule import learning_rate_schedule
from finetune.training.optimizer import optimizer_for
from finetune.training.options import Freeze, TrainingOptions
from finetune.training.parallel import distribute

if TYPE_CHECKING:
    from finetune.training.jax_step import CompiledStep
    from finetune.training.tensorflow_step import GraphStep

PIECE_TOKENS_ON_GPU = 8192
"""Tokens whose logits are in memory at the same time: 3 GB with GPT-2's vocabulary, while few activations are there."""
COLUMNS_ON_GPU = 128
"""The vocabulary is padded to a multiple of this, on which matrix units are fast."""
Loss = Any
"""A number on its device: float() waits until it is computed."""


class Trainer:
    """Trains a GPT-2: takes a checkpoint's weights and returns them trained.

    `end` is the id of the end-of-text token, and `segments` the most documents in a row. Raises SettingError where several
    GPUs cannot share the work, or attention not be computed as asked.
    """

    def __init__(
        self,
        options: TrainingOptions,
        hparams: Hparams,
        weights: Mapping[str, Array],
        end: int,
        segments: int,
    ) -> None:
        keras.utils.set_random_seed(options.seed)
        keras.config.set_dtype_policy(
            options.precision if options.precision == "float32" else f"mixed_{options.precision}"
        )
        distribute(options, hparams.n_embd)
        self.flash = uses_flash(options, hparams)
        self.model = GPT2(
            hparams,
            attention=partial(flash_attention, most=segments) if self.flash else None,
            remat=options.gradient_checkpointing,
            unlikelihood=options.unlikelihood,
            end=end,
        )
        if found_devices().gpu:
            self.model.piece_tokens, self.model.multiple = PIECE_TOKENS_ON_GPU, COLUMNS_ON_GPU
        self.model.load(weights)
        self.lora = options.lora > 0
        if self.lora:
            add_lora(self.model, options.lora)
        freeze(self.model, options.freeze)
        self.accumulate = options.accumulate
        self.schedule = learning_rate_schedule(options)
        self.optimizer = optimizer_for(options, self.schedule)
        self.optimizer.build(self.model.trainable_variables)
        self.compiled = training_step(self.model, self.optimizer, options)

    def step(self, batches: Sequence[Batch]) -> Loss:
        """One optimizer step from all these batches (gradient accumulation). Returns the mean loss before it, nats per token.

        On JAX this returns before the step is computed, and float() waits for the loss. Every token counts the same,
        whatever batch it is in: the step is that of one large batch.
        """
        return self.compiled.train(batches, max(1.0, sum(batch.counted for batch in batches)))

    def bytes_needed(self, rows: int, length: int) -> int | None:
        """The memory on each device that a step takes; None if the backend does not say. The step is compiled then."""
        return self.compiled.bytes_needed([empty(rows, length)] * self.accumulate)

    def loss(self, batches: Sequence[Batch]) -> float:
        """The loss in nats per token, averaged over the tokens of all batches."""
        losses = [self.compiled.evaluate(batch) for batch in batches]
        return sum(map(float, losses)) / max(sum(batch.counted for batch in batches), 1.0)

    def weights(self) -> dict[str, Array]:
        """The weights under their names in a checkpoint, LoRA adapters merged in."""
        self.compiled.settle()
        return self.model.weights_of_checkpoint()

    def loss_scale(self) -> float:
        """What float16 multiplies the loss by, so that gradients are neither zero nor infinite; 1 in other precisions."""
        self.compiled.settle()
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return 1.0 if scale is None else float(ops.convert_to_numpy(scale))

    def state(self) -> TrainingState:
        """The optimizer's variables, which resuming needs besides the weights.

        With LoRA also the model's own, since the saved weights have the adapters merged in.
        """
        self.compiled.settle()
        return {
            f"v{number}": exact(ops.convert_to_numpy(variable.value)) for number, variable in enumerate(self.stateful())
        }

    def restore(self, state: TrainingState, accumulated: int) -> None:
        """Load what `state` returned in a run whose steps had so many batches.

        Raises CheckpointError if it belongs to a model of another shape.
        """
        variables = self.stateful()
        stored = self.without_accumulators([state[f"v{number}"] for number in range(len(state))], accumulated)
        if [array.shape for array in stored] != [tuple(variable.shape) for variable in variables]:
            raise CheckpointError(
                "the saved optimizer state does not fit this model: resume with the options that the run began with."
            )
        for variable, array in zip(variables, stored, strict=True):
            variable.assign(array)
        self.compiled.read_variables()

    def without_accumulators(self, stored: list[NDArray[Any]], accumulated: int) -> list[NDArray[Any]]:
        """Drop the sums of gradients, zeros, that earlier versions saved. They counted batches where steps are counted now."""
        trained, inner = len(self.model.trainable_variables), getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if len(stored) != len(self.stateful()) + trained:
            return stored
        steps = next(n for n, variable in enumerate(self.optimizer.variables) if variable is inner.iterations)
        return [*stored[:steps], stored[steps] // accumulated, *stored[steps + 1 + trained :]]

    def stateful(self) -> list[keras.Variable]:
        """The variables that `state` returns, in its order."""
        return [*self.optimizer.variables, *(self.model.variables if self.lora else [])]


def training_step(
    model: GPT2, optimizer: keras.optimizers.Optimizer, options: TrainingOptions
) -> CompiledStep | GraphStep:
    """The step on the backend that Keras has."""
    if keras.config.backend() == "jax":
        from finetune.training.jax_step import CompiledStep

        return CompiledStep(model, optimizer)
    from finetune.training.tensorflow_step import GraphStep

    return GraphStep(model, optimizer, compiled=options.xla or found_devices().gpu)


def exact(array: NDArray[Any]) -> NDArray[Any]:
    """The array in a type that NumPy's files have. They have no bfloat16, and float32 holds every bfloat16 exactly."""
    return array if array.dtype.kind in "iufb" else array.astype(np.float32)


def add_lora(model: GPT2, rank: int) -> None:
    """Train only low-rank adapters of this rank, one beside each projection matrix (LoRA, arXiv 2106.09685)."""
    for layer in (
        model.wte,
        model.wpe,
        model.ln_f,
        *(norm for block in model.blocks for norm in (block.ln_1, block.ln_2)),
    ):
        layer.trainable = False
    for block in model.blocks:
        for dense in block.projections().values():
            dense.enable_lora(rank)
            dense.bias.trainable = False


def freeze(model: GPT2, what: Freeze) -> None:
    """Freeze the embeddings (gpt-2-simple's only_train_transformer_layers), and with a number the lowest layers as well."""
    if what == "nothing":
        return
    model.wte.trainable = model.wpe.trainable = False
    if isinstance(what, int):
        for block in model.blocks[:what]:
            block.trainable = False
