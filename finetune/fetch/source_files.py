"""Source files: which files --source names, by their content where their names do not tell, and the encoding of their text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.errors import DataError, SettingError
from finetune.data import compression
from finetune.data.file_kinds import Kind, suffix_of
from finetune.data.input_files import InputFile, files_in, head_of, paths_of
from finetune.data.text_encoding import decode, lines_of

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".ndjson", ".json"), "table": (".csv", ".tsv"), "parquet": (".parquet",),
}  # fmt: skip
"""The kinds of files that fetch reads."""


class SourceText(NamedTuple):
    """What --source names, and the encoding of its text."""

    patterns: Sequence[str]
    encoding: str = "utf-8"

    def files(self, *kinds: Kind) -> list[InputFile]:
        """The files of these kinds, each once. A named file without a telling content or suffix is of the first kind.

        Raises SettingError naming a source without any, and where --encoding has no text to read.
        """
        found: dict[tuple[Path, str], InputFile] = {}
        for pattern in self.patterns:
            files = [file for path in paths_of(pattern) for file in files_of_kinds(path, path == Path(pattern), kinds)]
            if not files:
                expected = ", ".join(suffix for kind in kinds for suffix in SUFFIXES[kind])
                raise SettingError(f"--source {pattern} matches no file that is {expected}, compressed or not.")
            for file in files:
                found.setdefault((file.path.resolve(), file.member), file)
        if self.encoding != "utf-8" and all(file.kind == "parquet" for file in found.values()):
            raise SettingError("--encoding is given, and no source is text: leave it out.")
        return list(found.values())

    def lines(self, file: InputFile, progress: Callable[[int], object]) -> Iterator[str]:
        """The lines of a text file. Raises DataError."""
        return lines_of(str(file), decode(str(file), file.chunks(progress), self.encoding))


def files_of_kinds(path: Path, named: bool, kinds: Sequence[Kind]) -> Iterator[InputFile]:
    """What a path stands for, as far as it is of these kinds. The manifest of a corpus is JSON too, and no source."""
    files = files_in(path, named)
    meant = named and len(files) == 1  # Not whatever else is in a .zip, such as a README.
    for file in files:
        if file.name.endswith(".manifest.json"):
            continue
        if file.kind not in kinds:
            if not is_of_kind(file, meant, kinds[0]):
                continue
            file = InputFile(file.path, kinds[0], file.member)  # noqa: PLW2901
        if file.kind == "jsonl":
            refuse_array(file)
        yield file


def refuse_array(file: InputFile) -> None:
    """Raises DataError for a JSON array. All its lines but the last end with a comma, and would count as corrupt."""
    if file.path.is_file() and head_of(file.path, file.member).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise DataError(f"{file} is one JSON array: write an object on each line, as `jq -c '.[]'` does.")


def is_of_kind(file: InputFile, meant: bool, kind: Kind) -> bool:
    """Whether a file of another kind, or of none, is taken for one of this kind. `meant` is the file that --source names."""
    if file.kind not in (*SUFFIXES, "text"):
        return meant or suggests(file.name, kind)
    return meant and file.kind == "text" and kind == "table"


def suggests(name: str, kind: Kind) -> bool:
    """Whether the name of a file that begins with nothing telling suggests the kind, as .json and RC_2019-08.zst do."""
    packed = Path(name).suffix.lower() in compression.SUFFIXES
    return suffix_of(name) in SUFFIXES[kind] or (packed and not suffix_of(name) and kind == "jsonl")
