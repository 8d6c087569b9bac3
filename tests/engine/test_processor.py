"""Which processors get which graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine import processor


@pytest.mark.parametrize(
    ("text", "vnni", "one_row", "many_rows"),
    [
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512_vnni\n\nvendor_id\t: none", True, True, True),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: avx512_vnni\n", True, False, True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2\n", False, False, False),
        ("CPU implementer\t: 0x41\n", False, False, False),
        (None, False, False, False),
    ],
)
def test_which_graph_is_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, vnni: bool, one_row: bool, many_rows: bool
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(processor, "CPU", path)
    assert processor.has_vnni() == vnni
    assert processor.batches_fast(1, 2**27) == one_row
    assert processor.batches_fast(8, 2**27) == many_rows
    assert processor.batches_fast(1, 2**22) == vnni
