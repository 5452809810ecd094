"""A week as SVG: a row for each day, a square for each hour, the darker the more mails."""

from collections.abc import Sequence

from markupsafe import Markup

SIDE, GAP, LEFT, TOP = 18, 2, 34, 16
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FAINTEST = 0.12


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
