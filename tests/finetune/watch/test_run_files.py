"""A run's files are read while they are written, copied, deleted, or rewritten by a resumption."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from finetune.run_folder import LogEntry, RunFolder
from finetune.watch.run_files import file_state, read_run
from finetune.watch.run_view import MOST_POINTS, MOST_SAVES, view_run
from finetune.watch.watch_page import render_watch_page
from tests.finetune.watch.progress import told

LOG = [LogEntry(step, 6.0 - step / 10, 5.0 if step == 20 else None, 1e-4, 50.0, float(step)) for step in (10, 20)]


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_log_that_is_half_copied_gives_its_whole_lines(cut: int, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_log(LOG)
    whole = (tmp_path / "log.csv").read_bytes()
    (tmp_path / "log.csv").write_bytes(whole[:cut])
    found = read_run(tmp_path)
    assert [entry.step for entry in found.log] in ([], [10], [10, 20])
    view_run(found, None, {}, "")


def test_anything_in_place_of_the_files_is_no_crash(tmp_path: Path) -> None:
    for name in ("log.csv", "progress.json", "samples.txt", "description.json"):
        (tmp_path / name).write_bytes(b"\xff\x00,\n\"'<")
    view = view_run(read_run(tmp_path), None, {}, "")
    assert (view.state, view.train, view.samples) == ("waiting", [], [])
    for name in ("log.csv", "progress.json", "samples.txt", "description.json"):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    assert view_run(read_run(tmp_path), None, {}, "").verdict == "Waiting for the run to begin."


def test_losses_since_the_last_save_are_known(tmp_path: Path) -> None:
    """They were once in log.csv only at the next save."""
    RunFolder(tmp_path).write_log(LOG)
    told(tmp_path)
    found = read_run(tmp_path)
    assert [(entry.step, entry.train) for entry in found.log] == [(10, 4.5), (20, 4.0), (30, 3.5), (40, 3.0)]
    told(tmp_path, entries=[LogEntry(30, 3.5, None, 1e-4, 50.0, 60.0)])
    assert [entry.step for entry in read_run(tmp_path).log] == [10, 20, 30]


def test_a_log_that_repeats_steps_has_the_newest(tmp_path: Path) -> None:
    """A run that was killed goes on at its save, and until it saves again its log has some steps twice."""
    run = RunFolder(tmp_path)
    run.write_log(LOG)
    for step in (15, 25):
        run.append_log(LogEntry(step, 1.0, None, 1e-4, 50.0, float(step)))
    assert [(entry.step, entry.train) for entry in read_run(tmp_path).log] == [(10, 5.0), (15, 1.0), (25, 1.0)]


def test_numbers_that_are_none_are_no_news(tmp_path: Path) -> None:
    """NaN is not JSON: the page could not read what it was to show."""
    RunFolder(tmp_path).write_log([*LOG, LogEntry(30, math.nan, math.inf, math.nan, math.nan, math.inf)])
    view = view_run(read_run(tmp_path), 1000, {}, "")
    page = render_watch_page([view], live=False)
    (content,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', page)
    assert json.loads(content, parse_constant=pytest.fail)["runs"][0]["trend"] == "diverged"


def test_a_resumed_run_takes_back_what_it_repeats(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_log(LOG)
    told(tmp_path, step=10, entries=[])
    assert [entry.step for entry in read_run(tmp_path).log] == [10]
    run = RunFolder(tmp_path)
    for step, text in ((100, "old"), (200, "older run"), (100, "new"), (150, "newer")):
        run.add_samples(step, [text, "two\nlines"])
    assert read_run(tmp_path).samples == [(100, ["new", "two\nlines"]), (150, ["newer", "two\nlines"])]


def test_a_change_is_seen(tmp_path: Path) -> None:
    before = file_state(tmp_path)
    RunFolder(tmp_path).write_log(LOG)
    assert file_state(tmp_path) != before


def test_long_runs_are_thinned(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_log([LogEntry(step, 3.0 + 1 / step, 2.0 + 1 / step, 1e-4, 50.0, float(step)) for step in range(1, 5002)])
    for step in range(1, 100):
        run.add_samples(step, ["text"])
    view = view_run(read_run(tmp_path), 1000, {}, "")
    assert len(view.train) <= MOST_POINTS + 1
    assert view.train[-1][0] == 5001
    assert view.train[-1][1] == pytest.approx(3.0 + 1 / 5001)
    steps = [each.step for each in view.samples]
    assert len(steps) == MOST_SAVES
    assert (steps[0], steps[-1]) == (1, 99)
    assert view.epochs == pytest.approx(5001 * 50 / 1000)
