"""The models that are served, by name: the first is loaded at the start, the others when somebody asks for them.

Where memory is limited, those that nobody has asked for the longest leave again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from app.engine.base import Engine
from app.engine.bundle import FILES, Template, read_manifest
from app.errors import FatalError, ModelNotLoaded, SettingError, UnknownModel
from app.memory import BASE, MEGABYTE, check_memory, memory_allowed, size_of
from app.settings import Settings

# Keys, values and scratch memory of what is being written, beside the models.
WORK = 96 * MEGABYTE


class Models:
    """Safe to use from several threads. `sizes` are the models' bytes; `allowed` those there are in all, None for no limit."""

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
        # The default model's window, in tokens, and how turns are put to it.
        self.n_ctx = 0
        self.template: Template = "text"
        # The one asked for last comes last.
        self._loaded: dict[str, Engine] = {}

    @property
    def default(self) -> str:
        return self.names[0]

    @property
    def loaded(self) -> list[str]:
        return list(self._loaded)

    def load_default(self) -> None:
        """What the start waits for. Raises FatalError."""
        self._loaded[self.default] = engine = self._loaders[self.default]()
        self.n_ctx = engine.n_ctx
        self.template = engine.template

    def known(self, name: str | None = None) -> str:
        """The name, or the default model's; nothing is loaded for it. Raises UnknownModel."""
        name = self.default if name is None else name
        if name not in self._loaders:
            raise UnknownModel(name, self.names)
        return name

    def get(self, name: str | None = None) -> Engine:
        """The model of this name, or the default one. It may take a while to load: call this on a thread.

        Raises UnknownModel, ModelNotLoaded.
        """
        name = self.known(name)
        with self._lock:
            if name not in self._loaded:
                self._make_room(name)
                self._loaded[name] = self._load(name)
            # Put at the end.
            self._loaded[name] = engine = self._loaded.pop(name)
            return engine

    def _load(self, name: str) -> Engine:
        try:
            return self._loaders[name]()
        except FatalError as error:
            raise ModelNotLoaded(name, error) from error

    def _make_room(self, name: str) -> None:
        while self._allowed is not None and self._loaded and self._needed(*self._loaded, name) > self._allowed:
            del self._loaded[next(iter(self._loaded))]

    def _needed(self, *names: str) -> int:
        return BASE + WORK + sum(self._sizes.get(name, 0) for name in names)


def load_models(settings: Settings) -> Models:
    """What the settings name, with the first loaded; only its engine's own libraries are imported. Raises FatalError."""
    if settings.models and settings.engine != "onnx":
        raise SettingError(f"MODELS is for ENGINE=onnx, and ENGINE is {settings.engine}: leave one of them out.")
    models = (
        open_bundles(settings) if settings.engine == "onnx" else Models({name_of(settings): partial(load, settings)})
    )
    models.load_default()
    return models


def name_of(settings: Settings) -> str:
    """Of the one model of the other engines."""
    return "fake" if settings.engine == "fake" else settings.model_folder.resolve().name


def load(settings: Settings) -> Engine:
    """That model."""
    if settings.engine == "fake":
        from app.engine.fake import FakeEngine

        return FakeEngine()
    from app.engine.tensorflow import TensorflowEngine

    return TensorflowEngine(settings.model_folder, settings.threads_allowed)


def open_bundles(settings: Settings) -> Models:
    from app.engine.onnx import load_bundle

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
