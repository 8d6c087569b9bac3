"""Signals that ask a run to stop are recorded, and nothing else changes."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from finetune.training.stop_signals import PATIENCE, STOPPING, ended_by_signals, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_is_recorded(number: signal.Signals) -> None:
    """A terminal that closed (SIGHUP) ended the run at once: what came after the last save was lost."""
    before = signal.getsignal(number)
    with stop_signals() as stop:
        signal.raise_signal(number)
        assert stop.signal == number
    assert signal.getsignal(number) == before


def test_nohup_keeps_its_promise() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.signal == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_only_a_third_ctrl_c_ends_a_run_before_its_save(capfd: pytest.CaptureFixture[str]) -> None:
    """The second one did, and people press it twice. Those who ask a program to end get its save, however often they ask."""
    with stop_signals() as stop:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            signal.raise_signal(number)
        said = [line for line in capfd.readouterr().err.splitlines() if line]
        assert said == [STOPPING, PATIENCE]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert stop.signal == signal.SIGINT


def test_what_follows_the_save_ends_at_once() -> None:
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        stop.saved = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_terminal_that_is_gone_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "closed").open("w") as closed:
        monkeypatch.setattr("sys.stderr", closed)
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGHUP)
    assert stop.signal == signal.SIGHUP


def test_a_signal_that_a_library_swallowed_stops_the_training_that_follows(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while TensorFlow was loaded was "ignored in" a callback, and `new` trained for its quarter of an hour."""
    with ended_by_signals("Stopped."):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with stop_signals() as stop:
            assert stop.signal == signal.SIGTERM
        with stop_signals() as stop:
            assert stop.signal == 0
    with pytest.raises(SystemExit) as ended, ended_by_signals("Stopped."):
        signal.raise_signal(signal.SIGTERM)
    assert (ended.value.code, capsys.readouterr().err) == (143, "Stopped.\n")
    with stop_signals() as stop:
        assert stop.signal == 0
