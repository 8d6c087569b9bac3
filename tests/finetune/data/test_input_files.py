"""Which files an input names, each once and in order."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from app.errors import DataError, SettingError
from finetune.data.input_files import find_files
from tests.damage import point_to_lfs, show_a_page


def test_files_folders_and_patterns_name_each_file_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.TXT", "deep/c.jsonl", "notes.org", ".hidden.txt", "deep/.git/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, passed = find_files([f"{tmp_path}/*.txt", str(tmp_path), f"{tmp_path}/**/*.jsonl"])
    assert [str(file.path.relative_to(tmp_path)) for file in files] == ["b.txt", "a.TXT", "deep/c.jsonl"]
    assert [path.name for path in passed] == ["notes.org"]


def test_an_input_that_is_nothing_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    for wrong in (f"{tmp_path}/lost.txt", "", f"{tmp_path}/**.txt", "["):
        with pytest.raises(SettingError, match=r" ?matches no file: name a file, a folder or a pattern"):
            find_files([wrong])
    (tmp_path / "notes.org").touch()
    with pytest.raises(SettingError, match=r"notes\.org is none of \.txt, "):
        find_files([f"{tmp_path}/notes.org"])
    with pytest.raises(SettingError, match=r"holds no file that is \.txt, "):
        find_files([str(tmp_path)])


def test_a_pipe_is_read_if_its_name_says_what_it_holds(tmp_path: Path) -> None:
    """`gpt2 prepare <(command)` was told that /dev/fd/63 holds no file."""
    for name in ("a.txt", "63", "a.csv"):
        os.mkfifo(tmp_path / name)
    assert find_files([f"{tmp_path}/a.txt"])[0][0].kind == "text"
    for name in ("63", "a.csv"):
        with pytest.raises(
            SettingError, match=f"{name} is a pipe or a device, which can be read only once: write it to"
        ):
            find_files([f"{tmp_path}/{name}"])


def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its texts were left out in silence. A hidden one is not looked at."""
    for name in ("deep/a.txt", "b.txt", ".Trash/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scan = os.scandir

    def as_another_person(path: str) -> object:
        if Path(path).name in ("deep", ".Trash"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", as_another_person)  # The tests may run as root.
    with pytest.raises(PermissionError, match="deep"):
        find_files([str(tmp_path)])
    (tmp_path / "deep/a.txt").unlink()
    (tmp_path / "deep").rmdir()
    assert len(find_files([str(tmp_path)])[0]) == 1


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.npz", "RC_2019-08"])
def test_a_pointer_to_a_file_is_not_taken_for_the_file(name: str, tmp_path: Path) -> None:
    """The three lines of a Git LFS pointer were once trained on."""
    point_to_lfs(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} is a Git LFS pointer, for which `git lfs pull` fetches"):
        find_files([str(tmp_path / name)])


def test_a_page_that_shows_a_table_is_no_table_and_html_is_a_text(tmp_path: Path) -> None:
    show_a_page(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a\.csv is a web page and not the file itself"):
        find_files([str(tmp_path)])
    (tmp_path / "a.csv").rename(tmp_path / "a.txt")
    point_to_lfs(tmp_path / "picture.png")
    files, others = find_files([str(tmp_path)])
    assert [[file.name for file in files], [path.name for path in others]] == [["a.txt"], ["picture.png"]]
