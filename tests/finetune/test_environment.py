"""What a user's environment may not change, and systems that lack what Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from tests.conftest import ROOT, run_module
from tests.finetune.training.runs import logged, weights_of


def options(base: Path, run: Path, steps: int) -> list[str]:
    places = ["--data", str(base / "data"), "--init", str(base / "init"), "--out", str(run)]
    shape = ["--batch-size", "2", "--save-every", "4", "--learning-rate", "1e-2", "--samples", "0"]
    return ["finetune", "train", *places, *shape, "--steps", str(steps)]


@pytest.mark.slow
def test_settings_of_keras_and_matplotlib_change_nothing(
    base: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these was a traceback, or other results. Colab sets MPLBACKEND for packages that only its own Python has."""
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras/keras.json").write_text('{"floatx": "float16", "epsilon": 0.5, "nnx_enabled": true}')
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.dpi: 7\n")
    monkeypatch.chdir(tmp_path)
    ended = run_module(
        *options(base, tmp_path / "run", 12),
        KERAS_HOME=str(tmp_path / "keras"),
        KERAS_MAX_EPOCHS="many",
        KERAS_BACKEND="",
        MPLBACKEND="module://missing_inline.backend_inline",
        MPLCONFIGDIR="/proc/nowhere",
    )
    assert ended.returncode == 0, ended.stderr
    assert [row["train"] for row in logged(tmp_path / "run")] == [row["train"] for row in logged(finished)]
    weights = weights_of(finished)
    assert all((weight == weights[name]).all() for name, weight in weights_of(tmp_path / "run").items())
    width = int.from_bytes((tmp_path / "run/loss.png").read_bytes()[16:20])
    assert width == 960  # 8 inches of 120 dots, as ever.


@pytest.mark.slow
def test_keras_and_matplotlib_read_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text('{"floatx": "float16"}')
    code = """
import os
from finetune.environment import shield_libraries
shield_libraries()
import keras, matplotlib.pyplot
assert keras.config.floatx() == "float32"
assert keras.config.backend() == "tensorflow"
assert matplotlib.get_backend() == "agg"
"""
    variables = {
        "HOME": str(tmp_path),
        "MPLBACKEND": "module://missing",
        "KERAS_MAX_EPOCHS": "many",
        "KERAS_BACKEND": "",
    }
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [("JAX_PLATFORMS", "typo"), ("JAX_PLATFORMS", "cuda"), ("JAX_DISABLE_JIT", "perhaps")],
    ids=["platform", "no GPU", "switch"],
)
def test_a_variable_of_jax_that_is_wrong_is_one_sentence(base: Path, tmp_path: Path, variable: str, value: str) -> None:
    ended = run_module(*options(base, tmp_path / "run", 12), **{"KERAS_BACKEND": "jax", variable: value})
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert variable in line
    assert line.endswith("that variable.")
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_flag_that_xla_does_not_know_is_one_sentence(base: Path, tmp_path: Path, backend: str) -> None:
    """XLA ended the process from C++, after ten lines of its own."""
    ended = run_module(*options(base, tmp_path / "run", 12), KERAS_BACKEND=backend, XLA_FLAGS="--xla_no_such_flag=1")
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: XLA_FLAGS has what XLA does not know (--xla_no_such_flag=1): correct or unset that variable.\n"
    )


# What only Linux has, of the modules that Python programs use most.
LINUX = {
    "os": (
        "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "memfd_create", "eventfd", "splice",
        "copy_file_range", "getrandom", "pipe2", "fdatasync", "O_TMPFILE", "O_DIRECT", "EFD_CLOEXEC", "setresuid",
    ),
    "signal": ("SIGRTMIN", "SIGRTMAX", "SIGPWR", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"),
    "socket": ("TCP_KEEPIDLE", "SO_DOMAIN", "SO_PROTOCOL", "TCP_USER_TIMEOUT", "TCP_QUICKACK", "SOCK_CLOEXEC"),
    "resource": ("prlimit", "RLIMIT_SIGPENDING"),
    "time": ("CLOCK_BOOTTIME", "CLOCK_TAI"),
    "select": ("epoll",),
}  # fmt: skip
WITHOUT_LINUX = f"""
import importlib, sys
for module, names in {LINUX!r}.items():
    for name in names:
        vars(importlib.import_module(module)).pop(name, None)
"""
VERBS = """
from finetune.__main__ import main

def run(*words):
    assert main([*map(str, words)]) == 0, words

text, vocabulary, folder = sys.argv[1:]
run("prepare", text, "--vocabulary", vocabulary, "--out", folder + "/data", "--near-duplicates", 0, "--validation", 0.1)
run("train", "--data", folder + "/data", "--init", vocabulary, "--out", folder + "/run", "--steps", 1, "--samples", 1)
run("evaluate", "--checkpoint", folder + "/run", "--data", folder + "/data", "--out", folder + "/report",
    "--samples", 2, "--length", 20)
run("sample", "--checkpoint", folder + "/run", "--length", 5)
run("export", "--checkpoint", folder + "/run", "--out", folder + "/bundle", "--bits", 32)
"""


@pytest.mark.slow
def test_every_verb_runs_without_what_only_linux_has(base: Path, tmp_path: Path) -> None:
    """On macOS, which has no os.sched_getaffinity, train, evaluate, sample and export died."""
    text = (base / "data").resolve().parent / "text.txt"
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_LINUX + VERBS, str(text), str(base / "init"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert open_checkpoint(tmp_path / "run").step == 1
    assert (tmp_path / "bundle/manifest.json").is_file()
    assert (tmp_path / "report/report.html").is_file()


def test_settings_of_the_bars_are_no_traceback(checkpoint: Path, tmp_path: Path) -> None:
    """The library reads them when it is imported."""
    (tmp_path / "input.txt").write_text("Yes.")
    arguments = [str(tmp_path / "input.txt"), "--out", str(tmp_path / "data"), "--vocabulary", str(checkpoint)]
    ended = run_module("finetune", "prepare", *arguments, TQDM_MININTERVAL="often", TQDM_NCOLS="wide")
    assert ended.returncode == 0, ended.stderr
