"""Charts as SVG, made on the server. Their colours are classes of the style sheet; every value is in a title."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

HEIGHT = 120
BAR, GAP = 22, 6
AXIS = 18
"""Pixels below the bars, for their labels."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what is written below it, its parts by their class in the style sheet, and the words of its title."""

    label: str
    parts: Mapping[str, float]
    title: str


def bars(data: Sequence[Bar], *, described: str, every: int = 1) -> Markup:
    """Return a bar chart. `described` says what it shows to those who cannot see it; `every` n-th bar has its label."""
    width = max(1, len(data)) * (BAR + GAP) - GAP
    most = max((sum(bar.parts.values()) for bar in data), default=0) or 1
    drawn = [_bar(bar, index * (BAR + GAP), most, labelled=index % every == 0) for index, bar in enumerate(data)]
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="xMinYMid meet">'
        '<line class="axis" x1="0" y1="{}" x2="{}" y2="{}"/>{}</svg>'
    ).format(described, width, HEIGHT + AXIS, HEIGHT, width, HEIGHT, Markup("").join(drawn))


def _bar(bar: Bar, x: int, most: float, *, labelled: bool) -> Markup:
    tops = accumulate(bar.parts.values())
    parts = Markup("").join(
        Markup('<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}" rx="2"/>').format(
            name, x, HEIGHT - HEIGHT * top / most, BAR, HEIGHT * value / most
        )
        for (name, value), top in zip(bar.parts.items(), tops, strict=True)
        if value
    )
    label = Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        x + BAR / 2, HEIGHT + AXIS - 4, bar.label
    )
    return Markup('<g><title>{}</title><rect class="hit" x="{}" y="0" width="{}" height="{}"/>{}{}</g>').format(
        bar.title, x, BAR, HEIGHT, parts, label if labelled else ""
    )
