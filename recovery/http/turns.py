"""Turns: what anybody may send, and what takes long to read, has a part of the event loop's time and no more."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recovery.http.problems import Problem

PART = 0.2
"""Of the event loop's time: the rest is for the mails."""

MOST_WAITING = 100
AGAIN_AFTER = 30
"""Seconds."""


class Turns:
    """Lets one after the other have the event loop, and lets it rest after each in proportion to the time that took."""

    def __init__(self) -> None:
        self._waiting = 0
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises `Problem`, a 503, where too many wait already."""
        if self._waiting >= MOST_WAITING:
            why = f"{self._waiting} reports wait to be read already. Send this one again in {AGAIN_AFTER} s."
            raise Problem(503, why, headers={"Retry-After": str(AGAIN_AFTER)})
        self._waiting += 1
        try:
            async with self._one:
                began = time.perf_counter()
                try:
                    yield
                finally:
                    await asyncio.sleep((time.perf_counter() - began) * (1 / PART - 1))
        finally:
            self._waiting -= 1
