"""An engine whose ports are fakes in memory."""

import asyncio
from contextlib import asynccontextmanager

from recovery.domain.per_shop import PerShop
from recovery.engine.engine import Engine
from tests.support.builders import NOON, AddressBook, Relay, SetClock, Store, Witness, minutes, schedule
from tests.support.configurations import LIMITS

DUE = NOON + minutes(30)


class EngineInMemory:
    """An engine among fakes."""

    def __init__(self, *states, plan=None, limits=None, by_shop=None):
        self.clock = SetClock()
        self.store = Store(self.clock, *states)
        self.relay = Relay()
        self.witness = Witness()
        self.addresses = AddressBook()
        self.engine = Engine(
            checkouts=self.store,
            shadows=self.store,
            addresses=self.addresses,
            mailer=self.relay,
            clock=self.clock,
            observer=self.witness,
            schedules=PerShop(plan or schedule(), by_shop or {}),
            owner="me",
            limits=limits or LIMITS,
            jitter=lambda: 0.0,
        )

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.engine.sender.run())
        try:
            yield self
        finally:
            task.cancel()

    async def look(self, *ids):
        """Look, and wait until all that was sent is recorded."""
        await self.engine.look(ids or list(self.store.kept), "test")
        async with asyncio.timeout(5):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)

    async def look_until_quiet(self):
        while due := self.store.due():
            await self.look(*due)

    @property
    def only(self):
        (kept,) = self.store.kept.values()
        return kept
