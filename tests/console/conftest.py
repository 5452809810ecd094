"""A daemon with its console on a database of its own, and a browser."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.support.chromium import chromium
from tests.support.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(mongodb, database, relay) -> AsyncIterator[ConsoleWorld]:
    """A running daemon, with keys of an operator, a reader, an operator of one shop, and a service."""
    async with console_world(mongodb, database, relay) as world:
        yield world


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with chromium() as browser:
        yield browser
