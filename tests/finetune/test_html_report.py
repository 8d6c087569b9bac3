"""Reports look as the product's page does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

PAIRS = {
    "paper": "paper", "wash": "shade", "ink": "ink", "faint": "faint", "rule": "line", "edge": "edge", "pen": "model",
    "alarm": "alarm",
}  # fmt: skip
"""What the page and the reports call the same colour."""


def colours(sheet: Path) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (light-dark\(.*\));", sheet.read_text(encoding="utf-8")))


def test_paper_and_inks_are_those_of_the_page() -> None:
    page, reports = colours(ROOT / "app/web/style.css"), colours(ROOT / "finetune/report_layout/paper.css")
    assert {name: page[name] for name in PAIRS} == {name: reports[other] for name, other in PAIRS.items()}
