"""A console without a daemon and a database: for what it answers before it asks for either, or when they fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI

from recovery.console.console import routes_of
from recovery.console.desk import Desk
from recovery.domain.per_shop import PerShop
from recovery.http.keys import ApiKey
from recovery.http.security import Guard

SECRET = "0123456789abcdef"
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


class Anything:
    """Whatever a page asks of a part that is not there."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_a, **_n: Anything()


class Clock:
    """A clock that stands."""

    def now(self) -> datetime:
        """Return the time."""
        return NOW


def desk(recovery: Any = None) -> Desk:
    """Return a desk with nothing on it but what is given."""
    nothing: Any = Anything()
    return Desk(nothing, recovery or nothing, Clock(), PerShop(nothing), nothing, dict)


@asynccontextmanager
async def console_alone(recovery: Any = None) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a console that knows the key `SECRET`, of olga."""
    keys = [ApiKey("olga", SECRET)]
    app = FastAPI(redirect_slashes=False)
    app.include_router(routes_of(desk(recovery), Guard(keys), keys).router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        yield client
