"""Stores for tests: in memory, of the kit, and on MongoDB."""

from collections.abc import Sequence
from typing import Any

from recovery.domain.schedule import Step
from recovery.domain.state import Message, MessageState
from recovery.engine.writes import ClaimRequest, DeadLetter
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, SHADOWS
from recovery.mongo.dead_letters import letter_write
from recovery.mongo.shadows import MongoShadows
from recovery.testing.documents.client import AsyncMemoryClient
from recovery.testing.documents.store import Server
from tests.support.builders import NOON, minutes, report, schedule
from tests.support.ports_in_memory import SetClock, Store

STEP = Step("reminder-1", minutes(30), "reminder-1", "subject", minutes(60))
LEASE_ENDS = NOON + minutes(1)

BEGUN = Message(state=MessageState.SENDING, attempts=1, due_at=NOON)


class Fake:
    """The store in memory."""

    def __init__(self):
        self.clock = SetClock()
        self.checkouts = self.shadows = Store(self.clock)

    async def put(self, kept):
        self.checkouts.kept[kept.id] = kept

    async def report(self, kept):
        self.checkouts.report(kept.id)

    async def alarms(self):
        return self.checkouts.alarms

    async def letters(self):
        return [(letter.checkout, letter.step, letter.cause) for letter in self.checkouts.letters]


class Real:
    """The store in MongoDB."""

    def __init__(self, database):
        self.database = database
        self.checkouts = MongoCheckouts(database)
        self.shadows = MongoShadows(database)

    async def put(self, kept):
        await self.database[CHECKOUTS].insert_one(kept.model_dump(by_alias=True) | {"facts": report().facts()})

    async def report(self, kept):
        change = {"$inc": {"revision": 1}, "$currentDate": {"next_at": True}}
        await self.database[CHECKOUTS].update_one({"_id": kept.id}, change)

    async def alarms(self):
        return {each["_id"]: each["expire_at"] async for each in self.database[SHADOWS].find()}

    async def letters(self):
        return [(each["checkout"], each["step"], each["cause"]) async for each in self.database[DEAD_LETTERS].find()]


class Memory(Real):
    """The store of the kit: that of MongoDB, on a server in memory."""

    def __init__(self):
        super().__init__(AsyncMemoryClient(Server(lambda: NOON))["recovery"])


async def only(store, kept):
    (found,), unreadable = await store.checkouts.load([kept.id])
    assert unreadable == []
    return found


def request(seen, token="token"):
    return ClaimRequest(seen, schedule(), STEP, NOON, BEGUN, token, "me", LEASE_ENDS)


async def bury(database: Any, letters: Sequence[DeadLetter]) -> None:
    """Keep dead letters, as the records of messages do that are given up."""
    await database[DEAD_LETTERS].bulk_write([letter_write(letter) for letter in letters])
