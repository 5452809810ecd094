"""A daemon in the process of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recovery.app import daemon
from recovery.settings import Settings


@asynccontextmanager
async def running(settings: Settings, stop: asyncio.Event | None = None) -> AsyncIterator[daemon.Ready]:
    """Run a daemon until the end of the block, or until `stop` is set; yield what it says when it does its work."""
    stop = stop or asyncio.Event()
    ready: asyncio.Future[daemon.Ready] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(daemon.run(settings, stop=stop, on_ready=ready.set_result))
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield ready.result()
    finally:
        stop.set()
        await task
