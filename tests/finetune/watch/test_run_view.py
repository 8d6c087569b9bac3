"""The page says in words how a run is, how long it takes and what to do next."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingError, TrainingError
from finetune.__main__ import main
from finetune.commands.train import train
from finetune.run_lock import run_lock
from finetune.run_progress import read_progress
from finetune.run_title import run_title
from finetune.training.progress_file import ProgressFile
from finetune.training.stop_signals import StopRequest
from finetune.watch.run_files import read_run, refuse_other_folders, run_named
from finetune.watch.run_view import RunView, view_run
from tests.finetune.training.runs import training_options
from tests.finetune.watch.progress import told


def viewed(folder: Path) -> RunView:
    return view_run(read_run(folder), None, {}, "")


def test_a_run_in_training_has_an_end_in_sight(tmp_path: Path) -> None:
    """The first entry holds the time of compiling, so the pace is that of the others: two seconds a step."""
    told(tmp_path / "jokes")
    view = viewed(tmp_path / "jokes")
    assert (view.state, view.step, view.steps, view.memory) == ("training", 40, 100, 10**9)
    assert view.seconds_left == pytest.approx(120)
    assert view.verdict == "The training loss is falling: let it run."
    assert view.commands == []


@pytest.mark.parametrize(
    ("changes", "state", "sentence"),
    [
        ({"host": socket.gethostname()}, "stopped", "Stopped at step 40; nothing was saved. The training loss is falling."),
        ({"at": 0.0}, "stopped", "Stopped at step 40; nothing was saved."),
        ({"at": time.time() + 3600}, "training", "The training loss is falling: let it run."),
        ({"at": 0.0, "step": 35}, "stopped", "Stopped at step 40; nothing was saved."),
        ({"state": "stopped"}, "stopped", "Stopped at step 40; nothing was saved."),
        ({"state": "failed", "error": "the disk is full."}, "failed", "Failed at step 40: the disk is full."),
        ({"state": "finished", "step": 100}, "finished", "Finished at step 100. The training loss is falling: it would gain"),
        ({"entries": []}, "training", "It has begun; no loss is known yet."),
    ],
)  # fmt: skip
def test_how_a_run_is(changes: dict[str, Any], state: str, sentence: str, tmp_path: Path) -> None:
    """A run that was killed says nothing: nobody holds its lock."""
    told(tmp_path, **changes)
    view = viewed(tmp_path)
    assert view.state == state
    assert view.verdict.startswith(sentence)


def test_a_run_is_in_training_as_long_as_it_is_locked(tmp_path: Path) -> None:
    """A process number may be another program's by now, and a machine that slept says nothing for hours."""
    told(tmp_path, host=socket.gethostname(), at=0.0)
    with run_lock(tmp_path):
        assert viewed(tmp_path).state == "training"
    assert viewed(tmp_path).state == "stopped"


def test_the_next_commands_can_be_given(finished: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """A run that was stopped is resumed by the command that the page shows, with the options that it began with."""
    run = tmp_path / "a run"
    shutil.copytree(finished, run)
    labels = dict(viewed(run).commands)
    assert labels["Make a model to serve"] == f"gpt2 export --checkpoint '{run}/best' --out 'models/a run'"
    told(run, state="stopped", step=12, steps=14)
    command = dict(viewed(run).commands)["Resume it"]
    assert "--resume" in command
    assert "--steps 14" in command
    words = [word.strip("'") for word in re.findall(r"'[^']+'|\S+", command)]
    assert words[:2] == ["gpt2", "train"]
    assert keras(main, words[1:]) == 0
    progress = read_progress(run)
    assert progress is not None
    assert (progress.state, progress.step) == ("finished", 14)


def test_a_training_tells_how_it_goes_and_leaves_the_page(finished: Path) -> None:
    progress = read_progress(finished)
    assert progress is not None
    assert (progress.state, progress.step, progress.steps) == ("finished", 12, 12)
    assert progress.memory is None or progress.memory > 10**7
    page = (finished / "watch.html").read_text(encoding="utf-8")
    assert "Finished at step 12." in page
    assert "connect-src &#39;none&#39;" in page
    assert not re.search(r"(src|href)=", page), "a file that needs no other"


def test_a_training_that_fails_says_why(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        keras(train, training_options(base, tmp_path / "run", learning_rate=1e30, clip=0.0))
    view = viewed(tmp_path / "run")
    assert view.state == "failed"
    assert "lower --learning-rate" in view.verdict


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt, "stopped"), (ValueError, "failed")])
def test_how_a_training_ended_is_told(error: type[BaseException], state: str, tmp_path: Path) -> None:
    def failing() -> None:
        with ProgressFile(tmp_path, 0, 10, StopRequest()) as told_file:
            told_file.reach(1)
            raise error

    with pytest.raises(error):
        failing()
    progress = read_progress(tmp_path)
    assert progress is not None
    assert progress.state == state


def test_a_disk_that_is_full_does_not_end_a_training(tmp_path: Path) -> None:
    with ProgressFile(tmp_path / "gone", 0, 10, StopRequest()) as told_file:
        told_file.reach(1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("checkpoint/jokes", "jokes"),
        ("checkpoint/jokes/best", "jokes, best save"),
        ("checkpoint/jokes/model-1500", "jokes, step 1,500"),
        ("checkpoint/jokes/best/model-20.index", "jokes, best save, step 20"),
        ("/", "/"),
    ],
)
def test_a_title_names_the_run(path: str, title: str) -> None:
    """The report of `checkpoint/jokes/best` had the title "best"."""
    assert run_title(Path(path)) == title


def test_a_name_means_a_run_in_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gpt2 watch jokes` waited for ever for a folder of that name here, where `show jokes` finds checkpoint/jokes."""
    monkeypatch.chdir(tmp_path)
    assert run_named(Path("jokes")) == Path("jokes")
    (tmp_path / "checkpoint").mkdir()
    assert run_named(Path("jokes")) == Path("checkpoint/jokes")
    assert run_named(Path("other/jokes")) == Path("other/jokes")
    (tmp_path / "jokes").mkdir()
    assert run_named(Path("jokes")) == Path("jokes")


def test_other_folders_are_one_sentence(finished: Path, bundles: dict[int, Path], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    refuse_other_folders(finished)
    refuse_other_folders(finished / "best")
    refuse_other_folders(tmp_path / "not yet")
    for folder, sentence in {
        tmp_path: "is not a run: name a run, such as checkpoint/NAME",
        finished.parent: f"is not a run: name one of the runs in it, such as {finished}",
        tmp_path / "thesis.txt": "is a file: name the run's folder",
        bundles[8]: "is a bundle: name the run that it was made of",
        tmp_path / "no/where": "is not there, and neither is",
    }.items():
        with pytest.raises(SettingError, match=re.escape(sentence)):
            refuse_other_folders(folder)
