"""Input files: what names, folders and patterns stand for, and what kind of text each file holds.

The first bytes tell the kind, and where they cannot, the suffix does. A file may be compressed. A .zip stands for its files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from app.engine.wrong_files import PAGES, POINTERS, wrong_file
from app.errors import DataError, SettingError
from finetune.data import compression
from finetune.data.file_kinds import (
    HEAD,
    READ_ONCE,
    READABLE,
    SUFFIXES,
    TELEGRAM_PAGE,
    Kind,
    is_plain_text,
    kind_of,
    other_kind,
)


@dataclass(frozen=True)
class InputFile:
    """A file with text, or one file of a .zip. `kind` is None where neither content nor suffix tells it."""

    path: Path
    kind: Kind | None
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        return self.member or self.path.name

    @property
    def is_packed(self) -> bool:
        """Whether the file's content has to be unpacked, or may be read only once."""
        return bool(self.member) or not self.path.is_file() or compression.is_compressed(self.path)

    def chunks(self, progress: Callable[[int], object]) -> Iterator[bytes]:
        """The content, decompressed. `progress` is told of the bytes read from disk. Raises DamagedFile."""
        return compression.read_chunks(self.path, self.member, progress)


def printable(path: str) -> str:
    """A path as text that can be stored: bytes of a name that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find_files(inputs: Sequence[str]) -> tuple[list[InputFile], list[Path]]:
    """The files to read, in order and without repetition, and the files of other kinds that folders and patterns hold.

    Raises SettingError for an input that matches nothing, a named file of another kind, and where no file is left.
    """
    known: dict[tuple[Path, str], InputFile] = {}
    others: list[Path] = []
    for given in inputs:
        for file in files_of(given):
            if file.kind in READABLE:
                known.setdefault((file.path.resolve(), file.member), file)
            else:
                others.append(Path(str(file)))
    if not known:
        refuse_telegram_pages(others)
        raise SettingError(f"{', '.join(inputs)} holds no file that is {', '.join(SUFFIXES)}, or the export of a chat.")
    return list(known.values()), others


def files_of(given: str) -> list[InputFile]:
    """The files that one input stands for. Raises SettingError if it matches none, or names one of another kind."""
    paths = paths_of(given)
    if not paths:
        raise SettingError(f"{given} matches no file: name a file, a folder or a pattern such as 'texts/*.txt'.")
    named = paths == [Path(given)] and not paths[0].is_dir()
    files = list(chain.from_iterable(files_in(path, named) for path in paths))
    if named and not paths[0].is_file() and files[0].kind not in READ_ONCE:
        raise SettingError(f"{given} is a pipe or a device, which can be read only once: write it to a file first.")
    if named and len(files) == 1 and files[0].kind not in READABLE:
        head = head_of(files[0].path)
        if files[0].kind is None and not other_kind(head) and is_plain_text(head):
            return [InputFile(files[0].path, "text", files[0].member)]
        refuse_telegram_pages([files[0].path])
        what = other_kind(head) or f"none of {', '.join(SUFFIXES)}, and no export of a chat"
        raise SettingError(f"{given} is {what}: convert it, or rename it to what it is.")
    return files


def refuse_telegram_pages(paths: Sequence[Path]) -> None:
    """Raises DataError if one of them is a chat of Telegram as a web page, which is what its export offers first."""
    for path in paths:
        if path.suffix == ".html" and TELEGRAM_PAGE.match(head_of(path)):
            raise DataError(
                f"{path} is Telegram's export as HTML: export the chat again as JSON, and give result.json."
            )


def paths_of(given: str) -> list[Path]:
    """The files that a name, a folder or a pattern stands for; none for an empty name, which is no folder."""
    if not given:
        return []
    found = [Path(given)] if Path(given).exists() else matching(given)
    return list(chain.from_iterable(map(files_under, found)))


def matching(pattern: str) -> list[Path]:
    """The paths that match a pattern, sorted, without hidden ones. It may be absolute, which Path.glob does not take."""
    path = Path(pattern)
    try:
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (ValueError, NotImplementedError):  # No pattern that Python knows, such as **.txt.
        return []
    return [match for match in found if not any(part.startswith(".") for part in {*match.parts} - {*path.parts})]


def files_under(path: Path) -> list[Path]:
    """The files below a folder, sorted, without hidden ones; a file stands for itself. Raises OSError."""
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=raised):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(filter(Path.is_file, found))


def raised(error: OSError) -> None:
    """A folder that may not be read is not passed over."""
    raise error


def files_in(path: Path, named: bool) -> list[InputFile]:
    """The file, or the files of a .zip. What was not `named` itself needs a telling suffix, or lines of JSON with a text.

    Raises DataError for a file that only points to the one that is meant.
    """
    if not path.is_file():  # A pipe can be read only once.
        return [InputFile(path, kind_of(path.name, b"", named))]
    try:
        members = compression.zip_members(path)
    except compression.DamagedFile:
        if named:
            raise
        return [InputFile(path, None)]
    if members is None:
        kind = kind_of(path.name, head_of(path), named)
        # HTML may be a text to learn from, but is no table.
        signs = POINTERS if kind in (None, "text") else {**POINTERS, **PAGES}
        if (kind or named) and (found := wrong_file(path, signs)):
            raise DataError(f"{found[0]}: {found[1]}.")
        return [InputFile(path, kind)]
    if is_one_file := zip_kind(members):
        return [InputFile(path, is_one_file[0])]
    return [InputFile(path, kind_of(member, head_of(path, member), named), member) for member in members]


def zip_kind(members: Sequence[str]) -> tuple[Kind | None] | None:
    """The kind of a .zip that is one file: an array, a book or, of no kind, an Office document. None if it is several."""
    if members and all(member.endswith(".npy") for member in members):
        return ("npz",)
    if "META-INF/container.xml" in members:
        return ("epub",)
    return (None,) if "[Content_Types].xml" in members else None


def head_of(path: Path, member: str = "") -> bytes:
    """The first bytes of the content. Damage shows when the file is read."""
    head = b""
    try:
        for chunk in compression.read_chunks(path, member, lambda _: None):
            head += chunk
            if len(head) >= HEAD:
                break
    except DataError:
        pass
    return head[:HEAD]


def content_sha256(files: Iterable[InputFile]) -> str | None:
    """A hash of all that the files hold on disk; None where one of them is a pipe, which can be read only once."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(file.path for file in files):
        if not path.is_file():
            return None
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def total_bytes(files: Iterable[InputFile]) -> int:
    """The size of the files on disk. Several inputs may be in one file."""
    return sum(path.stat().st_size for path in {file.path for file in files})
