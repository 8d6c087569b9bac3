"""Which files `prepare` reads: names, folders and patterns become files of a known kind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from app.errors import SettingError

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".npz")


def find_files(inputs: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files to read, in order and without repetition, and the files of other kinds that folders and patterns hold.

    Raises SettingError for an input that matches nothing, a named file of another kind, and where no file is left.
    """
    known: dict[Path, Path] = {}
    others: list[Path] = []
    for given in inputs:
        for path in files_of(given):
            if is_known(path):
                known.setdefault(path.resolve(), path)
            else:
                others.append(path)
    if not known:
        raise SettingError(f"{', '.join(inputs)} holds no file that is {', '.join(SUFFIXES)}.")
    return list(known.values()), others


def files_of(given: str) -> list[Path]:
    """The files that one input stands for."""
    found = [Path(given)] if Path(given).exists() else matching(given)
    if not found:
        raise SettingError(f"{given} matches no file: name a file, a folder or a pattern such as 'texts/*.txt'.")
    if found == [Path(given)] and found[0].is_file() and not is_known(found[0]):
        raise SettingError(f"{given} is none of {', '.join(SUFFIXES)}: convert it, or rename it to what it is.")
    return list(chain.from_iterable(map(files_under, found)))


def matching(pattern: str) -> list[Path]:
    """The paths that match a pattern, sorted, without hidden ones. It may be absolute, which Path.glob does not take."""
    path = Path(pattern)
    found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return [match for match in found if not any(part.startswith(".") for part in {*match.parts} - {*path.parts})]


def files_under(path: Path) -> list[Path]:
    """The files below a folder, sorted, without hidden ones; a file stands for itself."""
    if not path.is_dir():
        return [path]
    below = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return sorted(path / file for file in below if not any(part.startswith(".") for part in file.parts))


def is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
