"""A shop's brand, as customers see it, and the tones that go with its colour (WCAG 2.2, contrast).

In dark mode the tones stand on `DARK` and on what is darker: the backgrounds of mails and pages.
"""

from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass
from functools import lru_cache

READABLE = 4.5
"""The least contrast of text with its background, WCAG 2.2 success criterion 1.4.3."""

LIGHT_TEXT = "#ffffff"
DARK_TEXT = "#1c1917"
BLACK = "#000000"

DARK = "#1e1c1a"
"""The lightest background of dark mode, where a tone must be the lightest."""

COLOUR = "#1f5a4a"
"""The accent of a shop that names none."""

_IN_THE_DARK = 7.0
"""The contrast of the lighter tone with `DARK`; more than what is readable, so that dark text on it is readable too."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What customers know a shop by: its name, logo, accent colour (`#rrggbb`), postal address and website.

    Texts are empty where the shop has given none.
    """

    name: str = ""
    logo_url: str = ""
    colour: str = COLOUR
    address: str = ""
    website: str = ""

    @property
    def on_colour(self) -> str:
        """The colour of text on `colour`."""
        return text_on(self.colour)

    @property
    def colour_dark(self) -> str:
        """The tone of `colour` for dark mode. Text on it is `DARK_TEXT`."""
        return lighter(self.colour)


@lru_cache(maxsize=1024)
def text_on(colour: str) -> str:
    """Return the colour of text on `colour`: white where that can be read, else dark, else black; 4.5 : 1 always."""
    for text in (LIGHT_TEXT, DARK_TEXT):
        if contrast(text, colour) >= READABLE:
            return text
    return BLACK  # on middle greys, of a luminance from 0.18 to 0.22, neither of the softer ones can be read


@lru_cache(maxsize=1024)
def lighter(colour: str) -> str:
    """Return the tone for dark mode: `colour`, with as much light added as it needs there, in the same hue."""
    hue, lightness, saturation = rgb_to_hls(*(channel / 255 for channel in _channels(colour)))
    tone = colour.lower()
    while contrast(tone, DARK) < _IN_THE_DARK:
        lightness = min(1.0, lightness + 0.01)
        tone = "#" + "".join(f"{round(channel * 255):02x}" for channel in hls_to_rgb(hue, lightness, saturation))
    return tone


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2, "relative luminance")."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
