"""What is sent to be built: the lines of .gcloudignore and .dockerignore that let one bundle through, and nothing beside it.

Neither gcloud nor docker can ask which bundle is the default, so these lines are written when that changes. They mean the same in
both files.
"""

from __future__ import annotations

import re
from pathlib import Path

from app.engine.checkpoint_folder import MODEL_FILES, newest_save, saves_in
from app.engine.default_bundle import MODELS, RUN, STARTER, chosen_name
from app.errors import CheckpointError
from finetune.checkpoint import replace_text

IGNORE_FILES = (".gcloudignore", ".dockerignore")
BEGIN = "# What is served. `export`, `use` and `rm` write these lines."
END = "# End of what is served."
BLOCK = re.compile(rf"^{re.escape(BEGIN)}$.*?^{re.escape(END)}$", re.DOTALL | re.MULTILINE)
RUN_FILES = ("checkpoint", *MODEL_FILES, "description.json", "log.csv", "*.index", "*.data-*")
"""What an export reads of a run: neither the optimizer's state nor events, samples and best/."""


def send_default(project: Path = Path()) -> None:
    """Let the ignore files of a folder send its default bundle; where none was chosen, the starter and checkpoint/run1.

    A file without the two lines around the patterns is left alone. Raises BundleError if models/DEFAULT holds no name.
    """
    block = "\n".join([BEGIN, *patterns(project), END])
    for path in (project / name for name in IGNORE_FILES):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            replace_text(path, BLOCK.sub(lambda _: block, text))


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
