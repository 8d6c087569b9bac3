"""The bar that every verb shows."""

from __future__ import annotations

import pytest

from finetune.progress_bar import progress_bar, stage


def test_a_bar_names_the_stage_that_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), stage(3, 4, "evaluate"), progress_bar("write", 10) as bar:
        bar.update(1 // 0)
    with progress_bar("read", 10):
        pass
    shown = capsys.readouterr().err
    assert "3/4 evaluate, write:" in shown
    assert "3/4 evaluate, read" not in shown
