"""The model that a verb lets write: found by a path or a name, and opened as an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.engine.bundle import open_bundle
from app.engine.cores import cores_allowed
from app.engine.default_bundle import MODELS, default_bundle, is_bundle
from app.engine.onnx import OnnxEngine
from app.errors import SettingError
from finetune.export.quantization import Bits


def model_folder(name: str | None) -> Path:
    """The folder of a bundle, a checkpoint or a run: a path, or the name of one. Without a name, the default bundle.

    Of a run and its bundle, which have the same name, the bundle is meant. Raises SettingError, BundleError.
    """
    if name is None:
        return default_bundle()
    path = Path(name)
    if len(path.parts) != 1 or path.exists():
        return path
    if is_bundle(MODELS / path):
        return MODELS / path
    from finetune.inventory import find_model

    return find_model(name, "bundle", "run", "checkpoint")


@contextmanager
def opened_model(folder: Path, bits: Bits = 8, end: str | None = None, save: int | None = None) -> Iterator[OnnxEngine]:
    """An engine on a bundle, or on a save of a checkpoint, by default the newest. A bundle keeps its own `bits` and `end`.

    A bundle writes its first words within a second, since nothing is imported that only a checkpoint needs.

    Raises CheckpointError, BundleError, and SettingError where `end` is empty or not a token's id, or a bundle's `save` is asked.
    """
    if is_bundle(folder):
        if save is not None:
            raise SettingError(f"--save is {save}, and {folder} is a bundle, which has no saves: leave --save out.")
        yield OnnxEngine(open_bundle(folder, "crc32"), cores_allowed())
        return
    from finetune.export.checkpoint_engine import engine_for

    with engine_for(folder, bits, end, save) as engine:
        yield engine
