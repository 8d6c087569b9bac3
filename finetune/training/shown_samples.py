"""Samples on the screen: the beginning of what a save writes, without what would move the cursor."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from finetune.terminal import harmless

TEXTS = 2
LINES = 4
CHARACTERS = 240


def shown_samples(step: int, texts: Sequence[str]) -> str:
    """The first texts of a save, shortened."""
    return "\n".join([f"step {step} writes:", *(textwrap.indent(shortened(text), "    ") for text in texts[:TEXTS])])


def shortened(text: str) -> str:
    lines = [harmless(line) for line in text.strip()[:CHARACTERS].splitlines()[:LINES]]
    whole = len(text.strip()) <= CHARACTERS and len(text.strip().splitlines()) <= LINES
    return "\n".join(lines) + ("" if whole else " …")
