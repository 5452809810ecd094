"""The charts of two schedules beside each other, as SVG: their mails by step, and by hour of the week."""

from collections.abc import Sequence

from markupsafe import Markup

SIDE, GAP, LEFT, TOP = 18, 2, 34, 16
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FAINTEST = 0.12
WIDTH, BAR, ROW, LABEL = 360, 10, 32, 16
"""Pixels of a chart by step: its width, a bar, the two bars of a step with their label, and the label."""


def pairs(rows: Sequence[tuple[str, int, int]], *, described: str) -> Markup:
    """Return a chart with two bars for each name: its number in force, and by the new schedule."""
    most = max((max(old, new) for _, old, new in rows), default=0) or 1
    drawn = [
        Markup("<g><title>{}: {:,} in force, {:,} new</title>{}{}{}</g>").format(
            *(name, old, new, _text(0, top + LABEL - 5, name)),
            *(_bar("skipped", top + LABEL, old / most), _bar("sent", top + LABEL + BAR + GAP, new / most)),
        )
        for top, (name, old, new) in zip(range(0, len(rows) * (ROW + LABEL), ROW + LABEL), rows, strict=True)
    ]
    return Markup('<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        described, WIDTH, len(rows) * (ROW + LABEL), Markup("").join(drawn)
    )


def _bar(class_: str, y: int, part: float) -> Markup:
    return Markup('<rect class="{}" x="0" y="{}" width="{:.1f}" height="{}" rx="2"/>').format(
        class_, y, WIDTH * part, BAR
    )


def week(hours: Sequence[int], most: int, *, described: str) -> Markup:
    """Return the chart of 7 times 24 counts, from Monday 0:00 on. `most` is the count that is drawn darkest."""
    pitch = SIDE + GAP
    days = [_text(0, TOP + row * pitch + SIDE - 5, name) for row, name in enumerate(DAYS)]
    clock = [_text(LEFT + hour * pitch, TOP - 5, f"{hour}") for hour in range(0, 24, 3)]
    squares = [
        Markup(
            '<g><title>{} {}:00, {:,} mails</title><rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="3" '
            'fill-opacity="{:.2f}"/></g>'
        ).format(
            *(DAYS[index // 24], index % 24, count, "sent" if count else "none"),
            *(LEFT + index % 24 * pitch, TOP + index // 24 * pitch, SIDE, SIDE),
            _FAINTEST + (1 - _FAINTEST) * count / max(most, 1),
        )
        for index, count in enumerate(hours)
    ]
    return Markup('<svg class="chart week" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        described, LEFT + 24 * pitch, TOP + 7 * pitch, Markup("").join([*days, *clock, *squares])
    )


def _text(x: int, y: int, text: str) -> Markup:
    return Markup('<text class="label" x="{}" y="{}">{}</text>').format(x, y, text)
