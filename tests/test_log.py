"""The log and what the commands of the app print, whatever the encoding of the terminal."""

from __future__ import annotations

import io
import sys

import pytest

from app.log import write_utf_8


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_is_printed_is_utf_8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under PYTHONIOENCODING=ascii a log line with the name of a model in Polish was once lost."""
    printed = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(printed, encoding=encoding, write_through=True))
    write_utf_8()
    sys.stdout.write("models/żółć \udcff\n")
    assert printed.getvalue() == "models/żółć \\udcff\n".encode()


def test_a_stream_that_is_no_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    write_utf_8()
