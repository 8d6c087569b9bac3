"""Where memory runs out, one sentence says what to change."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import MachineError
from finetune.__main__ import main
from finetune.out_of_memory import explain_memory, is_out_of_memory
from tests.conftest import ROOT


def test_numpys_error_is_explained() -> None:
    with pytest.raises(MachineError, match=r"^there is not enough memory: give less\.$"), explain_memory("give less"):
        np.empty(2**50)


def tensorflows_error() -> tuple[str, bool]:
    import tensorflow as tf

    try:
        tf.zeros([2**20, 2**20, 2**10])
    except Exception as error:  # Which one is the question.
        return type(error).__name__, is_out_of_memory(error)
    return "none", False


@pytest.mark.slow
def test_tensorflows_error_is_recognized(keras: Callable[..., Any]) -> None:
    assert keras(tensorflows_error) == ("ResourceExhaustedError", True)


class XlaRuntimeError(RuntimeError):
    """As JAX calls it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("can't start new thread"),
        XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 68719476736 bytes."),
        XlaRuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
    ],
    ids=repr,
)
def test_the_errors_of_other_libraries_are_recognized(error: Exception) -> None:
    assert is_out_of_memory(error)
    outer = ValueError("something failed")
    outer.__cause__ = error
    assert is_out_of_memory(outer)


def test_a_full_disk_is_not_memory() -> None:
    """TensorFlow calls both exhausted."""
    assert not is_out_of_memory(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert not is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: run/model-4: No space left on device"))
    assert not is_out_of_memory(ValueError("shapes differ"))


def test_a_model_that_is_too_large_is_one_line(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--init", "scratch", "--n-layer", "1", "--n-embd", "16384", "--n-head", "1"]
    with memory_limit(10**9):
        assert main(["train", "--data", str(base / "data"), "--out", str(tmp_path / "run"), *shape]) == 2
    said = capsys.readouterr().err
    assert said == (
        "error: there is not enough memory: give --gradient-checkpointing, --lora 8, a shorter --context "
        "or a smaller model.\n"
    )
    assert not (tmp_path / "run").exists()


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let this process take no more than so many bytes in addition."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.slow
def test_a_batch_that_is_too_large_loses_no_save_and_the_next_try_may_take_its_place(
    base: Path, tmp_path: Path
) -> None:
    """It ended with a traceback of 40 lines.

    The network is wide, so that it is a large tensor that finds no room: where a few bytes find none, C++ ends the process.
    """
    run = tmp_path / "run"
    options = f"--data {base}/data --out {run} --steps 1 --samples 0 --validation-tokens 0"
    shape = "--init scratch --n-layer 1 --n-embd 1024 --n-head 1 --n-ctx 64"
    command = [sys.executable, "-m", "finetune", "train", *options.split(), *shape.split()]
    ended = subprocess.run(
        [*command, "--batch-size", "4096"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=limit_memory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stderr.endswith(
        "error: there is not enough memory: give a --batch-size below 4096; --accumulate makes up for it.\n"
    )
    again = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert again.returncode == 0


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (5_500_000 * 1024, resource.RLIM_INFINITY))
