"""The training step on JAX: one compiled function of the whole state, which it updates in place.

Calls return before the step is computed. The next one is queued behind it, so that the GPU never waits for Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from finetune.data.packing import Batch
from finetune.training.gpt2 import GPT2

Arrays = list[jax.Array]
State = tuple[Arrays, Arrays, Arrays]
"""The trained variables, those that are not trained, and the optimizer's."""


def compiler_options() -> dict[str, bool] | None:
    """XLA's options. It would try matrix products in Triton too, which takes seconds and finds none that is faster here."""
    return {"xla_gpu_enable_triton_gemm": False} if jax.default_backend() == "gpu" else None


class CompiledStep:
    """Trains a model. Its variables hold the newest weights only after `settle`."""

    def __init__(self, model: GPT2, optimizer: keras.optimizers.Optimizer) -> None:
        self.model = model
        self.optimizer = optimizer
        self.variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        self.read_variables()
        # Each variable stays where Keras has put it on several GPUs. On one, a place would be news to the second step, and JAX
        # would compile it again.
        places = jax.tree.map(lambda array: array.sharding, self.state) if keras.distribution.distribution() else None
        self._train = jax.jit(
            self.trained,
            donate_argnums=0,
            out_shardings=(places, None) if places else None,
            compiler_options=compiler_options(),
        )
        self._evaluate = jax.jit(self.evaluated, compiler_options=compiler_options())

    def read_variables(self) -> None:
        """Take over weights that were assigned to the variables."""
        trained, fixed, state = ([variable.value for variable in variables] for variables in self.variables)
        self.state: State = (trained, fixed, state)

    def settle(self) -> None:
        """Give the variables the newest weights."""
        for variables, arrays in zip(self.variables, self.state, strict=True):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)

    def train(self, batches: Sequence[Batch], counted: float) -> jax.Array:
        """Queue one step on all these batches. Returns the loss before it, divided by `counted`; float() waits for it."""
        loss: jax.Array
        self.state, loss = self._train(self.state, *placed(batches), counted)
        return loss

    def bytes_needed(self, batches: Sequence[Batch]) -> int:
        """The memory on each device that a step on such batches takes. This compiles the step, once."""
        memory = self._train.lower(self.state, *placed(batches), 1.0).compile().memory_analysis()
        assert memory
        written = memory.output_size_in_bytes - memory.alias_size_in_bytes
        needed: int = memory.argument_size_in_bytes + memory.temp_size_in_bytes + written
        return needed

    def evaluate(self, batch: Batch) -> jax.Array:
        """The sum of the losses of a batch's tokens, in nats."""
        loss: jax.Array = self._evaluate(self.state, *placed([batch]))
        return loss

    def trained(self, state: State, inputs: Any, targets: Any, weights: Any, counted: Any) -> tuple[State, jax.Array]:
        trained, fixed, optimizer = state

        def scaled_loss(trained: Arrays, batch: Any) -> tuple[jax.Array, jax.Array]:
            with self.holding((trained, fixed, optimizer)):
                inputs, targets, weights = batch
                loss = self.model.mean_loss(inputs, targets, weights, counted, training=True)
                return self.optimizer.scale_loss(loss), loss

        gradients_and_loss = jax.grad(scaled_loss, has_aux=True)
        batches = (inputs, targets, weights)
        if len(targets) == 1:
            gradients, loss = gradients_and_loss(trained, jax.tree.map(lambda array: array[0], batches))
        else:

            def add(total: Any, batch: Any) -> tuple[Any, None]:
                return jax.tree.map(jnp.add, total, gradients_and_loss(trained, batch)), None

            nothing = jax.tree.map(jnp.zeros_like, trained), jnp.zeros(())
            (gradients, loss), _ = jax.lax.scan(add, nothing, batches)
        trained, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trained)
        return (trained, fixed, optimizer), loss

    def evaluated(self, state: State, inputs: Any, targets: Any, weights: Any) -> Any:
        with self.holding(state):
            inputs, targets, weights = jax.tree.map(lambda array: array[0], (inputs, targets, weights))
            return self.model.mean_loss(inputs, targets, weights, 1.0, training=False)

    def holding(self, state: Sequence[Arrays]) -> keras.StatelessScope:
        """Let the variables have these values while the function is traced."""
        pairs = [
            pair
            for variables, arrays in zip(self.variables, state, strict=True)
            for pair in zip(variables, arrays, strict=True)
        ]
        return keras.StatelessScope(state_mapping=pairs)


def placed(batches: Sequence[Batch]) -> Any:
    """The arrays of all batches, [batches, batch, length], with the rows split among several GPUs where Keras says so."""
    arrays = jax.tree.map(lambda *each: np.stack(each), *(batch.for_keras() for batch in batches))
    distribution = keras.distribution.distribution()
    if distribution is None:
        return arrays
    rows = jax.sharding.PartitionSpec(None, distribution.batch_dim_name)
    return jax.device_put(arrays, jax.sharding.NamedSharding(distribution.device_mesh.backend_mesh, rows))
