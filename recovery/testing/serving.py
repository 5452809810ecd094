"""The kit over HTTP, for test suites in any language: Recovery's API, with a clock to move and the mails to read."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from recovery.http.problem_handlers import add_problem_handlers
from recovery.http.problems import Problem, invalid_body
from recovery.http.security import Guard
from recovery.testing.kit import RecoveryKit
from recovery.testing.mails import Mail

PATHS = ("/clock", "/clock/advance", "/mails", "/reset")
"""The paths that a daemon does not have."""

LONGEST_BODY = 10_000

LATEST_YEAR = 9000

_Amount = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Advance(BaseModel):
    """How far the clock moves: by an amount of time, or to a time."""

    model_config = ConfigDict(extra="forbid")

    days: _Amount = 0
    hours: _Amount = 0
    minutes: _Amount = 0
    seconds: _Amount = 0
    to: AwareDatetime | None = None

    def until(self, now: datetime) -> datetime:
        """Return the time at which the clock is to stand. Raises `Problem`."""
        by = timedelta(days=self.days, hours=self.hours, minutes=self.minutes, seconds=self.seconds)
        if self.to is not None and by:
            raise Problem(422, "to is given together with an amount of time: give one of them.")
        until = self.to if self.to is not None else now + by
        if until < now:
            raise Problem(422, f"to is before the time of the clock, {now.isoformat()}: a clock never goes back.")
        if until.year > LATEST_YEAR:
            raise Problem(422, f"the clock cannot go beyond the year {LATEST_YEAR}.")
        return until


class KitApplication:
    """An ASGI application: a kit's HTTP API, and what a test needs beside it. `make` returns an empty kit."""

    def __init__(self, make: Callable[[], RecoveryKit]) -> None:
        self._make = make
        self._kit = make()
        self._one_at_a_time = asyncio.Lock()
        self._guard = Guard([])
        self._own = self._routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] in PATHS:
            await self._own(scope, receive, send)
        else:
            await self._kit.app(scope, receive, send)

    def _routes(self) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
        add_problem_handlers(app)

        @app.get("/clock")
        async def clock(request: Request) -> dict[str, str]:
            await self._guard.admit(request.headers)
            return {"now": self._kit.now.isoformat()}

        @app.post("/clock/advance")
        async def advance(request: Request) -> dict[str, Any]:
            await self._guard.admit(request.headers)
            asked = await _asked(request)
            async with self._one_at_a_time:
                mails = await self._kit.advance(to=asked.until(self._kit.now))
                return {"now": self._kit.now.isoformat(), "mails": [_shown(mail) for mail in mails]}

        @app.get("/mails")
        async def mails(request: Request) -> dict[str, Any]:
            await self._guard.admit(request.headers)
            return {"mails": [_shown(mail) for mail in self._kit.mails]}

        @app.post("/reset")
        async def reset(request: Request) -> dict[str, str]:
            await self._guard.admit(request.headers)
            async with self._one_at_a_time:
                self._kit = self._make()
            return {"now": self._kit.now.isoformat()}

        return app


async def _asked(request: Request) -> Advance:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise Problem(413, f"The body is longer than {LONGEST_BODY} bytes.")
    try:
        return Advance.model_validate_json(body or b"{}")
    except ValidationError as exc:
        raise invalid_body(exc) from None


def _shown(mail: Mail) -> dict[str, Any]:
    return {
        "shop": mail.shop,
        "order_id": mail.order_id,
        "step": mail.step,
        "at": mail.at.isoformat(),
        "to": mail.to,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "links": list(mail.links),
        "unsubscribe_link": mail.unsubscribe_link,
        "headers": mail.headers,
    }
