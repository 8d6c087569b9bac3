"""The picture that other apps show beside a link to the page: its title and what it is, 1200 × 630, in the page's two inks."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.accent import rgb

WIDTH, HEIGHT = 1200, 630
MARGIN, GAP = 90, 18
PAPER, INK, PEN = "#fcfaf5", "#211d18", "#2438a8"
LETTERS = Path(__file__).parent / "letters.npz"
"""Drawn by docs/page_pictures.py."""
STEPS = 16
"""Of how dark a pixel is."""
MOST_TITLE_LINES, MOST_ABOUT_LINES = 3, 4


class Letters(NamedTuple):
    """`shapes[code]` is how dark each pixel is, 0 to 15. A letter begins `bearing` pixels right of its shape's left edge."""

    shapes: dict[int, NDArray[np.uint8]]
    widths: dict[int, int]
    bearing: int
    height: int

    def smaller(self) -> Letters:
        """Letters of half the size."""
        shapes = {code: halved(shape) for code, shape in self.shapes.items()}
        widths = {code: (width + 1) // 2 for code, width in self.widths.items()}
        return Letters(shapes, widths, self.bearing // 2, self.height // 2)

    def width(self, text: str) -> int:
        return sum(self.widths[ord(letter)] for letter in text)


def halved(shape: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = shape.shape[0] // 2, shape.shape[1] // 2
    squares = shape[: height * 2, : width * 2].reshape(height, 2, width, 2)
    mean: NDArray[np.float64] = squares.mean(axis=(1, 3))
    return np.rint(mean).astype(np.uint8)


@cache
def read_letters() -> Letters:
    kept = np.load(LETTERS)
    rows: NDArray[np.uint8] = kept["shapes"]
    widths = {int(code): int(width) for code, width in zip(kept["codes"], kept["widths"], strict=True)}
    around = (rows.shape[1] - sum(widths.values())) // len(widths)
    shapes, at = {}, 0
    for code, width in widths.items():
        shapes[code] = rows[:, at : at + width + around]
        at += width + around
    return Letters(shapes, widths, around // 2, rows.shape[0])


def draw_preview(title: str, about: str, accent: str) -> bytes:
    """A PNG. Where the letters lack one of a text, such as a Chinese one, the text is left out."""
    large = read_letters()
    small = large.smaller()
    title, about = (text if all(ord(letter) in large.widths for letter in text) else "" for text in (title, about))
    blocks = [
        (large, 1, wrap(large, title, MOST_TITLE_LINES)),
        (small, 2, wrap(small, about, MOST_ABOUT_LINES)),
    ]
    # Which ink each pixel has, and how much of it: two inks of 16 steps each.
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    y = (HEIGHT - GAP - sum(letters.height * len(lines) for letters, _, lines in blocks)) // 2
    for letters, ink, lines in blocks:
        for line in lines:
            put(canvas, letters, line, y, (ink - 1) * STEPS)
            y += letters.height
        y += GAP
    canvas[-14:] = 2 * STEPS - 1
    return png(canvas, [*shades(INK), *shades(accent or PEN)])


def wrap(letters: Letters, text: str, most: int) -> list[str]:
    """Lines that fit between the margins. What is left after `most` lines is an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and letters.width(f"{lines[-1]} {word}") <= WIDTH - 2 * MARGIN:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return [cut(letters, line) for line in lines]


def cut(letters: Letters, line: str) -> str:
    """The line, or what fits of it."""
    if letters.width(line) <= WIDTH - 2 * MARGIN:
        return line
    line = line.removesuffix(" …")
    while letters.width(f"{line}…") > WIDTH - 2 * MARGIN:
        line = line[:-1]
    return f"{line.rstrip()}…"


def put(canvas: NDArray[np.uint8], letters: Letters, line: str, y: int, first: int) -> None:
    """Draw a line of text at height `y`. `first` is the number of its ink's first step."""
    x = MARGIN - letters.bearing
    for letter in line:
        shape = letters.shapes[ord(letter)]
        place = canvas[y : y + shape.shape[0], x : x + shape.shape[1]]
        dark = shape[:, : place.shape[1]]
        place[:] = np.where(dark > place % STEPS, dark + first, place)
        x += letters.widths[ord(letter)]


def shades(ink: str) -> list[tuple[int, ...]]:
    """From paper to ink, as bytes of red, green and blue."""
    paper, full = rgb(PAPER), rgb(ink)
    parts = [[a + (b - a) * step / (STEPS - 1) for a, b in zip(paper, full, strict=True)] for step in range(STEPS)]
    return [tuple(round(255 * part) for part in shade) for shade in parts]


def png(pixels: NDArray[np.uint8], palette: list[tuple[int, ...]]) -> bytes:
    """Pixels that number the colours of a palette, as a file: https://www.w3.org/TR/png-3/."""
    height, width = pixels.shape
    rows = np.pad(pixels, ((0, 0), (1, 0)))  # A zero before each row says that it is not filtered.
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for colour in palette for part in colour)),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
