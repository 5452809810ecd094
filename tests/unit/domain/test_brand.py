"""A brand's colours: text on them can be read, and so can their tone in the dark."""

import re
from colorsys import rgb_to_hls

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recovery.domain.brand import DARK, DARK_TEXT, Brand, contrast, luminance

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
        ("#ABCDEF", "#abcdef", 1.0),
    ],
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    """The ratio is the one that checkers of WCAG 2.2 give, whatever the order and the case of the digits."""
    assert round(contrast(one, other), 2) == round(contrast(other, one), 2) == ratio


@given(COLOURS)
@example("#808080")
@example("#000000")
@example("#ffffff")
@example("#0000ff")
def test_any_colour_can_be_read_on_and_seen_in_the_dark(colour):
    """Text on a colour, its tone on dark backgrounds, and dark text on that tone all have a contrast of 4.5 : 1."""
    brand = Brand(colour=colour)
    assert contrast(brand.on_colour, colour) >= 4.5
    assert re.fullmatch("#[0-9a-f]{6}", brand.colour_dark)
    assert contrast(brand.colour_dark, DARK) >= 4.5
    assert contrast(brand.colour_dark, "#131211") >= 4.5
    assert contrast(brand.colour_dark, DARK_TEXT) >= 4.5


@pytest.mark.parametrize(
    ("colour", "on_colour"),
    [("#1f5a4a", "#ffffff"), ("#ffd500", "#1c1917"), ("#808080", "#000000"), ("#000000", "#ffffff")],
)
def test_text_on_a_colour(colour, on_colour):
    """Text is white where that can be read, else dark, and black on the greys where neither can."""
    assert Brand(colour=colour).on_colour == on_colour


def test_a_tone_keeps_its_hue():
    """A colour gets lighter for dark mode and stays the colour that it is; one that is light enough is not changed."""
    tone = Brand(colour="#1f5a4a").colour_dark
    hues = [rgb_to_hls(*(int(each[at : at + 2], 16) / 255 for at in (1, 3, 5)))[0] for each in ("#1f5a4a", tone)]
    assert hues[1] == pytest.approx(hues[0], abs=0.01)
    assert luminance(tone) > luminance("#1f5a4a")
    assert Brand(colour="#FFD500").colour_dark == "#ffd500"
