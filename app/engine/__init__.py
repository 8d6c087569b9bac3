"""Computing text: the contract is in base, the implementations in onnx, tensorflow and fake."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from app.engine.base import Engine
from app.engine.models import Models
from app.errors import SettingError
from app.settings import Settings


def load_models(settings: Settings) -> Models:
    """What the settings name, with the first loaded; only its engine's own libraries are imported. Raises StartError."""
    if settings.models and settings.engine != "onnx":
        raise SettingError(f"MODELS is for ENGINE=onnx, and ENGINE is {settings.engine}: leave one of them out.")
    models = open_bundles(settings) if settings.engine == "onnx" else Models({settings.engine: partial(load, settings)})
    models.load_default()
    return models


def load(settings: Settings) -> Engine:
    """The one model of the other engines."""
    if settings.engine == "fake":
        from app.engine.fake import FakeEngine

        return FakeEngine()
    from app.engine.tensorflow import TensorflowEngine

    return TensorflowEngine(settings.model_folder, settings.threads_allowed)


def open_bundles(settings: Settings) -> Models:
    from app.engine.bundle import FILES, read_manifest
    from app.engine.onnx import load_bundle
    from app.memory import check_memory, memory_allowed, size_of

    folders: dict[str, Path] = {}
    for folder in [settings.model_folder, *settings.model_folders]:
        name = read_manifest(folder).name
        if folders.setdefault(name, folder).resolve() != folder.resolve():
            raise SettingError(f"{folders[name]} and {folder} are both named {name!r}: export one under another name.")
    sizes = {name: size_of([folder / file for file in FILES]) for name, folder in folders.items()}
    allowed = memory_allowed()
    for name, folder in folders.items():
        check_memory(folder, sizes[name], allowed)
    threads = settings.threads_allowed
    return Models({name: partial(load_bundle, folder, threads) for name, folder in folders.items()}, sizes, allowed)
