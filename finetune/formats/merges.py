"""The byte-pair merges of a GPT-2 vocabulary (vocab.bpe or merges.txt)."""

from __future__ import annotations

from pathlib import Path

from app.errors import CheckpointError

VERSION_LINE = "#version: 0.2"


def read_merges(path: Path) -> list[str]:
    """The merges, most frequent first, each as two tokens with a space between. Raises CheckpointError."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): copy the whole folder again.") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is not text: copy the whole folder again.") from None
    return [line for line in lines if line and not line.startswith("#version")]
