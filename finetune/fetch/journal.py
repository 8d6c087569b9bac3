"""The journal of a fetch: what was fetched so far, so that the same command can resume.

    .NAME.jsonl.fetch/   beside the corpus
        rows.jsonl       the rows, as they came
        state.json       what was asked for, and how far the source has got
        parts/           what a query can use of local files, block by block

It is removed once the corpus is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from app.engine.json_text import decode_json
from finetune.folder import scratch_folder

Row = Mapping[str, Any]


class Journal:
    def __init__(self, out: Path, request: Mapping[str, Any], notify: Callable[[str], object] = lambda _: None) -> None:
        """Open the journal of the corpus `out`. One that was kept for another request is discarded.

        `notify` is called with a sentence for the person who waits, about what is resumed or discarded.
        """
        self.notify = notify
        self.folder = self._place = out.parent / f".{out.name}.fetch"
        self.state: dict[str, Any] = {}
        """What the source needs to resume. `keep` saves it."""
        self._request: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request))
        if not self._load():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.parts.mkdir(parents=True)
            self.keep()

    @property
    def rows(self) -> Path:
        return self.folder / "rows.jsonl"

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    @contextmanager
    def plainly_named(self) -> Iterator[None]:
        """Go by a link with a plain name for a while: DuckDB takes a path with * ? or [ for a pattern."""
        with scratch_folder() as folder:
            self.folder = folder / "journal"
            self.folder.symlink_to(self._place.absolute())
            try:
                yield
            finally:
                self.folder = self._place

    def _load(self) -> bool:
        """Whether there is a state of the same request."""
        try:
            kept = decode_json((self.folder / "state.json").read_bytes(), dict[str, dict[str, Any]])
        except (OSError, msgspec.DecodeError):
            return False
        if kept.get("asked") != self._request or "state" not in kept:
            self.notify(f"{self.folder} belongs to another fetch: starting again.")
            return False
        self.state = kept["state"]
        return True

    def keep(self, **state: Any) -> None:
        """Add to the state and save it, atomically."""
        self.state |= state
        aside = self.folder / ".state.json"
        aside.write_bytes(msgspec.json.encode({"asked": self._request, "state": self.state}))
        aside.replace(self.folder / "state.json")

    def count_rows(self) -> int:
        """The number of complete rows. A row that was only partly written before an interruption is cut off."""
        if not self.rows.exists():
            return 0
        count = end = 0
        with self.rows.open("rb+") as file:
            while block := file.read(2**20):
                count += block.count(b"\n")
                at = block.rfind(b"\n") + 1
                end = file.tell() - len(block) + at if at else end
            file.truncate(end)
        return count

    def truncate(self, size: int) -> None:
        """Leave out the rows beyond `size` bytes."""
        if self.rows.exists():
            with self.rows.open("rb+") as file:
                file.truncate(size)

    @contextmanager
    def adding(self, anew: bool = False) -> Iterator[BinaryIO]:
        """The file of rows, open for adding to it; `anew` empties it first."""
        with self.rows.open("wb" if anew else "ab") as file:
            yield file

    def remove(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)


def write_rows(file: BinaryIO, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines. Returns their number."""
    encoder = msgspec.json.Encoder()
    count = 0
    for row in rows:
        file.write(encoder.encode(row) + b"\n")
        count += 1
    return count
