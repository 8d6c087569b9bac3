"""Draws the page's icons, and the letters of the picture that other apps show beside a link: `python -m docs.page_pictures`.

They are kept in the repository, since they need Pillow and a font, which the container does not have. The icons are
app/web/icon.svg anew. The font is STIX General (SIL Open Font License), from matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
PEN, PAPER, PALE = "#2438a8", "#fcfaf5", "#a9b6ff"
# The lines of icon.svg, on a square of 32: x of both ends, y, colour.
LINES = ((8, 17, 11, PAPER), (18, 24, 16, PALE), (8, 15, 16, PAPER), (8, 12, 21, PAPER), (15, 24, 21, PALE))
FINER = 8
# ASCII, Latin with its accents, Greek, Cyrillic, and the marks of good typesetting.
LETTERS = [
    *range(0x20, 0x7F),
    *range(0xA1, 0x180),
    *range(0x386, 0x3CF),
    *range(0x401, 0x460),
    *map(ord, "–—‘’“”„…•€−"),
]
EM = 88


def icon(size: int, *, corners: float, scale: float = 1.0) -> Image.Image:
    """The icon in `size` pixels. `corners` is their radius and `scale` the size of the drawing, both on the square of 32."""
    unit = size * FINER / 32
    image = Image.new("RGBA", (size * FINER, size * FINER))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, size * FINER - 1, size * FINER - 1), corners * unit, fill=PEN)
    for left, right, y, colour in LINES:
        ends = [((16 + (x - 16) * scale) * unit, (16 + (y - 16) * scale) * unit) for x in (left, right)]
        half = scale * unit
        pen.line(ends, fill=colour, width=round(2 * half))
        for x, height in ends:
            pen.ellipse((x - half, height - half, x + half, height + half), fill=colour)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def letters() -> dict[str, np.ndarray]:
    """How dark each pixel of each letter is, in 16 steps, one letter beside the other, with their codes and widths in pixels."""
    path = Path(matplotlib.get_data_path()) / "fonts/ttf/STIXGeneral.ttf"
    font = ImageFont.truetype(str(path), EM)
    missing = font.getmask("\uffff").getbbox()
    codes, widths, shapes = [], [], []
    for code in LETTERS:
        letter = chr(code)
        width = round(font.getlength(letter))
        if not width or (letter.strip() and font.getmask(letter).getbbox() in (None, missing)):
            continue
        image = Image.new("L", (width + EM // 2, EM * 5 // 4))
        ImageDraw.Draw(image).text((EM // 4, EM), letter, fill=255, font=font, anchor="ls")
        codes.append(code)
        widths.append(width)
        shapes.append(np.asarray(image) >> 4)
    return {
        "codes": np.array(codes, np.int32),
        "widths": np.array(widths, np.int32),
        "shapes": np.concatenate(shapes, axis=1),
    }


def main() -> None:
    for name, size, corners, scale in (
        ("icon-192.png", 192, 7, 1),
        ("icon-512.png", 512, 7, 1),
        ("icon-maskable.png", 512, 0, 0.8),
        ("icon-apple.png", 180, 0, 0.9),
    ):
        image = icon(size, corners=corners, scale=scale)
        image.quantize(64, dither=Image.Dither.NONE).save(ROOT / "app/web" / name, optimize=True)
    np.savez_compressed(ROOT / "app/api/letters.npz", allow_pickle=False, **letters())


if __name__ == "__main__":
    main()
