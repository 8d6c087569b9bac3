"""Missing packages: installs what a machine lacks of our requirements, and changes nothing that is there.

Colab brings TensorFlow, JAX with CUDA, Keras and NumPy in versions that fit each other and its GPU. So nothing is pinned here:
pip chooses versions of the missing packages that fit those that are installed. Only Python's own library is imported.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from app.errors import MachineError

REQUIREMENTS = Path(__file__).parents[2] / "requirements/training.in"
NAME = re.compile(r"[A-Za-z0-9._-]+")
PINNABLE = re.compile(r"\d[\w.+!-]*")
"""A version that pip can read. Those of packages from the system, such as 2.4.0-1ubuntu4~22, may not be."""


def requirements(path: Path) -> Iterator[str]:
    """The packages that a requirements/*.in names, and those of the files that it includes."""
    for line in path.read_text(encoding="utf-8").splitlines():
        wanted = line.partition("#")[0].strip()
        if wanted.startswith("-r "):
            yield from requirements(path.with_name(wanted.removeprefix("-r ")))
        elif wanted and not wanted.startswith("-"):
            yield wanted


def missing_packages(path: Path = REQUIREMENTS) -> list[str]:
    """The requirements of which no version is installed."""
    return [wanted for wanted in requirements(path) if not is_installed(wanted)]


def is_installed(requirement: str) -> bool:
    name = NAME.match(requirement)
    try:
        return name is not None and bool(version(name[0]))
    except PackageNotFoundError:
        return False


def install_missing_packages(path: Path = REQUIREMENTS) -> None:
    """Install them. Raises MachineError if they cannot be had without changing a package that is there."""
    missing = missing_packages(path)
    if not missing:
        print("All packages are here.")
        return
    print(f"Installing {', '.join(missing)}: about a minute …")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(installed_versions()), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--constraint", str(constraints), *missing]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ended.returncode:
        print(ended.stdout)
        raise MachineError("pip could not install what is missing beside what is here: its last lines above say why.")
    importlib.invalidate_caches()
    print("Done. Nothing that was here has changed.")


def installed_versions() -> Iterator[str]:
    """`name==version` of every package that is installed."""
    for package in distributions():
        name, installed = package.metadata["Name"], package.version
        if name and PINNABLE.fullmatch(installed):
            yield f"{name}=={installed}"
