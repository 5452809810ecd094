"""Components of the demo, started and stopped in order: MongoDB, the inbox, the daemon with its API."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, TypeVar

import httpx
from pymongo.errors import PyMongoError

from recovery.app import daemon as app
from recovery.app.logs import configure_logging
from recovery.client import connect
from recovery.demo.configuration import settings_for
from recovery.demo.inbox import Inbox, listening
from recovery.demo.pages import pages
from recovery.domain.schedule import Schedule
from recovery.http.server import listen, serve
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import OPTIONS, Database
from recovery.settings import Settings
from recovery.settings.sources import environment
from recovery.testing.mongod import mongod

T = TypeVar("T")
Say = Callable[[str], None]
Serve = Callable[[asyncio.Event, Callable[[int], None]], Coroutine[Any, Any, None]]
"""A server: takes the event to stop at, and a callback for the port once it listens."""

ANSWERS_WITHIN = 10.0
"""Seconds that the API may take for one answer."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The running components. `clock` is the database's, used for all times; `page` is the URL of the inbox's page."""

    clock: MongoClock
    inbox: Inbox
    api: httpx.AsyncClient
    daemon: asyncio.Task[None]
    schedule: Schedule
    webhook_secret: str
    page: str


@asynccontextmanager
async def running_stage(say: Say) -> AsyncIterator[Stage]:
    """Start all components, and report each start; stop them at the end and clean up.

    Raises `NoMongod`, `CannotStart`, `BadAddress` or `DemoFailed`.
    """
    inbox = Inbox()
    secret = token_hex(32)
    async with _mongodb(say) as uri, connect(uri) as client:
        say("Starting the inbox, the daemon and its API…")
        database = client.get_database(f"recovery-demo-{token_hex(4)}", **OPTIONS)
        clock = MongoClock(database, time.monotonic)
        async with listening(inbox, clock) as smtp_port, _serving(_pages_of(inbox)) as (_, page_port):
            settings = settings_for(uri=uri, database=database.name, smtp_port=smtp_port, webhook_secret=secret)
            configure_logging(settings)
            async with (
                _dropping(database),
                _serving(_daemon_of(settings)) as (daemon, port),
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=ANSWERS_WITHIN, trust_env=False) as api,
            ):
                await clock.measure()
                yield Stage(clock, inbox, api, daemon, settings.to_schedule(), secret, f"http://127.0.0.1:{page_port}")
                say("Clearing up…")


@asynccontextmanager
async def _mongodb(say: Say) -> AsyncIterator[str]:
    """Yield the URI of the configured MongoDB, or of a temporary one for the demo."""
    if uri := environment().get("RECOVERY_MONGODB__URI"):
        say("Using the MongoDB of RECOVERY_MONGODB__URI…")
        yield uri
        return
    say("Starting a throw-away MongoDB…")
    async with _in_thread(mongod()) as uri:
        yield uri


@asynccontextmanager
async def _in_thread(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a blocking context manager in a thread. Entering must not be cancelled."""
    entered = await asyncio.to_thread(manager.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def _dropping(database: Database) -> AsyncIterator[None]:
    """Drop a database at the end."""
    try:
        yield
    finally:
        with suppress(PyMongoError):  # the server is gone, which is reported already
            await database.client.drop_database(database.name)


@asynccontextmanager
async def _serving(serve_until: Serve) -> AsyncIterator[tuple[asyncio.Task[None], int]]:
    """Run a server, and stop it at the end; yield its task and its port."""
    stop = asyncio.Event()
    listens: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve_until(stop, listens.set_result))
    try:
        either: set[asyncio.Future[Any]] = {task, listens}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if listens.done():
            yield task, listens.result()
    finally:
        stop.set()
        await task


def _pages_of(inbox: Inbox) -> Serve:
    return lambda stop, tell: serve(pages(inbox), listen("127.0.0.1", 0), stop=stop, on_listening=tell)


def _daemon_of(settings: Settings) -> Serve:
    return lambda stop, tell: app.run(settings, stop=stop, on_ready=lambda ready: tell(ready.port or 0))
