"""What is sent to be built: the lines of .gcloudignore and .dockerignore that let one bundle through, and nothing beside it.

Neither gcloud nor docker can ask which bundle is the default, so these lines are written when that changes. They mean the same in
both files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from app.engine.checkpoint_folder import MODEL_FILES, newest_save, saves_in
from app.engine.default_bundle import MODELS, RUN, STARTER, chosen_name
from app.errors import CheckpointError
from finetune.checkpoint import replace_file

IGNORE_FILES = (".gcloudignore", ".dockerignore")
BEGIN = "# What is served. `export`, `use` and `rm` write these lines."
END = "# End of what is served."
BLOCK = re.compile(rf"^{re.escape(BEGIN)}\s*?$.*?^{re.escape(END)}[^\S\n]*$", re.DOTALL | re.MULTILINE)
RUN_FILES = ("checkpoint", *MODEL_FILES, "description.json", "log.csv", "*.index", "*.data-*")
"""What an export reads of a run: neither the optimizer's state nor events, samples and best/."""


def send_default(project: Path = Path()) -> None:
    """Let the ignore files of a folder send its default bundle; where none was chosen, the starter and checkpoint/run1.

    A file without the two lines around the patterns is left alone. Raises BundleError if models/DEFAULT holds no name.
    """
    sent = patterns(project)
    for path in (project / name for name in IGNORE_FILES):
        if path.is_file():
            write_patterns(path.resolve(), sent)


def write_patterns(path: Path, sent: Sequence[str]) -> None:
    """Everything else of the file stays as it is, whatever its encoding."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    written = BLOCK.sub(lambda _: "\n".join([BEGIN, *sent, END]), text)
    replace_file(path, written.encode("utf-8", "surrogateescape"))
    lines = {line.strip() for line in written.splitlines()}
    if f"/{MODELS}/*" in lines | {f"/{line}" for line in lines} and sent[0] not in lines:
        print(
            f"note: {path.name} has lost the two lines between which this is kept up to date: add {sent[0]} "
            f"to its end, or get the file from the project again.",
            file=sys.stderr,
        )


def patterns(project: Path) -> list[str]:
    """The chosen bundle; where none was chosen, the starter and of checkpoint/run1 what an export reads."""
    chosen = chosen_name(project / MODELS)
    if chosen:
        return [f"!/{MODELS}/{escaped(chosen)}/"]
    files = (f"!/{RUN}/{name}" for name in RUN_FILES)
    return [f"!/{MODELS}/{STARTER}/", f"!/{RUN}/", f"/{RUN}/*", *files, *unneeded_saves(project / RUN)]


def unneeded_saves(run: Path) -> list[str]:
    """Patterns that leave out the saves that are not the newest. A save that is written later is sent."""
    try:
        newest = newest_save(run)
    except CheckpointError:
        return []
    return [f"/{RUN}/{escaped(save)}.*" for save in saves_in(run) if save != newest]


def escaped(name: str) -> str:
    """A name whose special characters mean themselves, in git's patterns, gcloud's and docker's alike."""
    return re.sub(r"[*?\[\\]", lambda found: f"[{found[0]}]".replace("\\", "\\\\"), name)
