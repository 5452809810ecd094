"""The rendering of pages: Jinja templates, the headers that keep a page to itself, and the filters of all pages."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from recovery.console.forms import query
from recovery.console.sessions import PATH, Sessions
from recovery.console.viewer import Viewer
from recovery.mail.templates.locales import amount

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""The Content-Security-Policy of every page: nothing from outside, and nothing inline."""

FRAME_POLICY = "; ".join(
    (
        "sandbox",
        "default-src 'none'",
        "img-src https: data:",
        "style-src 'unsafe-inline'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
"""The policy of a mail in its frame: no script, no form, no link that opens here; its pictures are the shop's."""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

NAVIGATION = (
    ("overview", "", "Overview", "o"),
    ("checkouts", "/checkouts", "Checkouts", "c"),
    ("dead-letters", "/dead-letters", "Dead letters", "d"),
    ("suppressions", "/suppressions", "Suppressions", "s"),
    ("requests", "/requests", "Requests for data", "q"),
    ("mails", "/mails", "Mails", "m"),
    ("results", "/results", "Results", "r"),
    ("schedule", "/schedule", "Schedule", "t"),
    ("shops", "/shops", "Shops", "h"),
)
"""The pages in the navigation: their names, paths, titles, and the keys that go there after a `g`.

A page is shown if its name is in `Rendering.pages`.
"""


class Rendering:
    """Renders the pages. `pages` are the names of those that the navigation shows."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.pages: set[str] = set()
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"time": time, "number": number, "span": span, "money": money}
        self._environment.globals |= {"static": static, "query": query, "root": PATH, "options": options}

    def page(
        self, request: Request, viewer: Viewer | None, template: str, *, status: int = 200, **names: Any
    ) -> HTMLResponse:
        """Return a page. Its template sees `names`, `viewer`, what an act has `said`, and the navigation.

        `current` among the names is the name of the page in the navigation.
        """
        return HTMLResponse(
            self.html(template, **self._common(request, viewer), **names),
            status,
            HEADERS | {"Content-Security-Policy": POLICY},
        )

    def html(self, template: str, **names: Any) -> str:
        """Return a rendered template, or a part of a page."""
        return self._environment.get_template(template).render(names)

    def _common(self, request: Request, viewer: Viewer | None) -> dict[str, Any]:
        return {"viewer": viewer, "said": self._said(request), "navigation": self._navigation()}

    def _said(self, request: Request) -> str | None:
        return self._sessions.unseal("said", request.query_params.get("said", ""))

    def _navigation(self) -> list[tuple[str, str, str, str]]:
        return [(name, f"{PATH}{path}", title, key) for name, path, title, key in NAVIGATION if name in self.pages]


def frame(html: str) -> Response:
    """Return the response for a mail in a frame of its own."""
    return HTMLResponse(html, headers=HEADERS | {"Content-Security-Policy": FRAME_POLICY})


def text_frame(text: str) -> Response:
    """Return the response for the text of a mail in a frame of its own."""
    return frame(f'<pre style="white-space: pre-wrap; font: 14px/1.5 monospace">{escape(text)}</pre>')


@cache
def static(name: str) -> str:
    """Return the path of a static file, with a digest of its content, so that browsers may keep it."""
    return f"{PATH}/static/{name}?{sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def time(at: datetime | None, *, ago: datetime | None = None) -> Markup:
    """Return a time in UTC, which the script shows in the reader's zone. With `ago`, as a distance from then."""
    if at is None:
        return Markup("–")
    utc = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    shown = utc if ago is None else _distance(at - ago)
    kind = "at" if ago is None else "ago"
    return Markup('<time datetime="{}" title="{}" data-time="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), utc, kind, shown
    )


def number(value: float | None) -> str:
    """Return a number with its thousands apart, or a dash."""
    return "–" if value is None else f"{value:,}"


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(value: timedelta | None) -> str:
    """Return a length of time in its largest two units: `2 d 3 h`, `4 min`, `250 ms`."""
    if value is None:
        return "–"
    left = value.total_seconds()
    if left < 1:
        return f"{max(left, 0) * 1000:.0f} ms"
    parts = []
    for size, unit in _UNITS:
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole:.0f} {unit}")
    return " ".join(parts[:2])


def money(value: Decimal | None, currency: str | None) -> str:
    """Return an amount of money with its currency."""
    return "–" if value is None else amount(value, currency, "en")


def _distance(since: timedelta) -> str:
    return f"in {span(since)}" if since > timedelta() else f"{span(-since)} ago"


def options(values: Mapping[str, str] | list[str], chosen: str | None) -> Markup:
    """Return the options of a selection, the chosen one selected."""
    pairs = values.items() if isinstance(values, Mapping) else [(value, value) for value in values]
    return Markup("").join(
        Markup('<option value="{}"{}>{}</option>').format(value, Markup(" selected") if value == chosen else "", title)
        for value, title in pairs
    )
