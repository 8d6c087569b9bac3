"""The machine that a model is to be trained on: its graphics card or its processor, and the memory that is free."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.machine_memory import free_memory
from finetune.notebook.gpu_settings import first_gpu
from finetune.training.devices import jax_for_cuda, visible_gpus
from finetune.training.options import Precision
from finetune.training.training_rate import multiplies_bfloat16


@dataclass(frozen=True)
class Machine:
    """`device`: the card's name, or "CPU". `memory`: bytes that training may take, or None if nobody says."""

    device: str
    memory: int | None
    precision: Precision

    @property
    def gpu(self) -> bool:
        return self.device != "CPU"

    def has_room_for(self, needed: int) -> bool:
        return self.memory is None or self.memory >= needed


def this_machine() -> Machine:
    """JAX trains on a card, as `train` chooses it; a card that JAX cannot use does not count."""
    card = first_gpu() if jax_for_cuda() and visible_gpus() else None
    if card is not None:
        return Machine(card.name, card.memory * 2**20, card.precision)
    return Machine("CPU", free_memory(), "bfloat16" if multiplies_bfloat16() else "float32")
