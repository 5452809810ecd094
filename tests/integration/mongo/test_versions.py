"""An older daemon beside a newer one, on a real mongod: it does not touch what it does not know."""

import asyncio

import pytest
from pymongo import ASCENDING, IndexModel

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo import collections
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, LAYOUT, SUPPRESSIONS
from recovery.mongo.documents import SCHEMA
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report, state
from tests.support.engine_world import running

DUE = NOON + minutes(30)


@pytest.fixture
async def engine_world(database):
    """A database with a running engine."""
    async with running(database) as engine_world:
        engine_world.clock.time = DUE
        yield engine_world


async def put(engine_world, order_id, **changes):
    document = state(order_id, next_at=DUE).model_dump(by_alias=True) | {"facts": report().facts()}
    await engine_world.database[CHECKOUTS].insert_one(document | changes)


async def sweep(engine_world):
    async with asyncio.timeout(30):
        await engine_world.sweep.due_now("start")
    await engine_world.quiet()


async def test_facts_that_only_a_newer_version_knows_are_passed_over(engine_world):
    """Unknown fields of facts, customers or items do not prevent reminders."""
    facts = report().facts()
    facts |= {"phone": "+49 30 1234", "customer": facts["customer"] | {"title": "Dr."}}
    facts["items"] = [item | {"sku": "L-1"} for item in facts["items"]]
    await put(engine_world, "1", facts=facts, mood="fine")
    await sweep(engine_world)
    assert engine_world.relay.taken == [("shop.example/1", "reminder-1")]


async def test_a_time_zone_that_this_machine_does_not_know_is_the_schedule_s(engine_world):
    """Another machine's tz database may be newer."""
    await put(engine_world, "1", facts=report().facts() | {"time_zone": "Mars/Olympus"})
    await sweep(engine_world)
    assert engine_world.relay.taken == [("shop.example/1", "reminder-1")]


async def test_what_a_newer_version_has_written_is_left_alone(engine_world):
    """A document of a newer schema is neither dead-lettered nor planned, and does not block the sweep."""
    for number in range(3):
        await put(engine_world, f"new-{number}", schema=SCHEMA + 1, messages={"reminder-1": {"state": "pondered"}})
    await put(engine_world, "old")
    before = {each["_id"]: each for each in await engine_world.kept() if "new" in each["_id"]}
    await sweep(engine_world)
    await engine_world.engine.look([f"shop.example/new-{number}" for number in range(3)], "reported")
    assert engine_world.relay.taken == [("shop.example/old", "reminder-1")]
    assert {each["_id"]: each for each in await engine_world.kept() if "new" in each["_id"]} == before
    assert await engine_world.database[DEAD_LETTERS].count_documents({}) == 0
    assert len(engine_world.witness.newer_ones) == 3


async def test_a_reason_that_only_a_newer_version_knows_suppresses(engine_world):
    """An unknown reason still suppresses, and a weaker known one does not replace it."""
    pseudonyms = Pseudonyms([])
    key = f"/{pseudonyms.of('ada@example.com')}"
    await engine_world.database[SUPPRESSIONS].insert_one(
        {"_id": key, "reason": "on the moon", "at": NOON, "source": "x"}
    )
    await put(engine_world, "1")
    await sweep(engine_world)
    assert engine_world.relay.taken == []
    suppressions = Suppressions(engine_world.database, pseudonyms)
    assert not await suppressions.add("ada@example.com", SuppressionReason.SHOP, source="service")
    assert [each.reason async for each in suppressions.each()] == [SuppressionReason.SHOP]
    assert (await engine_world.database[SUPPRESSIONS].find_one())["reason"] == "on the moon"


async def test_validators_and_indexes_of_a_newer_version_are_not_turned_back(engine_world):
    """Two daemons of different versions do not alternate in rebuilding indexes."""
    database = engine_world.database
    newer = {"$jsonSchema": {"title": f"recovery {LAYOUT + 1}", "bsonType": "object"}}
    await database.command({"collMod": CHECKOUTS, "validator": newer})
    await database[CHECKOUTS].drop_index("queues")
    partial = {"next_at": {"$type": "date"}}
    index = IndexModel([("lane", ASCENDING), ("next_at", ASCENDING)], name="queues", partialFilterExpression=partial)
    await database[CHECKOUTS].create_indexes([index])
    assert await collections.ensure(database) == []
    assert await collections.faults(database) == []
    assert next(iter((await database[CHECKOUTS].index_information())["queues"]["key"]))[0] == "lane"


async def test_what_an_older_version_made_is_brought_up_to_date(engine_world):
    """Validators without a version, as in the first release, are replaced."""
    await engine_world.database.command({"collMod": SUPPRESSIONS, "validator": {"$jsonSchema": {"bsonType": "object"}}})
    assert await collections.faults(engine_world.database) == [f"the validator of {SUPPRESSIONS} is missing or differs"]
    assert await collections.ensure(engine_world.database) == [f"renewed the validator of {SUPPRESSIONS}"]
    assert await collections.faults(engine_world.database) == []
