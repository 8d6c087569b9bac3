"""Settings of the backends that come from variables: refused in a sentence where TensorFlow or JAX would not start with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

from app.errors import SettingError

READS_XLA_FLAGS = {
    "jax": "import jax; jax.devices()",
    "tensorflow": "import tensorflow as tf; tf.function(lambda: tf.constant(0), jit_compile=True)()",
}
"""Programs in which XLA reads its flags."""


def refuse_backend(backend: str) -> None:
    """Raises SettingError unless this Keras backend is one that trains here and is installed."""
    if backend not in ("tensorflow", "jax"):
        raise SettingError(f"KERAS_BACKEND is {backend}: set it to tensorflow or jax.")
    if find_spec(backend) is None:
        raise SettingError(f"KERAS_BACKEND is {backend}, which is not installed: `pip install {backend}`, or unset it.")
    if os.environ.get("XLA_FLAGS"):
        refuse_xla_flags(backend)
    if backend == "jax":
        refuse_settings_of_jax()


def refuse_settings_of_jax() -> None:
    """Raises SettingError where JAX does not start because of a variable, which its message names."""
    try:
        import jax

        jax.devices()
    except AssertionError:  # JAX has no message for JAX_PLATFORMS=cuda without its plugin for CUDA.
        raise SettingError(
            f"JAX finds no device of JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}: correct or unset that variable."
        ) from None
    except (RuntimeError, ValueError) as error:
        raise SettingError(f"JAX does not start ({' '.join(str(error).split())}): correct that variable.") from None


def refuse_xla_flags(backend: str) -> None:
    """Raises SettingError for a flag that XLA does not know. XLA ends the process that reads it, so another one tries."""
    command = [sys.executable, "-c", READS_XLA_FLAGS[backend]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  Of this file.
    if ended.returncode and (unknown := re.search(r"Unknown flags? in XLA_FLAGS: (.+)", ended.stderr)):
        raise SettingError(
            f"XLA_FLAGS has what XLA does not know ({unknown[1].strip()}): correct or unset that variable."
        )
