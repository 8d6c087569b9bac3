"""What a training step is: the model, the optimizer and the loss, on whichever backend Keras runs (KERAS_BACKEND).

Nothing here or in the loop around it calls TensorFlow, so that `KERAS_BACKEND=jax` trains too. With several GPUs JAX
divides each batch among them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from app.errors import CheckpointError, SettingError
from finetune.data.packing import Batch
from finetune.training.gpt2 import GPT2, Array
from finetune.training.options import Freeze, TrainingOptions

State = dict[str, NDArray[Any]]


class Trainer:
    """A model that learns. Takes a checkpoint's weights and gives them back, trained."""

    def __init__(self, options: TrainingOptions, hparams: Hparams, weights: Mapping[str, Array], end: int) -> None:
        keras.utils.set_random_seed(options.seed)
        keras.config.set_dtype_policy(
            options.precision if options.precision == "float32" else f"mixed_{options.precision}"
        )
        distribute(options.batch_size)
        self.model = GPT2(hparams, remat=options.gradient_checkpointing, unlikelihood=options.unlikelihood, end=end)
        self.model.load(weights)
        self.lora = options.lora > 0
        if self.lora:
            add_lora(self.model, options.lora)
        freeze(self.model, options.freeze)
        self.accumulate = options.accumulate
        self.schedule = schedule(options)
        self.model.compile(optimizer=self.optimizer(options), jit_compile=options.xla)
        self.model.optimizer.build(self.model.trainable_variables)

    def optimizer(self, options: TrainingOptions) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.AdamW(
            self.schedule,
            weight_decay=options.weight_decay,
            beta_2=options.beta_2,
            epsilon=1e-8,
            global_clipnorm=options.clip or None,
            gradient_accumulation_steps=options.accumulate if options.accumulate > 1 else None,
        )
        # Decay is for matrices: a gain pulled towards 0 would be a different network.
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        return optimizer

    def step(self, batches: Iterable[Batch]) -> float:
        """One update from as many batches as are accumulated. Returns the loss in nats per token, before the update."""
        losses = []
        for batch in batches:
            inputs, targets, weights = batch.for_keras()
            self.model.reset_metrics()
            losses.append(float(self.model.train_on_batch(inputs, targets, sample_weight=weights)))
        return float(np.mean(losses))

    def loss(self, batches: Iterable[Batch]) -> float:
        """Nats per token over batches, each token counting the same."""
        total = count = 0.0
        for batch in batches:
            inputs, targets, weights = batch.for_keras()
            self.model.reset_metrics()
            total += float(self.model.test_on_batch(inputs, targets, sample_weight=weights)) * batch.counted
            count += batch.counted
        return total / max(count, 1.0)

    def learning_rate(self, step: int) -> float:
        return float(ops.convert_to_numpy(self.schedule(step)))

    def weights(self) -> dict[str, Array]:
        """The weights as a checkpoint holds them."""
        return self.model.weights_of_checkpoint()

    def state(self) -> State:
        """What else it takes to go on as if never interrupted. With LoRA that is the factors and what they are added to."""
        variables = self.model.optimizer.variables + (self.model.variables if self.lora else [])
        return {f"v{number}": exact(ops.convert_to_numpy(variable.value)) for number, variable in enumerate(variables)}

    def restore(self, state: State) -> None:
        variables = self.model.optimizer.variables + (self.model.variables if self.lora else [])
        stored = [state[f"v{number}"] for number in range(len(state))]
        if [array.shape for array in stored] != [tuple(variable.shape) for variable in variables]:
            raise CheckpointError("the training state is of another model: it was made with other options.")
        for variable, array in zip(variables, stored, strict=True):
            variable.assign(array)


def exact(array: NDArray[Any]) -> NDArray[Any]:
    # bfloat16, which NumPy's files do not know, fits into float32 whole.
    return array if array.dtype.kind in "iufb" else array.astype(np.float32)


def schedule(options: TrainingOptions) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up to the learning rate in even steps, then down along half a cosine."""
    warmup = min(options.warmup, options.steps)
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / (warmup + 1),
        decay_steps=max(1, options.steps - warmup),
        alpha=options.decay_to,
        warmup_target=options.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def add_lora(model: GPT2, rank: int) -> None:
    """Learn a product of two thin matrices beside each projection, and nothing else (arXiv 2106.09685)."""
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
    """`embeddings` is gpt-2-simple's only_train_transformer_layers; a number freezes that many layers from below, too."""
    if what == "nothing":
        return
    model.wte.trainable = model.wpe.trainable = False
    if isinstance(what, int):
        for block in model.blocks[:what]:
            block.trainable = False


def distribute(batch_size: int) -> None:
    """Let several GPUs share each batch, which JAX can."""
    devices = len(keras.distribution.list_devices())
    if devices < 2:
        return
    if keras.config.backend() != "jax":
        print(f"{devices} GPUs are here and TensorFlow uses one: KERAS_BACKEND=jax shares batches.", file=sys.stderr)
        return
    if batch_size % devices:
        raise SettingError(
            f"--batch_size is {batch_size} and {devices} devices share each batch: give a multiple of {devices}."
        )
    keras.distribution.set_distribution(keras.distribution.DataParallel())
