"""What all commands share: settings and database, where they print, and how they say that a thing cannot be done."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from rich.console import Console

from recovery.app import CannotStart, configure_logging, database_of
from recovery.mongo import server
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
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
