"""The log that TensorFlow's libraries write while they are loaded: kept aside, and shown only if loading fails.

TensorFlow's own switch, TF_CPP_MIN_LOG_LEVEL, is read too late for these lines. They come from C++ and go to file descriptor 2,
whatever sys.stderr is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOISY = ("tensorflow",)
STANDARD_ERROR = 2
DONE = b"\0"
KEEPER = "import sys; kept = sys.stdin.buffer.read(); kept.endswith(b'\\0') or sys.stderr.buffer.write(kept)"
"""A program that shows what it has read unless the last byte is DONE. It outlives a library that ends this process."""


@contextmanager
def kept_aside() -> Iterator[None]:
    """Keep aside what is written to file descriptor 2. It is shown if this fails or the process ends meanwhile."""
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(STANDARD_ERROR)
            stack.callback(os.close, terminal)
            keeper = subprocess.Popen(  # noqa: S603  Our own words.
                [sys.executable, "-I", "-S", "-c", KEEPER],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not meant for it.
            )
        except (OSError, ValueError):  # Closed already, or no room for another process: then there is nothing to save.
            yield
            return
        assert keeper.stdin is not None
        stack.enter_context(keeper)
        stack.enter_context(keeper.stdin)
        os.dup2(keeper.stdin.fileno(), STANDARD_ERROR)
        try:
            yield
            os.write(keeper.stdin.fileno(), DONE)
        finally:
            os.dup2(terminal, STANDARD_ERROR)


class QuietLoader(Loader):
    """Loads a module with another loader, and keeps aside what its libraries write."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, QuietImport)]
        with kept_aside():
            self.loader.exec_module(module)


class QuietImport(MetaPathFinder):
    """Finds the modules of NOISY, whoever imports them: we, Keras or gpt-2-simple."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in NOISY:
            return None
        place = sys.meta_path.index(self)
        del sys.meta_path[place]  # The others are asked.
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            spec.loader = QuietLoader(spec.loader)
        return spec


def quiet_imports() -> None:
    """From now on, TensorFlow loads without a word. Call this before it is imported."""
    if not any(isinstance(finder, QuietImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, QuietImport())
