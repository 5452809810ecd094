"""An engine on a real database, with a clock that is set and a relay that remembers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from recovery.daemon.share import Share
from recovery.daemon.sweep import Sweep
from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.warmup import Warmup
from recovery.engine.engine import Engine
from recovery.engine.warmup import WarmupWatch
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.allowances import MongoAllowance
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.queues import ALL
from recovery.mongo.shadows import MongoShadows
from recovery.mongo.suppressions import Suppressions
from recovery.mongo.warmups import MongoWarmupRecords
from tests.support.builders import report, schedule
from tests.support.configurations import LIMITS
from tests.support.ports_in_memory import Relay, SetClock, Witness

RELAY = "relay.example:25"

PATIENT = replace(LIMITS, hand_over_within=60.0)
"""What a claim knows of its recipients is fresh enough, however slow the machine: nothing is asked again."""


class EngineWorld:
    """An engine on a real database, with a clock that is set and a relay that remembers."""

    def __init__(self, database, warmup: Warmup | None = None):
        self.database = database
        self.clock = SetClock()
        self.checkouts, self.shadows = MongoCheckouts(database), MongoShadows(database)
        self.relay, self.witness, self.share = Relay(), Witness(), Share("me")
        self.engine = Engine(
            checkouts=self.checkouts,
            shadows=self.shadows,
            addresses=MongoAddresses(database, Suppressions(database, Pseudonyms([]))),
            mailer=self.relay,
            clock=self.clock,
            observer=self.witness,
            schedules=PerShop(schedule()),
            owner="me",
            limits=PATIENT,
            allowance=warmup and MongoAllowance(database, RELAY, (), warmup),
            warmup=warmup and self._watch(warmup),
        )
        self.sweep = Sweep(
            self.checkouts,
            self.shadows,
            self.engine,
            self.share.mine,
            self.clock,
            interval=timedelta(hours=1),
            grace=timedelta(seconds=5),
        )

    def _watch(self, warmup: Warmup) -> WarmupWatch:
        records = MongoWarmupRecords(self.database, RELAY, warmup, ALL)
        return WarmupWatch(warmup, records, self.clock, self.witness)

    async def put(self, *states):
        facts = {"facts": report().facts()}
        await self.database[CHECKOUTS].insert_many([each.model_dump(by_alias=True) | facts for each in states])

    async def kept(self):
        return [each async for each in self.database[CHECKOUTS].find()]

    async def quiet(self):
        async with asyncio.timeout(30):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(database, warmup: Warmup | None = None) -> AsyncIterator[EngineWorld]:
    """Run the engine of a house on this database."""
    engine_world = EngineWorld(database, warmup)
    recording = asyncio.create_task(engine_world.engine.sender.run())
    try:
        yield engine_world
    finally:
        recording.cancel()


@asynccontextmanager
async def failing(client, database: str, commands: list[str], **data: object) -> AsyncIterator[None]:
    """Have the server fail these commands on this database's collections."""
    told = {"failCommands": commands, "namespace": f"{database}.{CHECKOUTS}", **data}
    await client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=told)
    try:
        yield
    finally:
        await client.admin.command("configureFailPoint", "failCommand", mode="off")
