"""The folder that is sent to be built: what the Dockerfile copies, with one bundle and nothing else of models/."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.engine.bundle import BATCH, FILES
from app.engine.default_bundle import DEFAULT, INSTALLED, MODELS, is_name
from app.errors import MachineError

PACKAGES = Path(__file__).parent.parent.parent
"""Where the packages app and finetune are: a clone of the project, or site-packages."""
LEFT_OUT = ("__pycache__", "screenshots")
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
    for target, source in sources_of(bundle).items():
        for path in [source] if source.is_file() else needed_files(source):
            link_or_copy(path, folder / target / path.relative_to(source))
    (folder / MODELS / DEFAULT).write_text(f"{served_name(bundle)}\n", encoding="utf-8")
    files = files_below(folder)
    return StagedSources(folder, digest_of(folder, files), sum(path.stat().st_size for path in files))


def staging_commands(bundle: Path) -> Iterator[str]:
    """The same for a shell, in the folder $SOURCE. Raises MachineError."""
    sources = sources_of(bundle)
    folders = sorted({str(Path(target).parent) for target in sources} - {"."})
    yield 'SOURCE="$(mktemp -d)"'
    yield f'(cd "$SOURCE" && mkdir -p -- {shlex.join(folders)})'
    for target, source in sources.items():
        yield f'cp -R {shlex.quote(str(source.resolve()))} "$SOURCE"/{shlex.quote(target)}'
    unneeded = " -o ".join(f"-name {name}" for name in LEFT_OUT)
    yield f'find "$SOURCE"/app "$SOURCE"/finetune \\( {unneeded} \\) -prune -exec rm -rf {{}} +'
    yield f'printf "%s\\n" {shlex.quote(served_name(bundle))} > "$SOURCE"/{MODELS}/{DEFAULT}'


def sources_of(bundle: Path) -> dict[str, Path]:
    """What is sent, by its path there: what the Dockerfile copies, and the bundle's files. Raises MachineError."""
    dockerfile = project_file("Dockerfile")
    names = ["Dockerfile", *copied_paths(dockerfile.read_text(encoding="utf-8"))]
    served = f"{MODELS}/{served_name(bundle)}"
    batch = [name for name in BATCH if (bundle / name).is_file()]
    files = {f"{served}/{name}": bundle / name for name in ("manifest.json", *FILES, *batch)}
    return {name: project_file(name) for name in names} | files


def served_name(bundle: Path) -> str:
    """Its folder's name, unless models/DEFAULT could not hold that."""
    name = bundle.resolve().name
    return name if is_name(name) else "model"


def project_file(name: str) -> Path:
    """A file or folder of the project, by its path there. Raises MachineError."""
    cloned = (PACKAGES / "Dockerfile").is_file()
    root = PACKAGES if cloned or name.startswith(("app", "finetune")) else INSTALLED
    if not (root / name).exists():
        raise MachineError(f"{root / name} is missing: install the package again, or clone the project.")
    return root / name


def copied_paths(dockerfile: str) -> list[str]:
    """What the Dockerfile copies from the folder, but for models/ and checkpoint/. Of a folder and what is in it, the folder."""
    found: list[str] = []
    for flags, arguments in COPIED.findall(CONTINUED.sub(" ", dockerfile)):
        if "--from=" not in flags:
            found += arguments.split()[:-1]
    names = {name.rstrip("/") for name in found if name.split("/")[0] not in (str(MODELS), "checkpoint")}
    return sorted(name for name in names if not names & set(map(str, Path(name).parents)))


def link_or_copy(source: Path, target: Path) -> None:
    """A copy does not get the source's permissions: an installed package may be read-only, and this folder is removed again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve() if source.is_symlink() else source, target)
    except OSError:  # Another file system, or one without links.
        shutil.copyfile(source, target)


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def needed_files(source: Path) -> list[Path]:
    """Of a folder of the project."""
    return [path for path in files_below(source) if not set(LEFT_OUT) & set(path.relative_to(source).parts)]


def digest_of(folder: Path, files: Sequence[Path]) -> str:
    """32 hexadecimal digits, which fit a label."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:32]
