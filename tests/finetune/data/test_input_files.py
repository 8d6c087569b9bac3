"""Which files an input names, each once and in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import SettingError
from finetune.data.input_files import find_files


def test_files_folders_and_patterns_name_each_file_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.TXT", "deep/c.jsonl", "notes.md", ".hidden.txt", "deep/.git/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, passed = find_files([f"{tmp_path}/*.txt", str(tmp_path), f"{tmp_path}/**/*.jsonl"])
    assert [str(file.path.relative_to(tmp_path)) for file in files] == ["b.txt", "a.TXT", "deep/c.jsonl"]
    assert [path.name for path in passed] == ["notes.md"]


def test_an_input_that_is_nothing_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    for wrong in (f"{tmp_path}/lost.txt", "", f"{tmp_path}/**.txt", "["):
        with pytest.raises(SettingError, match=r" ?matches no file: name a file, a folder or a pattern"):
            find_files([wrong])
    (tmp_path / "notes.md").touch()
    with pytest.raises(SettingError, match=r"notes\.md is none of \.txt, "):
        find_files([f"{tmp_path}/notes.md"])
    with pytest.raises(SettingError, match=r"holds no file that is \.txt, "):
        find_files([str(tmp_path)])
