"""An engine for a checkpoint: the one that the app serves with.

The checkpoint is first written as a bundle in a temporary folder, rounded as `export` rounds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.engine.bundle import Bundle, EndMarker
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.cores import cores_allowed
from app.engine.onnx import OnnxEngine
from finetune.checkpoint import open_save
from finetune.export.bundle_writer import WRITING_STEPS, describe_bundle, write_model
from finetune.export.end_markers import find_end_marker
from finetune.export.profile_options import own_profile
from finetune.export.quantization import Bits
from finetune.folder import scratch_folder
from finetune.progress_bar import progress_bar
from finetune.run_folder import RunFolder


@contextmanager
def engine_for(
    folder: Path, bits: Bits = 32, end: str | None = None, save: int | None = None, quiet: bool = False
) -> Iterator[OnnxEngine]:
    """An engine on a save of a checkpoint, by default the newest. `quiet` shows no progress bar.

    Raises CheckpointError, and SettingError where `end` is empty or not a token's id.
    """
    source = open_save(folder, save)
    marker = find_end_marker(end, RunFolder(source.folder).description, source)
    with checkpoint_engine(source, bits, marker, quiet) as engine:
        yield engine


@contextmanager
def checkpoint_engine(
    source: CheckpointFolder, bits: Bits, end: EndMarker, quiet: bool = False
) -> Iterator[OnnxEngine]:
    """An engine on a checkpoint. Raises CheckpointError where its save is damaged."""
    with temporary_bundle(source, bits, end, quiet) as bundle:
        yield OnnxEngine(bundle, cores_allowed())


@contextmanager
def temporary_bundle(source: CheckpointFolder, bits: Bits, end: EndMarker, quiet: bool = False) -> Iterator[Bundle]:
    """A bundle whose parity is not measured, removed at the end."""
    with scratch_folder() as folder:
        with progress_bar("read", WRITING_STEPS, quiet=quiet) as progress:
            write_model(source, bits, folder, progress)
        yield Bundle(
            folder, describe_bundle(source, folder, source.folder.resolve().name, bits, end, own_profile(source))
        )
