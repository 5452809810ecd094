"""A daemon with its console on a database of its own, and a browser, which the tests of this folder share."""

import inspect
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser
from pymongo.asynchronous.database import AsyncDatabase

from recovery.mongo.collections import Document
from tests.support import one_loop
from tests.support.chromium import SharedChromium
from tests.support.console_world import ConsoleWorld, console_world
from tests.support.databases import empty_database
from tests.support.smtp_servers import RecordingRelay


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(obj: object) -> None:
    """Run the asynchronous tests of this folder on the loop of the browser."""
    if inspect.iscoroutinefunction(obj):
        one_loop.marked(obj)


@one_loop.fixture
async def database(mongodb: str, database_name: str) -> AsyncIterator[AsyncDatabase[Document]]:
    """An empty database of this test's own, with collections and indexes."""
    async with empty_database(mongodb, database_name) as database:
        yield database


@one_loop.fixture
async def relay() -> AsyncIterator[RecordingRelay]:
    """A relay on loopback that takes everything, or misbehaves as told."""
    async with RecordingRelay() as relay:
        yield relay


@one_loop.fixture
async def world(mongodb, database, relay) -> AsyncIterator[ConsoleWorld]:
    """A running daemon, with keys of an operator, a reader, an operator of one shop, and a service."""
    async with console_world(mongodb, database, relay) as world:
        yield world


@one_loop.fixture(scope="session")
async def shared_chromium() -> AsyncIterator[SharedChromium]:
    """One browser for all tests of this folder that this process runs."""
    shared = SharedChromium()
    yield shared
    await shared.close()


@one_loop.fixture
async def browser(shared_chromium: SharedChromium) -> AsyncIterator[Browser]:
    """Debian's Chromium, without a page of another test."""
    async with shared_chromium.lent() as browser:
        yield browser
