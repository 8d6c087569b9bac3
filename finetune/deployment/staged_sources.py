"""The folder that is sent to be built: what the Dockerfile copies, with one bundle and nothing else of models/."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.engine.bundle import FILES
from app.engine.default_bundle import DEFAULT, MODELS
from app.errors import MachineError

PACKAGES = Path(__file__).parent.parent.parent
"""Where the packages app and finetune are: a clone of the project, or site-packages."""
INSTALLED = PACKAGES / "finetune" / "_project"
"""Where an installed package keeps the project's other files."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "screenshots", "_project")
STAGE = re.compile(r"^FROM\s+(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.MULTILINE | re.IGNORECASE)
COPIED = re.compile(r"^COPY\s+((?:--\S+\s+)*)(.+)$", re.MULTILINE)
CONTINUED = re.compile(r"\\\n")


@dataclass(frozen=True)
class StagedSources:
    """A folder to build from. `digest` changes with any byte of it."""

    folder: Path
    digest: str
    n_bytes: int


def stage_sources(bundle: Path, folder: Path) -> StagedSources:
    """Fill an empty folder. The bundle's files are linked where the disk allows it. Raises MachineError."""
    dockerfile = needed_stages(project_file("Dockerfile").read_text(encoding="utf-8"))
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    for name in copied_paths(dockerfile):
        copy_source(name, folder)
    models = folder / MODELS
    (models / bundle.name).mkdir(parents=True)
    for name in ("manifest.json", *FILES):
        link_or_copy(bundle / name, models / bundle.name / name)
    (models / DEFAULT).write_text(f"{bundle.name}\n", encoding="utf-8")
    return StagedSources(folder, digest_of(folder), sum(path.stat().st_size for path in files_below(folder)))


def project_file(name: str) -> Path:
    """A file or folder of the project, by its path there. Raises MachineError."""
    root = (
        PACKAGES
        if (PACKAGES / "Dockerfile").is_file() or name.split("/", maxsplit=1)[0] in ("app", "finetune")
        else INSTALLED
    )
    if not (root / name).exists():
        raise MachineError(f"{root / name} is missing: install the package again, or clone the project.")
    return root / name


def needed_stages(dockerfile: str) -> str:
    """The Dockerfile without the stages that its last one does not need.

    `gcloud run deploy --source` builds every stage from the top, among them the image for training, which is eight gigabytes.
    """
    starts = [*(found.start() for found in STAGE.finditer(dockerfile)), len(dockerfile)]
    stages = [dockerfile[start:end] for start, end in itertools.pairwise(starts)]
    names = [(found["name"] or "").lower() for found in STAGE.finditer(dockerfile)]
    needed = {len(stages) - 1}
    for index in range(len(stages) - 1, -1, -1):
        if index in needed:
            used = {
                match.lower()
                for match in re.findall(r"(?m)^FROM\s+(\S+)|--from=(\S+)", stages[index])
                for match in match
            }
            needed |= {names.index(name) for name in used if name and name in names}
    return dockerfile[: starts[0]] + "".join(stages[index] for index in sorted(needed))


def copied_paths(dockerfile: str) -> list[str]:
    """What the Dockerfile copies from the folder, but for models/ and checkpoint/."""
    found: list[str] = []
    for flags, arguments in COPIED.findall(CONTINUED.sub(" ", dockerfile)):
        if "--from=" not in flags:
            found += arguments.split()[:-1]
    return sorted({name.rstrip("/") for name in found if name.split("/")[0] not in (str(MODELS), "checkpoint")})


def copy_source(name: str, folder: Path) -> None:
    source, target = project_file(name), folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # Another file system, or one without links.
        shutil.copy2(source, target)


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest_of(folder: Path) -> str:
    """32 hexadecimal digits, which fit a label."""
    digest = hashlib.sha256()
    for path in files_below(folder):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:32]
