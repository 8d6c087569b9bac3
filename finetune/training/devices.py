"""Devices: chooses the backend before Keras is imported, and says what the run computes on."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from finetune.training.graphics_cards import peak_rates
from finetune.training.options import Precision

NVIDIA_DRIVER = "libcuda.so.1"
NO_DEVICE = 100
"""CUDA's error where there is no GPU, or CUDA_VISIBLE_DEVICES hides them all."""
NAMES = {"jax": "JAX", "tensorflow": "TensorFlow"}


@dataclass(frozen=True)
class Devices:
    """The devices of a backend: their number, what one of them is called, and its memory in bytes, if that is known."""

    backend: str
    name: str
    count: int
    memory: int | None

    @property
    def gpu(self) -> bool:
        return self.name != "CPU"

    def __str__(self) -> str:
        times = f"{self.count} × " if self.count > 1 else ""
        return f"{NAMES[self.backend]} on {times}{self.name}"


def choose_backend() -> None:
    """Set KERAS_BACKEND, unless the user has: JAX where it finds a GPU, else TensorFlow.

    Call this before Keras is imported. Without a GPU it imports neither of them.
    """
    if not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "jax" if visible_gpus() and jax_for_cuda() and jax_finds_gpu() else "tensorflow"
    if os.environ["KERAS_BACKEND"] == "jax":
        hide_gpus_from_tensorflow()


def visible_gpus() -> int:
    """The GPUs that NVIDIA's driver lets this process use. Says why, where there is a driver and it lets it use none."""
    try:
        driver = ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if error := driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if error != NO_DEVICE:
            print(f"No GPU is used: NVIDIA's driver reports error {error}.", file=sys.stderr)
        elif hidden is not None:
            print(f"No GPU is used: CUDA_VISIBLE_DEVICES is {hidden!r}.", file=sys.stderr)
    return count.value


def jax_for_cuda() -> bool:
    """Whether JAX is installed with its plugin for CUDA."""
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return find_spec("jax") is not None and any("cuda" in plugin.name for plugin in plugins)


def jax_finds_gpu() -> bool:
    """Whether JAX starts on a GPU. Says what it will be, as a user may be used to TensorFlow."""
    import jax

    try:
        found, why = jax.default_backend() == "gpu", ""
    except (RuntimeError, ValueError) as error:
        found, why = False, f" ({' '.join(str(error).split())})"
    if found:
        print("JAX trains, since it finds a GPU. KERAS_BACKEND=tensorflow chooses TensorFlow.", file=sys.stderr)
    else:
        print(f"TensorFlow trains, since JAX finds no GPU{why}.", file=sys.stderr)
    return found


def hide_gpus_from_tensorflow() -> None:
    """TensorFlow reads and writes checkpoints in a run on JAX, and would take the GPU's memory for that."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def found_devices() -> Devices:
    """The devices of Keras's backend."""
    import keras

    return devices_of_jax() if keras.config.backend() == "jax" else devices_of_tensorflow()


def devices_of_jax() -> Devices:
    import jax

    devices = jax.devices()
    name = "CPU" if devices[0].platform == "cpu" else devices[0].device_kind
    return Devices("jax", name, len(devices), (devices[0].memory_stats() or {}).get("bytes_limit"))


def devices_of_tensorflow() -> Devices:
    """TensorFlow trains on one GPU. It does not say how much memory that has, but NVIDIA's driver does."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return Devices("tensorflow", "CPU", 1, None)
    details: dict[str, Any] = tf.config.experimental.get_device_details(gpus[0])
    return Devices("tensorflow", details.get("device_name", "GPU"), 1, memory_of_gpu())


def memory_of_gpu() -> int | None:
    """Bytes of the first visible GPU, or None without NVIDIA's driver."""
    try:
        driver = ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return None
    total = ctypes.c_size_t(0)
    failed = driver.cuInit(0) or driver.cuDeviceTotalMem_v2(ctypes.byref(total), 0)
    return None if failed else total.value


def peak_flops(precision: Precision) -> float | None:
    """The peak rate of all devices that train, in FLOP/s; None where it is not known."""
    import keras

    rates = peak_rates(found_devices().name)
    distribution = keras.distribution.distribution()
    used = distribution.device_mesh.devices.size if distribution else 1
    return None if rates is None else getattr(rates, precision) * 1e12 * used
