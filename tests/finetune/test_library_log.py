"""The log of TensorFlow's libraries: silent while they load well, shown when they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.library_log import kept_aside
from tests.conftest import ROOT

NOTES = "import os; os.write(2, b'WARNING: All log messages before absl::InitializeLog()')"
LOADING = """
import importlib.util, sys
from finetune.library_log import quiet_imports
quiet_imports()
quiet_imports()
assert importlib.util.find_spec("tensorflow")
import tensorflow
assert tensorflow.__spec__.loader is tensorflow.__loader__
assert "Quiet" not in repr(tensorflow.__loader__)
print("loaded", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("", ["loaded"]),
        ("; raise ImportError('no AVX here')", ["WARNING", "no AVX here"]),
        ("; os.abort()", ["WARNING"]),
    ],
    ids=["loads", "fails", "ends the process"],
)
def test_what_a_library_writes_while_it_loads(tmp_path: Path, ending: str, said: list[str]) -> None:
    """TensorFlow printed six lines before every verb. What it says when a processor is too old for it must be seen."""
    (tmp_path / "tensorflow.py").write_text(NOTES + ending)
    ended = subprocess.run(
        [sys.executable, "-c", LOADING],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert all(each in ended.stderr for each in said)
    assert ("WARNING" in ended.stderr) is ("WARNING" in said)


def test_standard_error_is_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.fstat(2)
    with kept_aside():
        os.write(2, b"noise")
    os.write(2, b"after")
    assert os.path.samestat(os.fstat(2), before)
    assert capfd.readouterr().err == "after"


def test_an_error_shows_what_was_written(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), kept_aside():
        1 / (os.write(2, b"the reason\n") - len(b"the reason\n"))
    assert capfd.readouterr().err == "the reason\n"


def test_a_closed_standard_error_is_left_closed() -> None:
    kept = os.dup(2)
    os.close(2)
    try:
        with kept_aside():
            pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
