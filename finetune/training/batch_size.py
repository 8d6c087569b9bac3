"""The batch size: `--batch-size auto` takes what fits into memory, and `--tokens-per-step` the number of batches a step needs.

A step trains on the same rows, however they are divided into batches. So a run may be resumed where less memory is.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace

from app.errors import MachineError, SettingError
from finetune.out_of_memory import is_out_of_memory
from finetune.run_folder import RunDescription
from finetune.training.attention import uses_flash
from finetune.training.devices import Devices
from finetune.training.memory_estimate import MemoryEstimate, estimate_memory, usable_memory
from finetune.training.options import TrainingOptions
from finetune.training.starting_point import StartingPoint
from finetune.training.trainer import Trainer

ENOUGH_TOKENS = {"GPU": 65_536, "CPU": 4_096}
"""Larger batches are no faster."""


def trainer_that_fits(
    options: TrainingOptions,
    start: StartingPoint,
    before: RunDescription | None,
    devices: Devices,
    make: Callable[[TrainingOptions], Trainer],
) -> tuple[TrainingOptions, Trainer]:
    """A trainer, and the options with numbers for `auto` and --tokens-per-step. `before` describes a run that is resumed.

    Where the backend can say how much memory a step takes, `auto` is certain. Else it is an estimate.

    Raises MachineError where the device is too small for the model.
    """
    batches = BatchSize(options, start, before, devices)
    batches.refuse_large_model()
    options = batches.estimated()
    trainer = make(options)
    while needed := batches.too_many_bytes(trainer, options):
        smaller = batches.smaller(options, needed)
        del trainer
        gc.collect()  # The model's parts refer to each other.
        trainer, options = make(smaller), smaller
    batches.tell(options)
    return options, trainer


class BatchSize:
    """Finds the batch size of a run."""

    def __init__(
        self, options: TrainingOptions, start: StartingPoint, before: RunDescription | None, devices: Devices
    ) -> None:
        self.before = before.options if before and before.options.get("trainer") != "gpt-2-simple" else None
        self.before_rows = int(self.before.get("batch_size", 1)) if self.before else 0
        recomputed = bool(self.before and self.before.get("gradient_checkpointing"))
        self.automatic = options.batch_size == "auto"
        if self.automatic and recomputed:
            options = replace(options, gradient_checkpointing=True)
        self.options = options
        self.start = start
        self.devices = devices
        self.length = options.context or start.hparams.n_ctx
        self.memory = usable_memory(devices)
        split = devices.count > 1 and options.parallel in ("auto", "data")
        self.multiple = devices.count if split else 1
        """Each batch is split among so many devices."""

    def estimate(self, options: TrainingOptions) -> MemoryEstimate:
        flash = uses_flash(options, self.start.hparams)
        return estimate_memory(options, self.start.hparams, self.start.weights, self.devices, flash=flash)

    def refuse_large_model(self) -> None:
        """Raises MachineError where not even the weights and the optimizer's state fit on the GPU."""
        least = self.estimate(self.options).least
        if self.devices.memory is not None and least > self.devices.memory:
            ways = {"--lora 8": self.options.lora > 0, "--optimizer adafactor": self.options.optimizer != "adamw"}
            choices = [way for way, taken in ways.items() if not taken]
            raise MachineError(
                f"{self.devices.name} has {gigabytes(self.devices.memory)} of memory, and the weights, gradients and "
                f"optimizer state of this model take {gigabytes(least)}: "
                f"give {', '.join(choices)}{' or ' if choices else ''}a smaller model."
            )

    def estimated(self) -> TrainingOptions:
        """The options with numbers: those of the run that is resumed, or by the estimate."""
        if not self.automatic:
            return replace(self.options, accumulate=self.batches(self.options.rows))
        if self.before is not None and (self.devices.backend == "jax" or not self.devices.gpu):
            return self.divided(self.options, self.before_rows)  # JAX's compiler says whether they fit.
        options = self.options
        if self.fitting(options) < self.multiple:
            options = replace(options, gradient_checkpointing=True)
        return self.divided(options, min(self.fitting(options), self.before_rows or sys.maxsize))

    def fitting(self, options: TrainingOptions) -> int:
        """How many rows fit by the estimate, and no more than are faster."""
        enough = ENOUGH_TOKENS["GPU" if self.devices.gpu else "CPU"] // self.length
        if self.memory is None:
            return self.multiple * max(1, enough)
        estimate = self.estimate(options)
        room = max(0, self.memory - estimate.fixed)
        return self.multiple * min(max(1, enough), room // estimate.row)

    @property
    def rows_per_step(self) -> float | None:
        """How many rows a step should have; None if that depends on the batch size."""
        if self.before is not None and self.automatic:
            return self.before_rows * int(self.before.get("accumulate", 1))
        if self.options.tokens_per_step is not None:
            return self.options.tokens_per_step / self.length
        return None

    def batches(self, rows: int) -> int:
        """How many batches of so many rows come nearest to what a step should have."""
        wanted = self.rows_per_step
        return self.options.accumulate if wanted is None else max(1, round(wanted / rows))

    def divided(self, options: TrainingOptions, most: int) -> TrainingOptions:
        """Batches of at most so many rows: the largest of those with which a step comes nearest to its size."""
        wanted = self.rows_per_step
        if wanted is None:
            even = self.multiple * (8 if most >= 8 * self.multiple else 1)
            rows = max(self.multiple, most - most % even)
        else:
            most = max(self.multiple, min(most, round(wanted)) // self.multiple * self.multiple)
            # A resumed run has to keep the size of its step. Otherwise batches of half the size would only cost time.
            sizes = range(most, 0 if self.before else most // 2, -self.multiple)
            rows = min(sizes, key=lambda size: abs(size * self.batches(size) - wanted))
            if self.before and rows * self.batches(rows) != wanted:
                raise SettingError(
                    f"the run's steps have {wanted:.0f} rows, which {self.multiple} devices cannot share: give --parallel none."
                )
        return replace(options, batch_size=rows, accumulate=self.batches(rows))

    def too_many_bytes(self, trainer: Trainer, options: TrainingOptions) -> int:
        """The bytes that a step takes, as its compiler says, if `auto` has chosen them and they do not fit; else 0."""
        if not self.automatic or self.memory is None or self.devices.memory is None:
            return 0
        try:
            needed = trainer.bytes_needed(options.rows, self.length) or 0
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            needed = 2 * self.memory
        return needed if needed > self.memory else 0

    def smaller(self, options: TrainingOptions, needed: int) -> TrainingOptions:
        """Options that take less than the `needed` bytes of these. Raises MachineError if there are none."""
        assert self.memory is not None
        least = min(self.estimate(options).least, self.memory - 1)
        most = min(options.rows * (self.memory - least) // (needed - least), options.rows - self.multiple)
        if most >= self.multiple:
            return self.divided(options, most)
        if not options.gradient_checkpointing:
            recomputed = replace(options, gradient_checkpointing=True)
            most = min(self.fitting(recomputed), self.before_rows or sys.maxsize)
            return self.divided(recomputed, max(most, options.rows))
        raise MachineError(
            f"a batch of {options.rows} rows takes {gigabytes(needed)} of memory and {self.devices.name} has "
            f"{gigabytes(self.memory)}: {replace(options, batch_size=1).smaller()}."
        )

    def tell(self, options: TrainingOptions) -> None:
        """Say what nobody has asked for."""
        if options.gradient_checkpointing and not self.options.gradient_checkpointing:
            print("Not one row fits otherwise: --gradient-checkpointing is on.", file=sys.stderr)
        if self.before and self.automatic and options.rows != self.before_rows:
            print(
                f"A batch of {self.before_rows} rows does not fit here: it has {options.rows}, and a step has "
                f"{options.accumulate} batches, with the same rows.",
                file=sys.stderr,
            )


def gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
