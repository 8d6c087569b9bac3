"""Signals that ask a run to stop are recorded, and nothing else changes."""

from __future__ import annotations

import signal

import pytest

from finetune.training.stop_signals import stop_signals


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


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with stop_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
