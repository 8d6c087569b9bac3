"""What a fetch has done so far: a folder beside the file it will write, so that the same command goes on where it stopped.

    rows.jsonl       the rows that came, as they came
    state.json       what was asked for, and how far that has got
    parts/           what the query reads of local files, block by block

It is gone when the file is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

Row = Mapping[str, Any]


class Journal:
    def __init__(self, out: Path, asked: Mapping[str, Any]) -> None:
        """Open the journal of `out`; one that was kept of anything else than `asked` is begun anew."""
        self.folder = out.parent / f".{out.name}.fetch"
        self.rows = self.folder / "rows.jsonl"
        self.parts = self.folder / "parts"
        self.state: dict[str, Any] = {}
        """Whatever the source needs to go on. `keep` writes it down."""
        self._asked: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asked))
        if not self._found():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.parts.mkdir(parents=True)
            self.keep()

    def _found(self) -> bool:
        try:
            kept = msgspec.json.decode((self.folder / "state.json").read_bytes())
        except (OSError, msgspec.DecodeError):
            return False
        if kept["asked"] != self._asked:
            print(f"{self.folder} is of another fetch: beginning anew.")
            return False
        self.state = kept["state"]
        return True

    def keep(self, **state: Any) -> None:
        """Write down how far it has got, in one go."""
        self.state |= state
        aside = self.folder / ".state.json"
        aside.write_bytes(msgspec.json.encode({"asked": self._asked, "state": self.state}))
        aside.replace(self.folder / "state.json")

    def lines(self) -> int:
        """How many rows are there. Half a row at the end, from a stop in the midst of writing, is cut off."""
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

    @contextmanager
    def adding(self, anew: bool = False) -> Iterator[BinaryIO]:
        """The rows, to add to."""
        with self.rows.open("wb" if anew else "ab") as file:
            yield file

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def write_rows(file: BinaryIO, rows: Iterable[Row]) -> int:
    """Add rows; returns how many."""
    encoder = msgspec.json.Encoder()
    count = 0
    for row in rows:
        file.write(encoder.encode(row) + b"\n")
        count += 1
    return count
