"""What the attacks of `make torture` measured: benchmarks/results/torture.json, its table, and its chart in docs/security.md."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.subject import RESULTS, machine

NAME = os.environ.get("TORTURE", "torture")
"""The result's name, such as torture-before for the figures of an earlier version."""


class Figure(NamedTuple):
    """`value` of `what` in an attack, and the most that it may be."""

    attack: str
    what: str
    value: float
    limit: float | None = None


def keep(figures: Sequence[Figure]) -> Path:
    """Write the figures, in place of earlier ones of the same attacks. Returns the file."""
    path = RESULTS / f"{NAME}.json"
    attacks = {figure.attack for figure in figures}
    others = [figure for figure in load(path) if figure.attack not in attacks]
    rows = sorted([*others, *figures], key=lambda figure: figure.attack)
    content = {"benchmark": "torture", "machine": machine(), "figures": [figure._asdict() for figure in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> list[Figure]:
    if not path.exists():
        return []
    return [Figure(**row) for row in json.loads(path.read_text(encoding="utf-8"))["figures"]]


def table(figures: Sequence[Figure]) -> str:
    """Lines for a terminal: the attack, the figure, its limit, and whether it holds."""
    lines = []
    for attack, what, value, limit in figures:
        bound = "" if limit is None else f"at most {limit:,g}: {'holds' if value <= limit else 'MISSED'}"
        lines.append(f"{attack:<22} {what:<58} {value:>12,g}  {bound}".rstrip())
    return "\n".join(lines)
