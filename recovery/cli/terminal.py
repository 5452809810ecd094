"""What all commands share: settings and database, where they print, and how they say that a thing cannot be done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from rich.console import Console

from recovery.app import configure_logging
from recovery.checkout import CheckoutState
from recovery.mongo import server
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
from recovery.parts import CannotStart, database_of, recovery_of
from recovery.settings import Settings, load_settings

out = Console(highlight=False)


class Wrong(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def load() -> Settings:
    """Return the settings, and log as they say."""
    settings = load_settings()
    configure_logging(settings)
    return settings


@asynccontextmanager
async def house() -> AsyncIterator[tuple[Settings, Database, MongoClock]]:
    """Read the settings and connect to the database that they name. Raises `CannotStart` if it is not as it must be."""
    settings = load()
    async with database_of(settings) as database:
        if fault := await server.fault(database):
            raise CannotStart(fault)
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        yield settings, database, clock


def written(at: datetime | None) -> str:
    """Return a time as people read it, in UTC, or nothing."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""


def get(settings: Settings, checkout: str) -> CheckoutState:
    """Return the checkout of this key, `SHOP/ORDER`. Raises `Wrong` if there is none."""
    shop, slash, order_id = checkout.partition("/")
    if not (shop and slash and order_id):
        raise Wrong(f"{checkout!r} is not of the form SHOP/ORDER.")
    state = asyncio.run(_get(settings, shop, order_id))
    if state is None:
        raise Wrong(f"There is no checkout {checkout}.")
    return state


async def _get(settings: Settings, shop: str, order_id: str) -> CheckoutState | None:
    async with recovery_of(settings) as recovery:
        return await recovery.get(shop, order_id)
