"""The models that are served, by name. Their weights are loaded when they are asked for; app.engine.memory counts them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

from app.engine.base import Engine
from app.engine.bundle import Bundle, Checksum, read_manifest
from app.engine.cores import cores_allowed
from app.engine.default_bundle import PACKAGED, default_bundle, is_bundle
from app.engine.memory import BASE, TOKEN_BYTES, ModelMemory
from app.engine.memory_limit import memory_allowed
from app.engine.tokenizer import Tokenizer
from app.errors import SettingError, UnknownModel
from app.settings import Settings

Vocabulary = Callable[[], Tokenizer]
log = logging.getLogger(__name__)


class Models:
    """The served models; the first is the default. `memory` says whose weights are loaded."""

    def __init__(self, engines: Sequence[Engine], memory: ModelMemory | None = None) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self.memory = memory or ModelMemory()

    @property
    def names(self) -> list[str]:
        return list(self._engines)

    @property
    def default(self) -> str:
        return self.names[0]

    def get(self, name: str | None = None) -> Engine:
        """The model of this name, or the default model. Loads nothing. Raises UnknownModel."""
        name = self.default if name is None else name
        if name not in self._engines:
            raise UnknownModel(name, self.names)
        return self._engines[name]

    def load_default(self) -> None:
        """Load the default model's weights and, beside them, all vocabularies, before the port opens. Raises FatalError."""
        with ThreadPoolExecutor(1) as beside:
            reading = beside.submit(self.read_vocabularies)
            self.memory.load(self.get())
            reading.result()

    def read_vocabularies(self) -> None:
        """Read those that have not been read yet. Raises BundleError."""
        for engine in self._engines.values():
            len(engine.tokenizer)


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
    """The bundle of MODEL and those of MODELS, on ONNX Runtime. Bundles with the same vocabulary share it."""
    from app.engine.bundle_parts import read_tokenizer
    from app.engine.onnx import OnnxEngine

    chosen = Path(settings.model) if settings.model else default_bundle()
    if chosen == PACKAGED:
        log.info(
            "there is no bundle in models/: this is the packaged starter. `gpt2 new FILE` makes a model of your text"
        )
    bundles = bundles_by_name([chosen, *bundle_folders(settings.models)], settings.bundle_check)
    vocabularies: dict[str | None, Vocabulary] = {}
    engines: list[Engine] = []
    tokens = 0
    for bundle in bundles.values():
        bundle.check([bundle.tokenizer.name])
        vocabulary = bundle.manifest.files.get(bundle.tokenizer.name)
        if vocabulary not in vocabularies:
            vocabularies[vocabulary] = cache(partial(read_tokenizer, bundle))
            tokens += bundle.manifest.hparams.n_vocab
        engines.append(OnnxEngine(bundle, thread_count(settings), vocabularies[vocabulary], settings.concurrency))
    memory = ModelMemory(memory_allowed(), BASE + TOKEN_BYTES * tokens)
    for engine, bundle in zip(engines, bundles.values(), strict=True):
        memory.fit(engine, bundle.folder, settings.concurrency)
    return Models(engines, memory)


def checkpoint_models(settings: Settings) -> Models:
    """The checkpoint of MODEL, on TensorFlow."""
    from app.engine.tensorflow import TensorflowEngine

    if not settings.model:
        raise SettingError(
            "ENGINE is tensorflow and MODEL is not set: set MODEL to a checkpoint, such as checkpoint/run1."
        )
    return Models([TensorflowEngine(Path(settings.model), thread_count(settings))])


def fake_models(settings: Settings) -> Models:
    """The model with known logits."""
    from app.engine.fake import FakeEngine

    return Models([FakeEngine()])


def bundle_folders(names: str) -> list[Path]:
    """The bundles that MODELS names: comma-separated bundles, or folders that hold bundles. Raises SettingError."""
    found: list[Path] = []
    for name in filter(None, map(str.strip, names.split(","))):
        folder = Path(name)
        # Hidden ones are being written, or were when a process was killed.
        inside = sorted(path.parent for path in folder.glob("[!.]*/manifest.json"))
        if not inside and not is_bundle(folder):
            raise SettingError(f"MODELS names {name!r}, which is neither a bundle nor a folder of bundles.")
        found += inside or [folder]
    return found


def bundles_by_name(folders: Sequence[Path], checksum: Checksum) -> dict[str, Bundle]:
    """The bundles by the names in their manifests. Raises BundleError, and SettingError for two of one name."""
    named: dict[str, Bundle] = {}
    for folder in folders:
        bundle = Bundle(folder, read_manifest(folder), False, checksum)
        name = bundle.manifest.name
        other = named.setdefault(name, bundle).folder
        if other.resolve() != folder.resolve():
            raise SettingError(f"{other} and {folder} are both named {name!r}: export one under another name.")
    return named


def thread_count(settings: Settings) -> int:
    """Threads of a pass: THREADS, or as many as there are cores."""
    return settings.threads or cores_allowed()
