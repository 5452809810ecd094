"""The small pages that customers see: what happens, in their language, and one button. They work without a script."""

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
"""By language and page: `title`, `text` with `{shop}` for the name of the shop, and `button` where there is a form."""

_SUBMIT = "document.forms[0].submit()"
_RETRY_AFTER = {"Retry-After": "60"}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says, by its name in the files of words, and what its button does.

    `action` is where the form is posted to, relative to the page; empty: to the page itself. `leads_away`: it is posted
    at once where there is scripting, without waiting for the button, and leads to another site.
    """

    name: str
    status: int = 200
    action: str = ""
    second: bool = False
    leads_away: bool = False


UNSUBSCRIBE = Page("unsubscribe")
WAY_BACK = Page("back", leads_away=True)
EXPIRED = Page("expired", status=410)
TOO_LATE = Page("too-late", status=410)
UNKNOWN = Page("unknown", status=404)
AWAY = Page("away", status=503)


def done(token: str) -> Page:
    """Return the page that says that somebody is unsubscribed, and offers to take it back."""
    return Page("done", action=f"{token}/undo", second=True)


def undone(token: str) -> Page:
    """Return the page that says that it was taken back, and offers to unsubscribe after all."""
    return Page("undone", action=f"../{token}", second=True)


def answer(request: Request, page: Page, shop: str = "") -> HTMLResponse:
    """Return a page in the language that is asked for. `shop` is whom it is about, where that is known."""
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
    """Tells customers with a page, and not with a problem, that the database is away."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RecoveryError as exc:
                _log.warning("a page could not be answered", error=str(exc))
                return answer(request, AWAY)

        return handled


def _form(page: Page, button: str | None) -> str:
    if button is None:
        return ""
    action = f' action="{escape(page.action)}"' if page.action else ""
    kind = ' class="second"' if page.second else ""
    return f'<form method="post"{action}><button{kind}>{escape(button)}</button></form>'


def _policy(page: Page) -> str:
    """Return the page's content security policy: what it is made of, and nothing else."""
    # Browsers hold a form to `form-action` through redirects too: on the way back, wherever the shop's own may lead.
    forms = f"script-src {_digest(_SUBMIT)}" if page.leads_away else "form-action 'self'"
    parts = ["default-src 'none'", f"style-src {_digest(_STYLE)}", "base-uri 'none'", "frame-ancestors 'none'", forms]
    return "; ".join(parts)


def _digest(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"


def _language(accepted: str) -> str:
    """Return the language that is liked best of those there are (RFC 9110 section 12.5.4), else English."""
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
