"""What verbs print reaches the terminal whatever its encoding, and a terminal that is gone ends in no traceback."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from finetune.__main__ import main
from finetune.terminal import harmless, print_error, print_utf_8
from tests.finetune.votes.polls import few, fill


@pytest.fixture
def report(tmp_path: Path) -> list[str]:
    """A command whose output has characters that no old encoding has."""
    return ["report", "--store", fill(f"sqlite:///{tmp_path}/feedback.db", few()), "--out", str(tmp_path / "report")]


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "cp1252", "utf-16")]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8", *OTHERS])
def test_output_is_utf_8_whatever_the_terminal_says(
    encoding: str, report: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PYTHONIOENCODING=latin-1 python -m finetune report` once ended in a UnicodeEncodeError, after it was done."""
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding=encoding))
    assert main(report) == 0
    assert re.search(r"\d+ % \(\d+–\d+\)", printed.getvalue().decode())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \x1b[2J\x07b", "a �[2J�b"),
        ("50\u00a0% of\tthem\r\nend é 🦆 \u200d", "50\u00a0% of\tthem\nend é 🦆 \u200d"),
        ("\x9b31m\x7f\x00", "�31m��"),
    ],
)
def test_no_text_commands_the_terminal(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_what_is_typed_is_read_as_utf_8_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONIOENCODING=ascii, an é that somebody typed in `chat` ended in a UnicodeDecodeError."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"caf\xc3\xa9 \xff\n")
    monkeypatch.setattr("sys.stdin", os.fdopen(terminal, encoding="ascii"))
    print_utf_8()
    assert sys.stdin.readline() == "café �\n"
    sys.stdin.close()
    os.close(keyboard)


def test_bytes_of_a_file_name_are_printed_as_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(printed, encoding="ascii"))
    assert main(["prepare", os.fsdecode(b"a\xff\xc3\xa9.txt"), "--out", str(tmp_path / "data")]) == 2
    assert printed.getvalue().decode().startswith("error: a\\udcffé.txt matches no file")


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_a_verb_quietly(
    report: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`report | true` once said that the disk has a broken pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(report) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_full_disk_behind_the_output_is_a_sentence(
    report: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(report) == 2
    assert capsys.readouterr().err.startswith("error: the disk: No space left on device")


def test_a_closed_output_is_no_error(report: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no stdout and stderr at all where both are closed, as with `>&- 2>&-`."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert main(report) == 0
    for stream in (sys.stdout, sys.stderr):
        assert stream is not None
        stream.close()


def test_an_argument_that_is_not_utf_8_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("text\nIt is one.\n")
    command = [
        "fetch",
        "csv",
        "--source",
        str(tmp_path / "a.csv"),
        "--out",
        str(tmp_path / "o.jsonl"),
        "--without",
        "short,long",
    ]
    assert main([*command, "--param", "body=text", "label=" + os.fsdecode(b"\xff")]) == 2
    assert (
        capsys.readouterr().err
        == "error: '\\udcff' has bytes that are not UTF-8: write it in UTF-8, or rename the file.\n"
    )


def test_an_error_that_quotes_megabytes_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"seed is {'1' * 1_000_000}: expected a number below that.")
    printed = capsys.readouterr().err
    assert printed.startswith("error: seed is 111")
    assert printed.endswith("111: expected a number below that.\n")
    assert len(printed) < 2100
