"""Fixtures of the tests in this folder."""

import asyncio

import pytest

from tests.support.smtp_servers import EXTENSIONS
from tests.support.smtp_world import a_smtp_world


@pytest.fixture(params=[EXTENSIONS, EXTENSIONS[:-1]], ids=["all in one packet", "one by one"])
async def smtp_world(request):
    async with a_smtp_world(extensions=request.param) as smtp_world:
        yield smtp_world


@pytest.fixture
async def leap():
    """Lets time leap by some seconds: whatever is due by then is due at once, and no test waits for a clock."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    ahead = 0.0

    def leap(seconds):
        nonlocal ahead
        ahead += seconds

    loop.time = lambda: clock() + ahead
    yield leap
    del loop.time
