"""The card decides the precision. Without a card a person is told what to click, and sees a trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.notebook.gpu_settings import minutes_here


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where NVIDIA's program is looked for; nothing is there yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nvidia-smi"


def write_program(path: Path, lines: str) -> None:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("card", "precision"),
    [
        ("Tesla P100-PCIE-16GB, 6.0, 16384", "float32"),
        ("Tesla V100-SXM2-16GB, 7.0, 16384", "float16"),
        ("Tesla T4, 7.5, 15360", "float16"),
        ("NVIDIA A100-SXM4-40GB, 8.0, 40960", "bfloat16"),
        ("NVIDIA L4, 8.9, 23034", "bfloat16"),
        ("NVIDIA H100 80GB HBM3, 9.0, 81559", "bfloat16"),
        ("NVIDIA GeForce RTX 5090, 12.0, 32607", "bfloat16"),
    ],
)
def test_the_card_decides_the_precision(
    driver: Path, card: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(driver, f"echo '{card}'\necho 'NVIDIA L4, 8.9, 23034'")
    assert minutes_here(15) == 15
    shown = capsys.readouterr().out
    assert shown.startswith(card.partition(",")[0])
    assert f"in {precision}, for 15 minutes at most." in shown


@pytest.mark.parametrize("program", [None, "exit 9", "exit 0"], ids=["no driver", "no card", "no cards listed"])
def test_without_a_card_it_is_a_trial_and_the_menu_is_named(
    driver: Path, program: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stopped there once, or trained for hours without a word."""
    if program is not None:
        write_program(driver, program)
    assert minutes_here(15) == 2
    assert minutes_here(0.5) == 0.5
    assert "choose Runtime → Change runtime type" in capsys.readouterr().out
