"""The environment of the libraries: no file and no variable of the user's changes what a verb computes or draws."""

from __future__ import annotations

import os
import resource

from finetune.library_log import quiet_imports

NOWHERE = f"{os.devnull}/keras"
"""A folder that can be neither read nor created."""

KEPT = ("KERAS_BACKEND", "TQDM_DISABLE")


def shield_libraries() -> None:
    """Set the variables that TensorFlow, Keras and Matplotlib read when they are imported. Call this before."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Silences TensorFlow's notes on hardware, once it is loaded.
    quiet_imports()  # And before.
    for name in [name for name in os.environ if name.startswith(("KERAS_", "TQDM_")) and name not in KEPT]:
        del os.environ[name]
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        # Under `ulimit -v`, the allocator of TensorFlow's oneDNN waits for minutes before it says that memory has run out.
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ["KERAS_HOME"] = NOWHERE  # Else Keras reads ~/.keras/keras.json, or writes it.
    os.environ["KERAS_BACKEND"] = os.environ.get(
        "KERAS_BACKEND", ""
    ).strip()  # Empty, `train` chooses; else TensorFlow.
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # Else TensorFlow takes all memory of all GPUs at once.
    if "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:  # The former name, which JAX takes too, but not both.
        os.environ.setdefault(
            "XLA_CLIENT_MEM_FRACTION", "0.9"
        )  # JAX's share of each GPU's memory. It takes 0.75 by itself.
    os.environ["MPLBACKEND"] = (
        "agg"  # Charts are only written to files. A notebook's backend may not be installed here.
    )
