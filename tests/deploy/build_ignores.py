"""Which files of a folder gcloud and docker send to a build, by the rules of their ignore files."""

from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path

INCLUDE = re.compile(r"^#!include:(.+)$", re.MULTILINE)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - git_files(folder)


def git_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / ".git").rglob("*")}


def sent_by_gcloud(folder: Path, ignore_file: str = ".gcloudignore") -> set[str]:
    """Gcloud reads patterns as git does. It also replaces the line #!include:FILE by a file of the same folder."""
    patterns = INCLUDE.sub(lambda found: (folder / found[1]).read_text(), (folder / ignore_file).read_text())
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".git/patterns").write_text(patterns)
    command = ["git", "-c", "core.quotePath=off", "ls-files", "-z", "--others", "--exclude-from=.git/patterns"]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return set(filter(None, listed.split("\0")))


def sent_by_docker(folder: Path) -> set[str]:
    """Docker's rule: the last pattern that matches a path or a folder above it decides."""
    lines = (folder / ".dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {path for path in files(folder) if not left_out(path, patterns)}


def left_out(path: str, patterns: list[str]) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    ignored = False
    for pattern in patterns:
        cleaned = posixpath.normpath(pattern.removeprefix("!").strip()).lstrip("/")
        if any(re.fullmatch(as_regex(cleaned), each) for each in above):
            ignored = not pattern.startswith("!")
    return ignored


def as_regex(pattern: str) -> str:
    """A pattern of Go's filepath.Match, in which ** stands for any number of folders."""
    parts = re.findall(r"\*\*/?|\*|\?|\[(?:\\.|[^\]\\])+\]|\\?.", pattern)
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        special.get(part) or (part.replace("[[", r"[\[") if len(part) > 2 else re.escape(part)) for part in parts
    )
