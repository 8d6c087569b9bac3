"""A model's accent: the colour of its words on the page, which must be readable on light and on dark paper."""

from __future__ import annotations

import re
from colorsys import hls_to_rgb, rgb_to_hls

LIGHT, DARK = "#f4efe5", "#202127"
"""The page's wash in app/web/style.css, on which a text has less contrast than on its paper."""
LEAST_CONTRAST = 4.5
"""What WCAG 2 asks of text: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
DARK_CONTRAST = 7.0
Rgb = tuple[float, float, float]


def check_accent(accent: str) -> None:
    """Raises ValueError unless this is #RRGGBB and dark enough to be read on light paper."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", accent):
        raise ValueError(f"accent is {accent[:40]!r}: expected a colour such as #2438a8")
    found = contrast(rgb(accent), rgb(LIGHT))
    if found < LEAST_CONTRAST:
        raise ValueError(
            f"accent is {accent}, which cannot be read on light paper: expected a darker colour, with a contrast of"
            f" {LEAST_CONTRAST} or more instead of {found:.1f}"
        )


def on_dark(accent: str) -> str:
    """The same hue, as much lighter as makes it readable on dark paper."""
    hue, lightness, saturation = rgb_to_hls(*rgb(accent))
    lighter = (hls_to_rgb(hue, lightness + (1 - lightness) * step / 100, saturation) for step in range(101))
    return next(hexadecimal(each) for each in lighter if contrast(each, rgb(DARK)) >= DARK_CONTRAST)


def rgb(colour: str) -> Rgb:
    """Red, green and blue, 0 to 1, of #RRGGBB."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def hexadecimal(colour: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def contrast(one: Rgb, other: Rgb) -> float:
    """WCAG's contrast ratio, from 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: Rgb) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
