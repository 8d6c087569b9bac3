"""GPU settings: the graphics card of this machine, the precision that it computes fastest, and how long to train on it."""

from __future__ import annotations

import subprocess
from typing import Literal, NamedTuple

TRIAL_MINUTES = 2.0
"""How long a trial on the processor trains a model of 124M: long enough to see how it goes."""


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


def minutes_here(wanted: float) -> float:
    """How long to train on this machine: as long as `wanted` on a graphics card, else a trial. It is printed with its reason."""
    if gpu := first_gpu():
        print(
            f"{gpu.name}, {gpu.memory / 1024:.0f} GB. JAX trains on it in {gpu.precision}, for {wanted:g} minutes at most."
        )
        return wanted
    trial = min(wanted, TRIAL_MINUTES)
    print(
        f"There is no GPU here: this is a trial of {trial:g} minutes on the processor. It shows how it goes, and teaches little. "
        "For a model of use, choose Runtime → Change runtime type → T4 GPU or a better one, another NAME, and run all again."
    )
    return trial
