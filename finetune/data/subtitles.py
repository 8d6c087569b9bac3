"""Subtitles (.srt, .vtt) as text: without numbers, times, tags and settings.

A sentence that goes on in the next line or cue becomes one line. A long pause is a blank line. Of captions that roll, where a
line comes again in the next cue, each line is taken once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
TIMES = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}")
# <i>, <c.yellow>, <00:00:01.000>, <v Anna>, and {\an8} of other subtitles.
TAGS = re.compile(r"</?[a-zA-Z][^<>\n]*>|<\d[\d:.]*>|\{\\[^{}\n]*\}")
SPEAKER = re.compile(r"\s*(?:[-–—‐]|>>)\s*\S")
SENTENCE_END = re.compile(r"[.!?…♪♫:\"'”’»)\]。！？]\s*$")
PAUSE = 5.0
"""Seconds without a cue that begin a new paragraph."""


class Cue(NamedTuple):
    start: float
    end: float
    lines: list[str]


def subtitle_text(lines: Iterable[str]) -> Iterator[str]:
    """The text, piece by piece."""
    last, end = "", 0.0
    for cue in once(cues(lines)):
        for line in cue.lines:
            pauses = cue.start - end >= PAUSE
            if last:
                joins = not SENTENCE_END.search(last) and not SPEAKER.match(line) and not pauses
                yield " " if joins else "\n\n" if pauses else "\n"
            yield line
            last, end = line, cue.start
        end = cue.end
    if last:
        yield "\n"


def once(cues: Iterable[Cue]) -> Iterator[Cue]:
    """The cues without the lines that the one before had too."""
    before: list[str] = []
    for cue in cues:
        new = [line for line in cue.lines if line not in before]
        if cue.lines:
            before = cue.lines
        if new:
            yield cue._replace(lines=new)


def cues(lines: Iterable[str]) -> Iterator[Cue]:
    """The cues. What stands between them, such as numbers, notes and styles, has no times and is left out."""
    cue: Cue | None = None
    for line in lines:
        if times := TIMES.match(line):
            if cue:
                yield cue
            cue = Cue(seconds_of(times.groups()[:4]), seconds_of(times.groups()[4:]), [])
        elif cue and not line.strip():
            yield cue
            cue = None
        elif cue and (text := plain_line(line)):
            cue.lines.append(text)
    if cue:
        yield cue


def seconds_of(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(f"{seconds}.{fraction}")


def plain_line(line: str) -> str:
    return " ".join(html.unescape(TAGS.sub("", line)).replace("\u200b", "").split())
