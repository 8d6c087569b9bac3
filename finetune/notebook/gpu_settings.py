"""GPU settings: the graphics card of this machine, and the training options that fit it."""

from __future__ import annotations

import subprocess
from typing import Literal, NamedTuple

from app.errors import MachineError

TOKENS_PER_STEP = "16384"
"""16 rows of 1,024, so that a thousand steps read 16 million tokens."""
TRIAL = ["--batch_size", "4", "--context", "64"]
"""A step that a processor computes in about two seconds for a model of 124M."""


class Gpu(NamedTuple):
    """A graphics card: what NVIDIA's driver calls it, its compute capability, such as 7.5, and its memory in MiB."""

    name: str
    compute_capability: float
    memory: int

    @property
    def precision(self) -> Literal["bfloat16", "float16", "float32"]:
        """bfloat16 from Ampere on, where tensor cores compute it: it needs no loss scaling.

        float16 on Volta and Turing, such as Colab's T4. Their tensor cores compute it eight times as fast as float32, and
        activations take half the memory. The loss is scaled, so that small gradients do not become zero. Older cards have no
        tensor cores: float32.
        """
        if self.compute_capability >= 8.0:
            return "bfloat16"
        return "float16" if self.compute_capability >= 7.0 else "float32"


def first_gpu() -> Gpu | None:
    """The first NVIDIA card of this machine, if there is one."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits"]
    try:
        cards = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    if not cards:
        return None
    name, capability, memory = cards[0].split(", ")
    return Gpu(name, float(capability), int(memory))


def gpu_options(*, or_trial: bool = False) -> list[str]:
    """The options of `train` for the card of this machine, printed with their reason.

    Raises MachineError without a card, unless a trial on the processor is enough.
    """
    gpu = first_gpu()
    if gpu is not None:
        print(f"{gpu.name}, {gpu.memory / 1024:.0f} GB. JAX trains on it in {gpu.precision}.")
        return ["--precision", gpu.precision, "--batch_size", "auto", "--tokens_per_step", TOKENS_PER_STEP]
    if or_trial:
        print(
            "No GPU. This is a trial on the processor: 4 rows of 64 tokens a step. 50 STEPS are enough to see how it goes."
        )
        return TRIAL
    raise MachineError(
        "There is no GPU here: choose Runtime → Change runtime type → T4 GPU or a better one and run all again, "
        "or tick TRIAL_WITHOUT_GPU to go on without."
    )
