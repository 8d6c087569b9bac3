"""The bar that every verb shows, and the one over several stages."""

from __future__ import annotations

import re
import sys

import pytest

from finetune.progress_bar import progress_bar
from finetune.stages_bar import stages_bar


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Each state of the line on stderr."""
    return [line.strip() for line in re.split(r"[\r\n]", capsys.readouterr().err) if line.strip()]


def test_a_bar_disappears(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("read", 10) as bar:
        bar.update(10)
    assert capsys.readouterr().err.endswith("\r")


def test_one_bar_shows_all_stages(capsys: pytest.CaptureFixture[str]) -> None:
    with stages_bar({"prepare": 10.0, "train": 300.0}) as stages:
        with stages.stage("prepare"), progress_bar("read", 4) as bar:
            bar.update(4)
            bar.refresh()
        with stages.stage("train"), progress_bar("write", 10) as bar:
            bar.set_description("round")
    lines = shown(capsys)
    assert lines[0].startswith("1/2 prepare:   0%|")
    assert any("[00:00<05:10, read 100%]" in line or "[00:00<05:09, read 100%]" in line for line in lines)
    assert any(line.startswith("2/2 train:") and "round 0%" in line for line in lines)
    assert "100%|" in lines[-1]
    assert "<00:00" in lines[-1]
    percentages = [int(found[1]) for line in lines if (found := re.search(r"(\d+)%\|", line))]
    assert percentages == sorted(percentages)
    assert not any(line.startswith(("read", "write")) for line in lines), "the parts have no line of their own"


def test_what_is_printed_appears_above_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with stages_bar({"train": 300.0}) as stages, stages.stage("train"):
        sys.stdout.write("step 5 writes:")
        sys.stdout.write("\n")
        sys.stderr.write("No validation text.\n")
        assert sys.stderr.isatty() is False
    printed = capsys.readouterr()
    assert printed.out == "step 5 writes:\n"
    assert "\rNo validation text.\n\r1/1 train:" in printed.err


def test_an_error_leaves_the_bars_of_other_verbs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), stages_bar({"train": 1.0}) as stages, stages.stage("train"):
        raise ZeroDivisionError
    with progress_bar("read", 10):
        pass
    assert "\rread:" in capsys.readouterr().err
