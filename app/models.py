"""The models that are served, by name, loaded when they are asked for.

The first is loaded at the start already. app.memory decides which models leave again when memory is short.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from app.engine.base import Engine
from app.engine.bundle import FILES, Template, read_manifest
from app.engine.cores import cores_allowed
from app.errors import FatalError, ModelNotLoaded, SettingError, UnknownModel
from app.memory import check_memory, memory_allowed, models_to_free, size_of
from app.settings import Settings


class Models:
    """A registry of models; safe to use from several threads.

    `loaders` load a model each. `sizes` are the models' bytes; `allowed` is the container's memory in bytes, None for no limit.
    """

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], Engine]],
        sizes: Mapping[str, int] | None = None,
        allowed: int | None = None,
    ) -> None:
        self.names = list(loaders)
        self._loaders = loaders
        self._sizes = sizes or {}
        self._allowed = allowed
        self._lock = threading.Lock()
        # Of the default model: its window in tokens, and its template.
        self.n_ctx = 0
        self.template: Template = "text"
        # From the least to the most recently used.
        self._loaded: dict[str, Engine] = {}

    @property
    def default(self) -> str:
        return self.names[0]

    @property
    def loaded(self) -> list[str]:
        """The models in memory, from the least to the most recently used."""
        return list(self._loaded)

    def load_default(self) -> None:
        """Load the first model, before the port opens. Raises FatalError."""
        self._loaded[self.default] = engine = self._loaders[self.default]()
        self.n_ctx = engine.n_ctx
        self.template = engine.template

    def known(self, name: str | None = None) -> str:
        """The name itself, or the default model's for None. Loads nothing. Raises UnknownModel."""
        name = self.default if name is None else name
        if name not in self._loaders:
            raise UnknownModel(name, self.names)
        return name

    def get(self, name: str | None = None) -> Engine:
        """The model of this name, or the default model. Loading takes a while, so call this on a thread.

        Raises UnknownModel, ModelNotLoaded.
        """
        name = self.known(name)
        with self._lock:
            engine = self._loaded.pop(name, None) or self._load(name)
            self._loaded[name] = engine
            return engine

    def _load(self, name: str) -> Engine:
        for other in models_to_free(self.loaded, name, self._sizes, self._allowed):
            del self._loaded[other]
        try:
            return self._loaders[name]()
        except FatalError as error:
            raise ModelNotLoaded(name, error) from error


def load_models(settings: Settings) -> Models:
    """The models that the settings name, with the first one loaded. Raises FatalError.

    Imports the libraries of the chosen engine only.
    """
    if settings.models and settings.engine != "onnx":
        raise SettingError(f"MODELS is for ENGINE=onnx, and ENGINE is {settings.engine}: leave one of them out.")
    models = {"onnx": bundle_models, "tensorflow": checkpoint_models, "fake": fake_models}[settings.engine](settings)
    models.load_default()
    return models


def bundle_models(settings: Settings) -> Models:
    """The bundle of MODEL and those of MODELS, on ONNX Runtime."""
    from app.engine.onnx import load_bundle

    folders = folders_by_name([Path(settings.model), *bundle_folders(settings.models)])
    sizes = {name: size_of([folder / file for file in FILES]) for name, folder in folders.items()}
    allowed = memory_allowed()
    for name, folder in folders.items():
        check_memory(folder, sizes[name], allowed)
    threads = thread_count(settings)
    return Models({name: partial(load_bundle, folder, threads) for name, folder in folders.items()}, sizes, allowed)


def checkpoint_models(settings: Settings) -> Models:
    """The checkpoint of MODEL, on TensorFlow."""
    from app.engine.tensorflow import TensorflowEngine

    folder = Path(settings.model)
    return Models({folder.resolve().name: partial(TensorflowEngine, folder, thread_count(settings))})


def fake_models(settings: Settings) -> Models:
    """The model with known logits."""
    from app.engine.fake import FakeEngine

    return Models({"fake": FakeEngine})


def bundle_folders(names: str) -> list[Path]:
    """The bundles that MODELS names: comma-separated bundles, or folders that hold bundles. Raises SettingError."""
    found: list[Path] = []
    for name in filter(None, map(str.strip, names.split(","))):
        folder = Path(name)
        inside = sorted(path.parent for path in folder.glob("*/manifest.json"))
        if not inside and not (folder / "manifest.json").is_file():
            raise SettingError(f"MODELS names {name!r}, which is neither a bundle nor a folder of bundles.")
        found += inside or [folder]
    return found


def folders_by_name(folders: list[Path]) -> dict[str, Path]:
    """The bundles by the names in their manifests. Raises BundleError, and SettingError for two of one name."""
    named: dict[str, Path] = {}
    for folder in folders:
        name = read_manifest(folder).name
        if named.setdefault(name, folder).resolve() != folder.resolve():
            raise SettingError(f"{named[name]} and {folder} are both named {name!r}: export one under another name.")
    return named


def thread_count(settings: Settings) -> int:
    """Threads of one generation: THREADS, or as many as there are cores."""
    return settings.threads or cores_allowed()
