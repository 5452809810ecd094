"""Web pages of the inbox, on this machine only."""

from typing import Literal

import jinja2
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from recovery.demo.inbox import Inbox
from recovery.demo.mails import Mail
from recovery.http.problem_handlers import add_problem_handlers
from recovery.http.problems import Problem
from recovery.http.security import Guard

_OURS = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
_THEIRS = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""A mail is untrusted: it runs no scripts, loads nothing, and has no origin."""

_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("recovery.demo", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)


def pages(inbox: Inbox) -> FastAPI:
    """Return the app with the pages of an inbox: the list of its mails, and each mail's HTML, text and source."""
    app = FastAPI(openapi_url=None, dependencies=[Guard(()).needs()])
    add_problem_handlers(app)

    def mail_of(number: int) -> Mail:
        if not 1 <= number <= len(inbox.mails):
            raise Problem(404, "There is no such mail.")
        return inbox.mails[number - 1]

    @app.get("/")
    async def index() -> Response:
        return _page("inbox", mails=list(enumerate(inbox.mails, start=1))[::-1])

    @app.get("/mails/{number}")
    async def show(number: int) -> Response:
        return _page("mail", number=number, mail=mail_of(number))

    @app.get("/mails/{number}/{part}")
    async def read(number: int, part: Literal["html", "text", "source"]) -> Response:
        mail = mail_of(number)
        headers = {**_COMMON, "Content-Security-Policy": _THEIRS}
        match part:
            case "html":
                return HTMLResponse(mail.body("html"), headers=headers)
            case "text":
                return PlainTextResponse(mail.body("plain"), headers=headers)
            case "source":
                return PlainTextResponse(mail.source(), headers=headers)

    return app


def _page(name: str, **values: object) -> Response:
    html = _templates.get_template(f"{name}.html.j2").render(values)
    return HTMLResponse(html, headers={**_COMMON, "Content-Security-Policy": _OURS})
