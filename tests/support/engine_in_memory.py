"""An engine whose ports are fakes in memory."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

from recovery.domain.per_shop import PerShop
from recovery.engine.engine import Engine
from recovery.engine.warmup import WarmupWatch
from tests.support.builders import NOON, minutes, schedule
from tests.support.configurations import LIMITS
from tests.support.ports_in_memory import AddressBook, Relay, SetClock, Store, Witness

DUE = NOON + minutes(30)


class EngineInMemory:
    """An engine among fakes. What waits for a moment waits for a short one. `monotonic` may be replaced at any time."""

    def __init__(self, *states, plan=None, limits=None, by_shop=None, allowance=None, warmup=None, pauses=None):
        self.clock = SetClock()
        self.monotonic = time.monotonic
        self.store = Store(self.clock, *states)
        self.relay = Relay()
        self.witness = Witness()
        self.addresses = AddressBook()
        self.expected = []
        self.engine = Engine(
            checkouts=self.store,
            shadows=self.store,
            addresses=self.addresses,
            mailer=self.relay,
            clock=self.clock,
            observer=self.witness,
            schedules=PerShop(plan or schedule(), by_shop or {}),
            owner="me",
            limits=replace(limits or LIMITS, refusals_held_for=0.02, renew_every=0.01, ask_relay_every=0.01),
            allowance=allowance,
            warmup=warmup and WarmupWatch(*warmup, self.clock, self.witness, lambda: self.monotonic()),
            pauses=pauses,
            expect=self.expected.append,
            jitter=lambda: 0.0,
            monotonic=lambda: self.monotonic(),
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
        async with asyncio.timeout(30):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)

    async def look_until_quiet(self):
        while due := self.store.due():
            await self.look(*due)

    @property
    def only(self):
        (kept,) = self.store.kept.values()
        return kept
