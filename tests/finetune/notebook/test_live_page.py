"""The page of a training in a frame: it is there before the run has begun, and a cell may be run twice."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from app.errors import MachineError
from finetune.notebook.live_page import SERVERS, show_live_page, show_port, stop


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports that Colab is asked to show."""
    shown: list[int] = []
    colab = ModuleType("google.colab")
    output = colab.output = ModuleType("google.colab.output")  # type: ignore[attr-defined]
    output.serve_kernel_port_as_iframe = lambda port, height: shown.append(port)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return shown


def test_a_cell_that_is_run_again_replaces_its_page(tmp_path: Path, ports: list[int]) -> None:
    run = tmp_path / "checkpoint/jokes"
    for _ in range(2):
        show_live_page(run)
    try:
        first, second = ports
        assert "jokes" in httpx.get(f"http://127.0.0.1:{second}/").text
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{first}/")
    finally:
        stop(run)
    assert run not in SERVERS


def test_what_cannot_be_watched_is_said(tmp_path: Path, ports: list[int]) -> None:
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(MachineError, match=r"^the live page could not be shown \(.*run.*\): go on without it\.$"):
        show_live_page(tmp_path / "run")
    stop(tmp_path / "run")


def test_outside_of_colab_it_is_a_frame_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    show_port(8123, 900)
    assert "IFrame" in capsys.readouterr().out
