"""The training step on TensorFlow: a graph, compiled by XLA if asked."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from finetune.data.packing import Batch
from finetune.training.gpt2 import GPT2


class GraphStep:
    """Trains a model, whose variables always hold the newest weights."""

    def __init__(self, model: GPT2, optimizer: keras.optimizers.Optimizer, *, compiled: bool) -> None:
        self.model = model
        self.optimizer = optimizer
        self._train = tf.function(self.trained, jit_compile=compiled)
        self._evaluate = tf.function(self.evaluated, jit_compile=compiled)

    def read_variables(self) -> None:
        """The graph reads them itself."""

    def settle(self) -> None:
        """The graph has assigned them itself."""

    def train(self, batch: Batch, counted: float) -> Any:
        """Train on a batch. Returns the loss before it, divided by `counted`."""
        return self._train(*tensors(batch), tf.constant(counted))

    def evaluate(self, batch: Batch) -> Any:
        """The sum of the losses of a batch's tokens, in nats."""
        return self._evaluate(*tensors(batch))

    def trained(self, inputs: Any, targets: Any, weights: Any, counted: Any) -> Any:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.model.mean_loss(inputs, targets, weights, counted, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(scaled, [variable.value for variable in variables]), variables)
        return loss

    def evaluated(self, inputs: Any, targets: Any, weights: Any) -> Any:
        return self.model.mean_loss(inputs, targets, weights, 1.0, training=False)


def tensors(batch: Batch) -> Any:
    return tf.nest.map_structure(tf.convert_to_tensor, batch.for_keras())
