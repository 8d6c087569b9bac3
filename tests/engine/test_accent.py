"""A model's accent can be read on light and on dark paper, or it is refused."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from app.engine.accent import DARK, DARK_CONTRAST, LEAST_CONTRAST, LIGHT, check_accent, contrast, on_dark, rgb
from app.engine.profile import Profile
from tests.conftest import ROOT


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.01)
    assert contrast(rgb("#2438a8"), rgb("#2438a8")) == 1


@given(st.from_regex("#[0-9a-f]{6}", fullmatch=True))
def test_every_accent_that_is_taken_can_be_read(accent: str) -> None:
    readable = contrast(rgb(accent), rgb(LIGHT)) >= LEAST_CONTRAST
    if not readable:
        with pytest.raises(ValueError, match="cannot be read on light paper: expected a darker colour"):
            check_accent(accent)
    else:
        check_accent(accent)
        # A colour is rounded to bytes.
        assert contrast(rgb(on_dark(accent)), rgb(DARK)) > DARK_CONTRAST - 0.1


@pytest.mark.parametrize("accent", ["blue", "#fff", "2438a8", "#2438a8 ", "#2438a88", "#24x8a8", "#2438a8;}"])
def test_what_is_no_colour_is_refused(accent: str) -> None:
    with pytest.raises(ValueError, match="expected a colour such as #2438a8"):
        Profile(accent=accent)


def test_the_papers_are_the_pages() -> None:
    style = (ROOT / "app/web/style.css").read_text(encoding="utf-8")
    assert re.findall(r"--wash: light-dark\((.*), (.*)\);", style) == [(LIGHT, DARK)]
