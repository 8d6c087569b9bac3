"""Files that are not what their names say: Git LFS pointers, web pages, archives, links to nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

POINTERS = {
    rb"version https://(git-lfs|hawser)\.github\.com/": (
        "is a Git LFS pointer, for which `git lfs pull` fetches the file itself",
        "run it where the folder was cloned",
    ),
    rb"/annex/objects/": (
        "is a git-annex pointer, for which `git annex get .` fetches the file itself",
        "run it where the folder was cloned",
    ),
}
PAGES = {
    rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html|\?xml)": (
        "is a web page and not the file itself",
        "download the file, not the page that shows it",
    ),
}
SIGNS = {
    **POINTERS,
    **PAGES,
    # What Hugging Face and GitHub send instead of a file, without any markup.
    rb"(Entry not found|Repository not found|Invalid username or password\.|404: Not Found)\s*$": (
        "holds a server's refusal and not the file itself",
        "download it again, and check its address",
    ),
    rb"\x1f\x8b|PK\x03\x04|7z\xbc\xaf|\x28\xb5\x2f\xfd|(?s:.{257}ustar)": (
        "is an archive",
        "unpack it, and name what was in it",
    ),
    rb"$": ("is empty", "copy or download it again"),
}
HEAD = 512
"""Bytes to look at."""


def wrong_file(path: Path, signs: Mapping[bytes, tuple[str, str]] = SIGNS) -> tuple[str, str] | None:
    """What is wrong with a file that holds something else, and what to do about it. None where its first bytes do not tell."""
    if path.is_symlink() and not path.exists():
        return (
            f"{path} is a link to {path.readlink()}, which is not there",
            "copy the files themselves, as `cp -rL` does",
        )
    if path.exists() and not path.is_file() and not path.is_dir():
        return f"{path} is a pipe or a device and not a file", "copy the file itself"
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})", "see who may read it, or copy it again"
    found = next((meaning for sign, meaning in signs.items() if re.match(sign, head)), None)
    return found and (f"{path} {found[0]}", found[1])
