"""Customer pages: one text and one button, in the language of the mail or of the browser, with the shop's brand.

They work without JavaScript.
"""

from base64 import b64encode
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from recovery.client import RecoveryError
from recovery.domain.brand import DARK_TEXT, Brand
from recovery.domain.per_shop import PerShop
from recovery.mail.templates.pages import Pages

_FOLDER = Path(__file__).with_name("pages")
_PAGE = Template((_FOLDER / "page.html").read_text("utf-8"))
_STYLE = Template((_FOLDER / "page.css").read_text("utf-8"))

_SUBMIT = "document.forms[0].submit()"
_RETRY_AFTER = {"Retry-After": "60"}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `name` is the key of its texts in the files of words.

    `action` is the URL of its form, relative to the page; empty means the page itself. `leads_away` means that the form
    redirects to another site, and that JavaScript, if enabled, submits it at once.
    """

    name: str
    status: int = 200
    action: str = ""
    second: bool = False
    leads_away: bool = False


UNSUBSCRIBE = Page("page-unsubscribe")
RETURN = Page("page-back", leads_away=True)
EXPIRED = Page("page-expired", status=410)
TOO_LATE = Page("page-too-late", status=410)
UNKNOWN = Page("page-unknown", status=404)
AWAY = Page("page-away", status=503)


def done(token: str) -> Page:
    """Return the page that confirms an unsubscription, and offers to undo it."""
    return Page("page-done", action=f"{token}/undo", second=True)


def undone(token: str) -> Page:
    """Return the page that confirms the undo, and offers to unsubscribe again."""
    return Page("page-undone", action=f"../{token}", second=True)


def answer(request: Request, page: Page, pages: PerShop[Pages], shop: str = "", language: str = "") -> HTMLResponse:
    """Return the response for a page of a shop, if it is known; its words and its brand are in `pages`.

    It is in the `language` of the mail, if that is known, else in that of Accept-Language.
    """
    own = pages.of_shop(shop)
    brand = own.branded(shop)
    texts = own.texts(page.name, shop, language, request.headers.get("accept-language", ""))
    style = _style(brand)
    html = _PAGE.substitute(
        language=escape(texts.language),
        direction=texts.direction,
        title=escape(texts.title),
        style=style,
        shop=_head(brand),
        text=texts.text,
        form=_form(page, texts.button),
        script=f"<script>{_SUBMIT}</script>" if page.leads_away else "",
    )
    headers = {
        "Content-Security-Policy": _policy(page, style, brand.logo_url),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(html, page.status, headers | (_RETRY_AFTER if page is AWAY else {}))


def page_route(pages: PerShop[Pages]) -> type[APIRoute]:
    """Return the class of routes that answer an unavailable database with a page instead of problem details."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Return the request handler."""
            handle = super().get_route_handler()

            async def handled(request: Request) -> Response:
                try:
                    return await handle(request)
                except RecoveryError as exc:
                    _log.warning("page unavailable", error=str(exc))
                    return answer(request, AWAY, pages)

            return handled

    return PageRoute


@lru_cache(maxsize=256)
def _style(brand: Brand) -> str:
    return _STYLE.substitute(
        colour=brand.colour, on_colour=brand.on_colour, colour_dark=brand.colour_dark, on_colour_dark=DARK_TEXT
    )


def _head(brand: Brand) -> str:
    """Return the shop's logo, or its name without one, as a link to its website if that is known."""
    name = escape(brand.name)
    shown = f'<img src="{escape(brand.logo_url)}" alt="{name}">' if brand.logo_url else f"<bdi>{name}</bdi>"
    return f'<a href="{escape(brand.website)}">{shown}</a>' if brand.website else shown


def _form(page: Page, button: str | None) -> str:
    if button is None:
        return ""
    action = f' action="{escape(page.action)}"' if page.action else ""
    kind = ' class="second"' if page.second else ""
    return f'<form method="post"{action}><button{kind}>{escape(button)}</button></form>'


def _policy(page: Page, style: str, logo_url: str) -> str:
    """Return the page's Content-Security-Policy: it allows what the page contains, and nothing else."""
    # Browsers apply `form-action` to redirects too, and a return link may redirect to any site of the shop's.
    forms = f"script-src {_digest(_SUBMIT)}" if page.leads_away else "form-action 'self'"
    parts = ["default-src 'none'", f"style-src {_digest(style)}", "base-uri 'none'", "frame-ancestors 'none'", forms]
    return "; ".join([*parts, f"img-src {_origin(logo_url)}"] if logo_url else parts)


def _origin(url: str) -> str:
    """Return the origin of a URL, its host in ASCII, as a policy names it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def _digest(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
