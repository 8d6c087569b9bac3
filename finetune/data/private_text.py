"""Private text: what people wrote to each other, or to the model, and not for everybody to read."""

from __future__ import annotations

import re
from collections import Counter

from finetune.data.file_kinds import PRIVATE, as_text
from finetune.data.input_files import InputFile, head_of

# A line of a chat whose format is not known: a time and who writes, or the other way round.
CHAT_LINE = re.compile(
    r"""[^\n]{0,40}?(?<!\d)\d{1,2}[:.h]\d\d(?!\d)[^\n]{0,16}?[\s\])>|-]\s*(?:<(?P<nick>[^<>\n]{1,40})>|(?P<name>[^\W\d][^:\n]{0,40}):)\s
    |\[[^\[\]\n]{0,30}\d{1,2}[:.]\d\d[^\[\]\n]{0,16}\]\s(?P<alone>[^\n]{1,40})\n
    |(?P<before>[^\W\d][^\[\n]{0,40}),?\s\[[^\[\]\n]{0,30}\d{1,2}[:.]\d\d[^\[\]\n]{0,16}\]""",
    re.VERBOSE,
)
CHAT_NAME = re.compile(r"whatsapp|telegram|discord|(?:^|/)_chat\.txt", re.IGNORECASE)
SHARE = 0.25
"""Of the lines of a chat, those that begin a message at least."""


def is_private(file: InputFile) -> bool:
    """Whether a file has private text, by its kind, or as a text that looks like a chat, whose format is not known.

    What a pipe holds is not known before it is read.
    """
    if file.kind in PRIVATE or not file.path.is_file():
        return True
    if file.kind != "text":
        return False
    return CHAT_NAME.search(file.name) is not None or looks_like_chat(as_text(head_of(file.path, file.member)))


def looks_like_chat(text: str) -> bool:
    """Whether many lines have a time and who writes, and somebody writes again."""
    lines = [line for line in text.split("\n") if line.strip()]
    found = [match for line in lines if (match := CHAT_LINE.match(f"{line}\n"))]
    writers = Counter(match["nick"] or match["name"] or match["alone"] or match["before"] for match in found)
    return len(writers) > 1 and len(found) > len(writers) and len(found) >= SHARE * len(lines)
