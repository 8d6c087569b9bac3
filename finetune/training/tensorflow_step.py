"""The training step on TensorFlow: a graph, compiled by XLA if asked."""

from __future__ import annotations

from collections.abc import Sequence
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
        self._train = tf.function(self.trained, jit_compile=compiled, autograph=False)
        self._add = tf.function(self.added, jit_compile=compiled, autograph=False)
        self._apply = tf.function(self.applied, jit_compile=compiled, autograph=False)
        self._evaluate = tf.function(self.evaluated, jit_compile=compiled, autograph=False)
        self._sums: list[tf.Variable] = []

    def read_variables(self) -> None:
        """The graph reads them itself."""

    def settle(self) -> None:
        """The graph has assigned them itself."""

    def train(self, batches: Sequence[Batch], counted: float) -> Any:
        """One step on all these batches. Returns the loss before it, divided by `counted`."""
        if len(batches) == 1:
            return self._train(*tensors(batches[0]), tf.constant(counted))
        if not self._sums:
            self._sums = [tf.Variable(tf.zeros_like(each.value)) for each in self.model.trainable_variables]
        loss = sum(self._add(*tensors(batch), tf.constant(counted)) for batch in batches)
        self._apply()
        return loss

    def bytes_needed(self, batches: Sequence[Batch]) -> None:
        """Nobody says."""

    def evaluate(self, batch: Batch) -> Any:
        """The sum of the losses of a batch's tokens, in nats."""
        return self._evaluate(*tensors(batch))

    def trained(self, inputs: Any, targets: Any, weights: Any, counted: Any) -> Any:
        gradients, loss = self.gradients(inputs, targets, weights, counted)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss

    def added(self, inputs: Any, targets: Any, weights: Any, counted: Any) -> Any:
        gradients, loss = self.gradients(inputs, targets, weights, counted)
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.assign_add(tf.convert_to_tensor(gradient))
        return loss

    def applied(self) -> None:
        self.optimizer.apply([tf.identity(total) for total in self._sums], self.model.trainable_variables)
        for total in self._sums:
            total.assign(tf.zeros_like(total))

    def gradients(self, inputs: Any, targets: Any, weights: Any, counted: Any) -> tuple[list[Any], Any]:
        with tf.GradientTape() as tape:
            loss = self.model.mean_loss(inputs, targets, weights, counted, training=True)
            scaled = self.optimizer.scale_loss(loss)
        return tape.gradient(scaled, [variable.value for variable in self.model.trainable_variables]), loss

    def evaluated(self, inputs: Any, targets: Any, weights: Any) -> Any:
        return self.model.mean_loss(inputs, targets, weights, 1.0, training=False)


def tensors(batch: Batch) -> Any:
    return tf.nest.map_structure(tf.convert_to_tensor, batch.for_keras())
