"""The supervisor: root tasks have names, and the first to fall stops the rest."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

AGAIN_AFTER = 0.5
"""Seconds until a task is cancelled once more that goes on. `asyncio.wait_for`, which the driver uses for every write,
may swallow a cancellation before Python 3.12."""

log = structlog.get_logger()


class Supervisor:
    """Keeps root tasks running until somebody asks for a stop or one of them ends, which none of them should.

    Tasks are stopped in the reverse order of their start. What one of them raised is raised on leaving the block.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: list[BaseException] = []

    def start(self, name: str, task: Coroutine[Any, Any, None]) -> None:
        """Start a root task."""
        self._tasks.append(asyncio.create_task(task, name=name))

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait for the stop, or for a root task to end."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in done - {stopping}:
            log.error("a root task ended, so everything stops", task=task.get_name())

    async def stop(self, *names: str) -> None:
        """Stop the tasks of these names, or all."""
        for task in reversed(self._tasks):
            if names and task.get_name() not in names:
                continue
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=AGAIN_AFTER)
            await self._end(task)

    async def finish(self, name: str) -> None:
        """Wait for the end of a task that has been asked to end."""
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
