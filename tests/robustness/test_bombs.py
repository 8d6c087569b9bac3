"""A few kilobytes that stand for gigabytes are refused in one sentence, in bounded memory."""

from __future__ import annotations

import gzip
import io
import lzma
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from app.errors import CheckpointError
from finetune.__main__ import main
from finetune.run_folder import RunFolder
from tests.conftest import ROOT

MEGABYTE = 2**20
ALLOWED = 900
"""Megabytes that a verb may have at its peak. It has 300 before it reads anything."""
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda content: gzip.compress(content, 1),
    "xz": lambda content: lzma.compress(content, preset=0),
    "zst": zstandard.compress,
}


def endless_line(kind: str, megabytes: int) -> bytes:
    """A line of JSON that is one word, compressed as many pieces one after another."""
    pack = PACKERS[kind]
    return pack(b'{"body": "') + pack(b"a" * 64 * MEGABYTE) * (megabytes // 64)


def peak_of(*arguments: object) -> tuple[int, str, float]:
    """The exit code of a verb, what it prints as an error, and its peak of memory in megabytes."""
    code = (
        "import resource, sys; from finetune.__main__ import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stderr.rpartition("error: ")[2], float(ended.stdout.split()[-1])


@pytest.mark.parametrize(
    "kind", ["zst", pytest.param("gz", marks=pytest.mark.slow), pytest.param("xz", marks=pytest.mark.slow)]
)
def test_an_endless_line_is_refused(
    kind: str, tmp_path: Path, checkpoint: Path, torture: bool, record: Callable[..., None]
) -> None:
    """128 kB were unpacked at once, which may be four gigabytes of zstandard, and a line was as long as it liked."""
    (tmp_path / f"text.jsonl.{kind}").write_bytes(endless_line(kind, 4096 if torture else 320))
    code, sentence, peak = peak_of(
        "prepare", tmp_path / f"text.jsonl.{kind}", "--out", tmp_path / "out", "--vocabulary", checkpoint
    )
    assert code == 2
    assert f"text.jsonl.{kind} has a line of more than 67,108,864 characters" in sentence
    assert sentence.count("\n") == 1
    record(f"peak of an endless line in {kind}, MB", peak, ALLOWED)


def test_a_state_that_is_larger_than_its_file_is_refused(
    tmp_path: Path, torture: bool, record: Callable[..., None]
) -> None:
    """A training's state is stored as it is, so its arrays cannot be larger than their file."""
    header = io.BytesIO()
    size = (4096 if torture else 64) * MEGABYTE
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
    with (
        zipfile.ZipFile(tmp_path / "training-7.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("moment.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        for _ in range(size // MEGABYTE):
            file.write(bytes(MEGABYTE))

    class Save:
        step = 7

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"training-7\.npz is damaged: delete it to resume"):
        RunFolder(tmp_path).state(Save())  # type: ignore[arg-type]
    record(
        "memory for a state of gigabytes, MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000, 50
    )


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join(['*' + before] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
OPTIONS = {
    "aliases of aliases": ALIASES + "steps: *i\n",
    "deep nesting": "steps: " + "[" * 10_000,
    "a million digits": "steps: " + "1" * 1_000_000,
    "megabytes": "steps: 1 #" + "x" * 2_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_unfold_are_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine lines of YAML may stand for a billion values, and a number of a million digits ended in a traceback."""
    (tmp_path / "options.yaml").write_text(OPTIONS[case])
    assert (
        main(["train", "--data", "x", "--out", "y", "--config", str(tmp_path / "options.yaml"), "--print-config"]) == 2
    )
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert len(printed) < 5000


def test_a_number_of_a_million_digits_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "text.jsonl").write_text('{"body": "a", "meta": {"x": ' + "1" * 1_000_000 + "}}\n")
    code, sentence, _ = peak_of(
        "prepare", tmp_path / "text.jsonl", "--out", tmp_path / "out", "--vocabulary", checkpoint
    )
    assert (code, sentence.count("\n")) == (2, 1)
    assert "line 1" in sentence
