"""A daemon in virtual time: the real engine, looking at checkouts when they are due, and never waiting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from recovery.engine.engine import Engine
from recovery.errors import Unavailable
from recovery.testing.clock import VirtualClock
from recovery.testing.relay import MemoryRelay

TRIED_AGAIN_AFTER = timedelta(seconds=1)
"""The pause before what is due and could not be sent is looked at again, if neither breaker nor pace says another."""


class Agenda(Protocol):
    """What is due, and when something is due next. Both raise `Unavailable`."""

    async def due(self, now: datetime) -> Mapping[str, Hashable]:
        """Return the ids of due checkouts, in order, each with a mark that changes when the checkout does."""
        ...

    async def next_after(self, now: datetime) -> datetime | None:
        """Return the next time after `now` at which a checkout is due, or None."""
        ...


class VirtualDaemon:
    """Runs an engine through virtual time: at each time at which a checkout is due, in order.

    `make_engine` returns the engine of a daemon with this name. A crash, and another event loop, begin a new one, as a
    restart does. `paused` returns the names of the pauses of sending, which a daemon hears with its heartbeat.
    """

    def __init__(
        self,
        make_engine: Callable[[str], Engine],
        agenda: Agenda,
        clock: VirtualClock,
        relay: MemoryRelay,
        paused: Callable[[], Awaitable[Collection[str]]] | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._paused = paused
        self._agenda = agenda
        self._clock = clock
        self._relay = relay
        self._starts = 0
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run_until(self, until: datetime) -> None:
        """Do all that is due until this time, this time included, and set the clock to it."""
        while True:
            engine = self._started()
            async with self._recording(engine):
                crashed = await self._run(engine, until)
            if not crashed:
                return
            self._engine = None

    def _started(self) -> Engine:
        loop = asyncio.get_running_loop()
        if self._engine is None or loop is not self._loop:
            self._starts += 1
            self._engine = self._make_engine(f"daemon-{self._starts}")
            self._loop = loop
        return self._engine

    @asynccontextmanager
    async def _recording(self, engine: Engine) -> AsyncIterator[None]:
        """Run what records the ends of sends: between the calls of a test, no task is left."""
        task = asyncio.create_task(engine.sender.run())
        try:
            yield
        finally:
            if self._relay.crashed is not None:
                self._relay.crashed.cancel()
                self._relay.crashed = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0)  # the tasks that it has cancelled end now

    async def _run(self, engine: Engine, until: datetime) -> bool:
        """Go from due time to due time; return whether the daemon has crashed."""
        while True:
            try:
                if self._paused is not None:
                    engine.pauses.hear(await self._paused())
                stuck = await self._work(engine)
                if self._relay.crashed is not None:
                    return True
                at = await self._next(engine, stuck=stuck)
            except Unavailable:
                at = None  # as long as the test has it so
            if at is None or at > until:
                self._clock.move_to(until)
                return False
            self._clock.move_to(at)

    async def _work(self, engine: Engine) -> bool:
        """Look at what is due now until nothing is, or nothing changes any more.

        Return whether something is left that is to be tried again: what is paused is not.
        """
        due = await self._agenda.due(self._clock.now())
        while due:
            await engine.look(list(due), "kit")
            while engine.sender.in_flight and self._relay.crashed is None:  # noqa: ASYNC110 - nothing takes time here
                await asyncio.sleep(0)
            if self._relay.crashed is not None:
                return True
            before, due = due, await self._agenda.due(self._clock.now())
            if due == before:
                return not all(engine.pauses.cover(id_) for id_ in due)
        return False

    async def _next(self, engine: Engine, *, stuck: bool) -> datetime | None:
        now = self._clock.now()
        at = await self._agenda.next_after(now)
        if not stuck:
            return at
        seconds = self._clock.monotonic()
        pause = max(engine.sender.breaker.pause(seconds) or 0.0, engine.sender.pace.pause(seconds))
        again = now + (timedelta(seconds=pause) if pause else TRIED_AGAIN_AFTER)
        return again if at is None else min(at, again)
