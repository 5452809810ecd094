"""Customer pages: one text and one button, in the language of the browser. They work without JavaScript."""

import tomllib
from base64 import b64encode
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from recovery.client import RecoveryError

_FOLDER = Path(__file__).with_name("pages")
_PAGE = Template((_FOLDER / "page.html").read_text("utf-8"))
_STYLE = (_FOLDER / "page.css").read_text("utf-8")
_WORDS = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in _FOLDER.glob("*.toml")}
"""Texts by language and page: `title`, `text` (`{shop}` is the shop's name), and `button` if the page has a form."""

_SUBMIT = "document.forms[0].submit()"
_RETRY_AFTER = {"Retry-After": "60"}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `name` is the key of its texts in the language files.

    `action` is the URL of its form, relative to the page; empty means the page itself. `leads_away` means that the form
    redirects to another site, and that JavaScript, if enabled, submits it at once.
    """

    name: str
    status: int = 200
    action: str = ""
    second: bool = False
    leads_away: bool = False


UNSUBSCRIBE = Page("unsubscribe")
RETURN = Page("back", leads_away=True)
EXPIRED = Page("expired", status=410)
TOO_LATE = Page("too-late", status=410)
UNKNOWN = Page("unknown", status=404)
AWAY = Page("away", status=503)


def done(token: str) -> Page:
    """Return the page that confirms an unsubscription, and offers to undo it."""
    return Page("done", action=f"{token}/undo", second=True)


def undone(token: str) -> Page:
    """Return the page that confirms the undo, and offers to unsubscribe again."""
    return Page("undone", action=f"../{token}", second=True)


def answer(request: Request, page: Page, shop: str = "") -> HTMLResponse:
    """Return the response for a page, in the language of Accept-Language. `shop` is the shop's name, if known."""
    language = _language(request.headers.get("accept-language", ""))
    words = _WORDS[language][page.name]
    html = _PAGE.substitute(
        language=language,
        title=escape(words["title"]),
        style=_STYLE,
        shop=escape(shop),
        text=escape(words["text"]).replace("{shop}", f"<bdi>{escape(shop)}</bdi>"),
        form=_form(page, words.get("button")),
        script=f"<script>{_SUBMIT}</script>" if page.leads_away else "",
    )
    headers = {
        "Content-Security-Policy": _policy(page),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(html, page.status, headers | (_RETRY_AFTER if page is AWAY else {}))


class PageRoute(APIRoute):
    """A route that answers an unavailable database with a page for people instead of problem details."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the request handler."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RecoveryError as exc:
                _log.warning("page unavailable", error=str(exc))
                return answer(request, AWAY)

        return handled


def _form(page: Page, button: str | None) -> str:
    if button is None:
        return ""
    action = f' action="{escape(page.action)}"' if page.action else ""
    kind = ' class="second"' if page.second else ""
    return f'<form method="post"{action}><button{kind}>{escape(button)}</button></form>'


def _policy(page: Page) -> str:
    """Return the page's Content-Security-Policy: it allows what the page contains, and nothing else."""
    # Browsers apply `form-action` to redirects too, and a return link may redirect to any site of the shop's.
    forms = f"script-src {_digest(_SUBMIT)}" if page.leads_away else "form-action 'self'"
    parts = ["default-src 'none'", f"style-src {_digest(_STYLE)}", "base-uri 'none'", "frame-ancestors 'none'", forms]
    return "; ".join(parts)


def _digest(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"


def _language(accepted: str) -> str:
    """Return the preferred language that has texts (Accept-Language, RFC 9110 section 12.5.4), or English."""
    liked: list[tuple[float, int, str]] = []
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        language = tag.strip().partition("-")[0].lower()
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in _WORDS and quality > 0:
            liked.append((-quality, len(liked), language))
    return min(liked)[2] if liked else "en"
