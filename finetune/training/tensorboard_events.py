"""The event file that TensorBoard shows: `tensorboard --logdir checkpoint`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class TensorboardEvents:
    """Writes scalars into an event file in `folder`."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary import Writer

        folder.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(str(folder))

    def __enter__(self) -> TensorboardEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
