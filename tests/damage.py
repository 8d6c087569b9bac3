"""What happens to the files of a model on their way: each function damages one file."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 497774208\n"
)
PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n"


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    """A download that broke off."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes()) or bytearray(1)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0\0\0")


def point_to_lfs(path: Path) -> None:
    path.write_text(LFS_POINTER)


def show_a_page(path: Path) -> None:
    path.write_text(PAGE)


def refuse(path: Path) -> None:
    """What Hugging Face sends for a file that is not there."""
    path.write_text("Entry not found")


def link_to_nothing(path: Path) -> None:
    """A folder of Hugging Face's cache that was copied without the files that it links to."""
    path.unlink()
    path.symlink_to("../../blobs/a1b2c3")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pack(path: Path) -> None:
    content = path.read_bytes()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(path.name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def become_binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def become_json(path: Path) -> None:
    path.write_text('{"a": 1, "b": [2, null, {}]}')


def become_another(path: Path) -> None:
    """The file beside it, under this name."""
    others = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    shutil.copyfile(others[0], path)


DAMAGES: tuple[Callable[[Path], None], ...] = (
    delete, empty, halve, shorten, flip, lengthen, point_to_lfs, show_a_page, refuse, link_to_nothing, become_a_folder, pack,
    become_binary, become_json, become_another,
)  # fmt: skip
