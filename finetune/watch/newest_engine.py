"""An engine on the newest save of a run in training: made when it is first asked, replaced by that of a newer save."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from app.engine.deadline import Deadline
from app.engine.generation import GenerationOptions, generate
from app.engine.onnx import OnnxEngine
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import open_save
from finetune.export.checkpoint_engine import checkpoint_engine
from finetune.export.end_markers import find_end_marker
from finetune.run_folder import RunFolder
from finetune.sampled_texts import encode_prefix

TRIES = 3
"""A save may be replaced by a newer one while it is read."""


class LoadedSave(NamedTuple):
    folder: Path
    step: int


class NewestEngine:
    """Holds one engine at a time, whichever run is asked, and writes one text at a time."""

    def __init__(self) -> None:
        self.loaded: LoadedSave | None = None
        self._engine: OnnxEngine | None = None
        self._files = ExitStack()
        self._busy = threading.Lock()

    def write(self, folder: Path, prompt: str, options: GenerationOptions, deadline: Deadline) -> Iterator[str]:
        """The pieces of a text after the prompt, as the newest save writes it. First comes its step: digits and a newline.

        Raises CheckpointError where there is no save, and SettingError where the prompt is too long.
        """
        with self._busy:
            engine = self.newest(folder)
            tokens = encode_prompt(engine, prompt)
            assert self.loaded is not None
            yield f"{self.loaded.step}\n"
            for delta in generate(engine, tokens, options, deadline):
                yield delta.text

    def newest(self, folder: Path) -> OnnxEngine:
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                return self.load(folder)
            except CheckpointError:
                if last:
                    raise
        raise AssertionError

    def load(self, folder: Path) -> OnnxEngine:
        source = open_save(folder)
        wanted = LoadedSave(folder, source.step)
        if self._engine is None or self.loaded != wanted:
            self.close()
            marker = find_end_marker(None, RunFolder(folder).description, source)
            self._engine = self._files.enter_context(checkpoint_engine(source, 8, marker))
            self.loaded = wanted
        return self._engine

    def close(self) -> None:
        self._engine, self.loaded = None, None
        self._files.close()


def encode_prompt(engine: OnnxEngine, prompt: str) -> list[int]:
    try:
        return encode_prefix(engine, prompt)
    except SettingError as error:
        raise SettingError(str(error).replace("--prefix", "what you wrote")) from None
