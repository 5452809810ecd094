"""The supervisor: runs the named root tasks; the first one that ends stops the rest."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

AGAIN_AFTER = 0.5
"""Seconds until a task that still runs is cancelled again. `asyncio.wait_for`, which the driver uses for every write,
may swallow a cancellation before Python 3.12."""

log = structlog.get_logger()


class Supervisor:
    """Runs root tasks until a stop is requested or one of them ends, which none should.

    Tasks are stopped in the reverse order of their start. The first exception of a task is raised on leaving the block.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: list[BaseException] = []

    def start(self, name: str, task: Coroutine[Any, Any, None]) -> None:
        """Start a root task."""
        self._tasks.append(asyncio.create_task(task, name=name))

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until a stop is requested or a root task ends."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in done - {stopping}:
            log.error("root task ended", task=task.get_name())

    async def stop(self, *names: str) -> None:
        """Stop the tasks with these names, or all."""
        for task in reversed(self._tasks):
            if names and task.get_name() not in names:
                continue
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=AGAIN_AFTER)
            await self._end(task)

    async def finish(self, name: str) -> None:
        """Wait until a task ends that was asked to."""
        for task in self._tasks:
            if task.get_name() == name:
                await self._end(task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        await asyncio.wait({task})
        self._tasks = [other for other in self._tasks if other is not task]
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        if exc is None and self._failures:
            raise self._failures[0]
