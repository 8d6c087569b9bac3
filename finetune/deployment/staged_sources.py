"""The folder that is sent to be built: what the Dockerfile copies, with one bundle and nothing else of models/."""

from __future__ import annotations

import hashlib
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
INSTALLED = PACKAGES / "gpt2_project"
"""Where an installed package keeps the project's other files."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "screenshots")
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
    dockerfile = project_file("Dockerfile").read_text(encoding="utf-8")
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    for name in copied_paths(dockerfile):
        copy_source(name, folder)
    served = folder / MODELS / bundle.resolve().name
    served.mkdir(parents=True)
    for name in ("manifest.json", *FILES):
        link_or_copy(bundle / name, served / name)
    (folder / MODELS / DEFAULT).write_text(f"{served.name}\n", encoding="utf-8")
    return StagedSources(folder, digest_of(folder), sum(path.stat().st_size for path in files_below(folder)))


def project_file(name: str) -> Path:
    """A file or folder of the project, by its path there. Raises MachineError."""
    cloned = (PACKAGES / "Dockerfile").is_file()
    root = PACKAGES if cloned or name.startswith(("app", "finetune")) else INSTALLED
    if not (root / name).exists():
        raise MachineError(f"{root / name} is missing: install the package again, or clone the project.")
    return root / name


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
