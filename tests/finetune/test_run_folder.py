"""The folder of a run: which saves it keeps, and that a stop at any moment leaves files that agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import SettingError
from finetune.checkpoint import initial_weights, newest_whole, read_weights
from finetune.run_folder import LogEntry, RunDescription, RunFolder, RunSave, remove_other_saves
from tests.conftest import ROOT, write_tiny

SHAPE = Hparams(n_vocab=300, n_ctx=8, n_embd=4, n_head=1, n_layer=1)


def test_only_the_last_two_saves_are_kept(finished: Path) -> None:
    assert {path.stem for path in finished.glob("model-*.index")} == {"model-8", "model-12"}
    assert {path.stem for path in finished.glob("training-*.npz")} == {"training-8", "training-12"}


@pytest.mark.slow
def test_a_full_disk_loses_no_save(base: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: the next save fails, and the one before stays complete."""
    run = tmp_path / "run"
    code = """
import resource, signal, sys
from finetune import run_folder
from finetune.__main__ import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
save, limits = run_folder.RunFolder.save, resource.getrlimit(resource.RLIMIT_FSIZE)

def later(self, content):
    if content.step > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        save(self, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

run_folder.RunFolder.save = later
sys.exit(main(sys.argv[1:]))
"""
    options = f"--data {base}/data --init {base}/init --out {run} --steps 12 --save-every 4 --samples 0"
    ended = subprocess.run(
        [sys.executable, "-c", code, "train", *options.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "model-8 could not be written (File too large): free space" in ended.stderr
    assert newest_whole(run)[0].step == 4
    assert {path.name for path in run.glob("model-8*")} == set()


def test_a_log_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It had no column for the MFU."""
    columns = "step,train,validation,learning_rate,tokens_per_second,seconds"
    (tmp_path / "log.csv").write_text(f"{columns}\n4,2.5,3.5,0.1,10.0,1.5\n", encoding="utf-8")
    assert RunFolder(tmp_path).log() == [LogEntry(4, 2.5, 3.5, 0.1, 10.0, 1.5, mfu=None)]


def test_a_line_of_the_log_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    """The log has its lines as they come, so it may be read, or a kill may come, in the middle of one."""
    run, entries = RunFolder(tmp_path), [LogEntry(step, 2.5, None, 0.1, 10.0, 1.5) for step in (1, 2)]
    run.write_log(entries[:1])
    run.append_log(entries[1])
    assert run.log() == entries
    log = tmp_path / "log.csv"
    for cut in (1, 2, 9):
        log.write_bytes(log.read_bytes()[:-cut])
        assert run.log() == entries[:1]


def test_a_disk_that_is_full_is_no_reason_to_stop_between_two_saves(tmp_path: Path) -> None:
    RunFolder(tmp_path / "absent").append_log(LogEntry(1, 2.5, None, 0.1, 10.0, 1.5))
    assert not (tmp_path / "absent").exists()


def test_a_folder_is_begun_again_only_if_it_has_no_save(finished: Path, tmp_path: Path) -> None:
    """A run that failed before its first save left a folder that every later command refused."""
    run = shutil.copytree(finished, tmp_path / "run")
    with pytest.raises(SettingError, match="a run at step 12: add --resume"):
        RunFolder(run).refuse_existing()
    for path in [run / "checkpoint", *run.glob("model-*")]:
        path.unlink()
    with pytest.raises(SettingError, match="exists and is not a run: name a new folder"):
        RunFolder(run).refuse_existing()  # There is still `best`, and perhaps that is all that somebody copied.
    (run / "counter").unlink()
    RunFolder(run).refuse_existing()
    (run / "description.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SettingError, match="exists and is not a run: name a new folder"):
        RunFolder(run).refuse_existing()


class Killed(BaseException):
    """Stands for SIGKILL: from the chosen moment on, nothing changes a file any more."""


class Killer:
    """Counts what changes files below a folder, and from number `at` on lets nothing through."""

    def __init__(self) -> None:
        self.folder = ""
        self.at = self.count = 0
        sys.addaudithook(self.hook)  # It can never be removed.

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder or event not in ("open", "os.rename", "os.remove", "os.mkdir"):
            return
        if event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
            return
        if str(arguments[0]).startswith(self.folder):
            self.count += 1
            if self.count > self.at:
                raise Killed

    @contextmanager
    def kills(self, folder: Path, at: int) -> Iterator[None]:
        self.folder, self.at, self.count = str(folder), at, 0
        try:
            yield
        finally:
            self.folder = ""


@pytest.fixture(scope="session")
def killer() -> Killer:
    return Killer()


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    write_tiny(folder)
    return folder


def save_of(vocabulary: Path, step: int, losses: dict[int, float], best: bool) -> RunSave:
    """A save of a run that has measured these validation losses. Its weights are made from the step."""
    return RunSave(
        step=step,
        hparams=SHAPE,
        weights=initial_weights(SHAPE, seed=step),
        vocabulary=vocabulary,
        state={"v0": np.array(step)},
        description=RunDescription(
            corpus_sha256="0", end=299, template="qa", init="scratch", options={"steps": step}, made={}
        ),
        log=[LogEntry(at, 1.0, loss, 0.1, 1.0, 1.0) for at, loss in losses.items()],
        best=best,
    )


def save_as_the_loop_does(run: RunFolder, content: RunSave) -> None:
    """It writes the log line by line, before the save."""
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write_log(content.log)
    run.save(content)


def assert_agree(run: RunFolder, losses: dict[int, float]) -> int:
    """The newest save is whole, has its optimizer state and its log, and `best` holds what it says. Returns its step."""
    newest = open_checkpoint(run.folder)
    assert_weights_of(run.folder, newest.step)
    state = run.state(newest)
    assert state is not None
    assert int(state["v0"]) == newest.step
    assert run.description is not None
    assert {entry.step: entry.validation for entry in run.log()}[newest.step] == losses[newest.step]
    best = run.lowest_validation
    assert best is not None
    assert best[1] == losses[best[0]] == min(losses[step] for step in losses if step <= max(newest.step, best[0]))
    assert_weights_of(run.best.folder, best[0])
    return newest.step


def assert_weights_of(folder: Path, step: int) -> None:
    newest = open_checkpoint(folder)
    expected = initial_weights(SHAPE, seed=step)
    assert newest.step == step
    assert all(np.array_equal(weight, expected[name]) for name, weight in read_weights(newest).items())


@pytest.mark.slow
@pytest.mark.parametrize("best", [True, False])
def test_a_stop_at_any_moment_of_a_save_leaves_files_that_agree(
    vocabulary: Path, killer: Killer, tmp_path: Path, best: bool
) -> None:
    """After a stop between two files the description named a best save that `best` did not hold."""
    losses = {2: 3.0, 4: 2.0, 6: 1.0 if best else 2.5}
    for step in (2, 4):
        measured = {at: loss for at, loss in losses.items() if at <= step}
        save_as_the_loop_does(RunFolder(tmp_path / "before"), save_of(vocabulary, step, measured, best=True))
    third = save_of(vocabulary, 6, losses, best)
    reached = []
    for at in range(100):
        run = RunFolder(shutil.copytree(tmp_path / "before", tmp_path / f"run{at}"))
        try:
            with killer.kills(tmp_path, at):
                save_as_the_loop_does(run, third)
        except Killed:
            reached.append(assert_agree(run, losses))
            save_as_the_loop_does(run, third)  # As a resumed run repeats the step.
            assert assert_agree(run, losses) == 6
            assert run.lowest_validation == ((6, 1.0) if best else (4, 2.0))
        else:
            break
    assert set(reached) == {4, 6}
    assert len(reached) > (15 if best else 7)


def test_a_stop_at_any_moment_of_the_first_save_leaves_a_save_or_a_folder_to_begin_in(
    vocabulary: Path, killer: Killer, tmp_path: Path
) -> None:
    for at in range(100):
        run = RunFolder(tmp_path / f"run{at}")
        first = save_of(vocabulary, 2, {2: 1.0}, best=True)
        run.describe(first.description)
        try:
            with killer.kills(tmp_path, at):
                save_as_the_loop_does(run, first)
        except Killed:
            if run.exists:
                assert assert_agree(run, {2: 1.0}) == 2
            elif not list(run.folder.glob("model-*.index")):
                run.refuse_existing()
        else:
            break
    assert at > 10


def test_what_a_killed_process_left_of_a_save_goes_with_the_next(tmp_path: Path) -> None:
    """Only what had an index was removed: weights and optimizer states without one stayed, gigabytes with a large model."""
    names = [
        "model-8.index",
        "model-8.data-00000-of-00001",
        "training-8.npz",
        "model-12.index",
        "training-12.npz",
        "log.csv",
    ]
    left = [
        "model-9.data-00000-of-00001", "training-9.npz", ".training-12.npz", "model-12.data-00000-of-00001.tempstate17",
    ]  # fmt: skip
    for name in names + left:
        (tmp_path / name).touch()
    (tmp_path / "model-card.md").touch()
    remove_other_saves(tmp_path, {8, 12})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "model-card.md"])
