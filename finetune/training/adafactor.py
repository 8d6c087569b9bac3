"""Adafactor, with which large models train in less memory: the second moment of a matrix is kept as two vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any
SMALLEST_SCALE = 1e-3
"""A weight matrix with smaller values than this, such as one of zeros, is taken to have these."""


class Adafactor(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Algorithm 4 of arXiv 1804.04235: no momentum, and steps relative to the size of the weights.

    keras.optimizers.Adafactor computes the same, and keeps the product of the two vectors too, as large as the weights.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.moments = [self.vectors(variable) for variable in variables]

    def vectors(self, variable: keras.Variable) -> list[keras.Variable]:
        """The means over each row and each column of a matrix's squared gradients, or all squares of a vector's."""
        name = variable.path.replace("/", "_")
        return [self.add_variable((size,), name=f"{name}_{axis}") for axis, size in enumerate(variable.shape)]

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        moments = self.moments[self._get_variable_index(variable)]
        kept = 1.0 - ops.power(ops.cast(self.iterations + 1, "float32"), -0.8)
        squares = ops.square(gradient) + 1e-30
        for axis, moment in enumerate(moments):
            mean = ops.mean(squares, axis=1 - axis) if len(moments) == 2 else squares
            self.assign(moment, kept * moment + (1.0 - kept) * mean)
        second, *of_columns = [ops.convert_to_tensor(moment) for moment in moments]
        if of_columns:
            # Divided first: the product of two means near 1e-30 is zero in float32, and the step would be no number.
            second = ops.outer(second / ops.mean(second), of_columns[0])
        step = gradient / ops.sqrt(second)
        step /= ops.maximum(1.0, root_mean_square(step))
        scale = ops.maximum(SMALLEST_SCALE, root_mean_square(ops.convert_to_tensor(variable)))
        self.assign_sub(variable, ops.cast(learning_rate, "float32") * scale * step)


def root_mean_square(array: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(ops.square(array)))
