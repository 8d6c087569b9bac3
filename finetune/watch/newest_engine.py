"""An engine on the newest save of a run in training: made when it is first asked, replaced by that of a newer save."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.engine.batch import generate
from app.engine.deadline import Deadline
from app.engine.generation import GenerationOptions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.prompts import Turn, fitting_turn_tokens
from app.engine.templates import layout_of
from app.errors import PromptTooLong, SettingError
from finetune.checkpoint import open_save
from finetune.export.checkpoint_engine import checkpoint_engine
from finetune.export.end_markers import find_end_marker
from finetune.run_folder import RunFolder
from finetune.writing_options import WritingOptions


class LoadedSave(NamedTuple):
    """`written`: which file it is and when it was written, since another run may take the folder."""

    folder: Path
    step: int
    written: tuple[int, int]


class NewestEngine:
    """Holds one engine at a time, whichever run is asked, and writes one text at a time."""

    def __init__(self) -> None:
        self.loaded: LoadedSave | None = None
        self._engine: OnnxEngine | None = None
        self._files = ExitStack()
        self._busy = threading.Lock()

    def write(self, folder: Path, prompt: str, deadline: Deadline) -> Generator[str]:
        """The number of the newest save and a newline, then the pieces of the text that it writes after the prompt.

        Raises CheckpointError where there is no save, and SettingError where the prompt is too long.
        """
        with self._busy:
            engine = self.load(folder)
            tokens, options = asked(engine, prompt)
            assert self.loaded is not None
            yield f"{self.loaded.step}\n"
            for delta in generate(engine, tokens, options, deadline):
                yield delta.text

    def load(self, folder: Path) -> OnnxEngine:
        source = open_save(folder)
        index = source.held.prefix.with_name(f"{source.save}.index").stat()
        wanted = LoadedSave(folder, source.step, (index.st_ino, index.st_mtime_ns))
        if self._engine is None or self.loaded != wanted:
            self.close()
            marker = find_end_marker(None, RunFolder(folder).description, source)
            self._engine = self._files.enter_context(checkpoint_engine(source, 8, marker, quiet=True))
            self.loaded = wanted
        return self._engine

    def close(self) -> None:
        self._engine, self.loaded = None, None
        self._files.close()


def asked(engine: OnnxEngine, prompt: str) -> tuple[list[int], GenerationOptions]:
    """The tokens of a prompt and how the model writes: it answers a message if it knows turns, else it continues a text.

    Raises SettingError where the prompt is too long.
    """
    options = WritingOptions().for_model(engine)
    try:
        if not layout_of(engine.profile.template).has_turns:
            return prepare(engine, prompt, options), options
        tokens = fitting_turn_tokens(engine, [Turn(prompt)], options.length)
    except PromptTooLong as error:
        raise SettingError(
            f"this is {error.n_prompt_tokens} tokens long and the model's window holds {error.n_ctx}: shorten it."
        ) from None
    return tokens, replace(options, tags=engine.profile.stop_tags, strip=" \n")
