"""A bulkhead on CPU time: parsing of unauthenticated, expensive bodies gets a fixed share of the event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recovery.http.problems import Problem

SHARE = 0.2
"""Fraction of the event loop's time; the rest is for sending."""

MOST_WAITING = 100
"""Bodies that may wait for a turn; further ones get 503."""

RETRY_AFTER = 30
"""Seconds, in the header Retry-After of a 503."""


class Turns:
    """Runs one task at a time, and pauses after each in proportion to its duration."""

    def __init__(self) -> None:
        self._waiting = 0
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises `Problem` (503) if too many wait already."""
        if self._waiting >= MOST_WAITING:
            why = f"{self._waiting} reports are waiting to be read: send this one again in {RETRY_AFTER} s."
            raise Problem(503, why, headers={"Retry-After": str(RETRY_AFTER)})
        self._waiting += 1
        try:
            async with self._one:
                began = time.perf_counter()
                try:
                    yield
                finally:
                    await asyncio.sleep((time.perf_counter() - began) * (1 / SHARE - 1))
        finally:
            self._waiting -= 1
