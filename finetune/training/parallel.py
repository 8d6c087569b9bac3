"""Training on several GPUs, on JAX: each has a part of every batch, or a part of the model."""

from __future__ import annotations

import sys

import keras

from app.errors import SettingError
from finetune.training.devices import found_devices
from finetune.training.options import TrainingOptions

COLUMNS, ROWS = (None, "model"), ("model", None)
# As in Megatron-LM (arXiv 1909.08053): each GPU has a part of what a block's first projections write, and that is the part
# which the second ones read. So GPUs exchange activations only twice a block. Adapters are divided like their projections,
# and the optimizer's variables like those that they belong to. The embeddings are whole on each GPU: divided, the logits
# would have to be exchanged.
LAYOUTS = {
    ".*(attn_c_attn|mlp_c_fc)/(kernel|lora_kernel_b)": COLUMNS,
    ".*(attn_c_attn|mlp_c_fc)/bias": ("model",),
    ".*(attn_c_proj|mlp_c_proj)/(kernel|lora_kernel_a)": ROWS,
}


def distribute(options: TrainingOptions, n_embd: int) -> None:
    """Let Keras spread batches or variables over the GPUs. Call this before the model is made.

    Raises SettingError where they cannot be divided.
    """
    keras.distribution.set_distribution(None)
    devices = found_devices()
    if devices.backend != "jax" or options.parallel == "none" or devices.count == 1:
        refuse_unused(options)
    elif options.parallel == "model":
        keras.distribution.set_distribution(model_parallel(devices.count, n_embd))
    else:
        refuse_undivided(options.rows, devices.count)
        keras.distribution.set_distribution(keras.distribution.DataParallel())


def refuse_unused(options: TrainingOptions) -> None:
    """Raises SettingError where several GPUs are asked for and only one can train."""
    backend, count = keras.config.backend(), len(keras.distribution.list_devices())
    if options.parallel in ("data", "model"):
        if backend != "jax":
            raise SettingError(f"--parallel {options.parallel} needs JAX: set KERAS_BACKEND=jax, or leave it out.")
        raise SettingError(f"--parallel {options.parallel} needs several GPUs, and JAX finds one device: leave it out.")
    if backend != "jax" and count > 1:
        print(f"TensorFlow uses one of {count} GPUs: KERAS_BACKEND=jax splits each batch among all.", file=sys.stderr)


def refuse_undivided(rows: int, devices: int) -> None:
    if rows % devices:
        raise SettingError(
            f"--batch-size is {rows} and each batch is split among {devices} devices: "
            f"give a multiple of {devices}, or --parallel none."
        )


def model_parallel(devices: int, n_embd: int) -> keras.distribution.ModelParallel:
    if n_embd % devices:
        raise SettingError(
            f"--parallel model divides the width of {n_embd} among {devices} devices, which leaves a rest: use fewer devices."
        )
    mesh = keras.distribution.DeviceMesh((1, devices), ["batch", "model"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts.update(LAYOUTS)
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
