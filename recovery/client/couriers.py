"""Couriers: background workers that deliver the reports in an outbox, as an asyncio task or a thread.

Each gets a function that delivers all waiting reports and returns whether it could.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from recovery.client.driving import run

IDLE = 30.0
"""Seconds between two looks at an empty file: another process may have left a report and died."""

SOONEST, LATEST = 1.0, 30.0
"""The backoff between attempts while the database is unavailable, in seconds: the first and the longest."""


def pause(attempts: int) -> float:
    """Return the exponential backoff after this many failed attempts, in seconds, with jitter: many processes wait."""
    longest: float = min(SOONEST * 2 ** min(attempts, 10), LATEST)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  not for secrets


Deliver = Callable[[], Coroutine[Any, Any, bool]]


class TaskCourier:
    """A courier in a task of the running event loop."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._task: asyncio.Task[None] | None = None
        self._kept = asyncio.Event()
        self._stopped = asyncio.Event()

    def start(self) -> None:
        """Deliver from now on, if that is not done already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="recovery outbox")

    def wake(self) -> None:
        """Look at once, if it waits for something to be kept: something was."""
        self._kept.set()

    async def stop(self) -> None:
        """End, after the report that is on its way."""
        self._stopped.set()
        self._kept.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        attempts = 0
        while not self._stopped.is_set():
            self._kept.clear()
            attempts = 0 if await self._deliver() else attempts + 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause(attempts) if attempts else IDLE):
                    await (self._stopped if attempts else self._kept).wait()


class ThreadCourier:
    """A courier in a daemon thread, which ends with the process."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._kept = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Deliver from now on, if that is not done already."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="recovery outbox", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Look at once, if it waits for something to be kept: something was."""
        self._kept.set()

    async def stop(self) -> None:
        """End, after the report that is on its way."""
        self._stopped.set()
        self._kept.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        attempts = 0
        while not self._stopped.is_set():
            self._kept.clear()
            attempts = 0 if run(self._deliver()) else attempts + 1
            (self._stopped if attempts else self._kept).wait(pause(attempts) if attempts else IDLE)
