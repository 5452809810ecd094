"""What is stored of receivers: counts of a day and which are slowed, on a real mongod."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from recovery.engine.receivers import Count, Slowed
from recovery.mongo.clock import MongoClock
from recovery.mongo.receivers import HOUR, HOURS, MongoReceivers, Reception

RELAY = "relay.example:25"
SINCE = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
SLOWED = Slowed("google", 3.0, SINCE, "421 4.7.28 $odd gsmtp")


@pytest.fixture
async def clock(database):
    clock = MongoClock(database, time.monotonic)
    await clock.measure()
    return clock


async def pass_hours(database, hours):
    """Let the slots be so much older."""
    older = {"$mergeObjects": ["$$this", {"at": {"$subtract": ["$$this.at", hours * HOUR]}}]}
    await database["receivers"].update_many({}, [{"$set": {"hours": {"$map": {"input": "$hours", "in": older}}}}])


async def test_counts_of_all_daemons_add_up(database, clock):
    one, other = MongoReceivers(database), MongoReceivers(database)
    await one.add(RELAY, {("google", Count.ACCEPTED): 3, ("apple", Count.UNKNOWN): 1})
    await asyncio.gather(
        *(each.add(RELAY, {("google", Count.ACCEPTED): 2, ("google", Count.DEFERRED): 1}) for each in (one, other))
    )
    assert await one.last_day(clock.now()) == [
        Reception(RELAY, "apple", {Count.UNKNOWN: 1}),
        Reception(RELAY, "google", {Count.ACCEPTED: 7, Count.DEFERRED: 2}),
    ]


async def test_what_is_a_day_old_is_neither_counted_nor_kept(database, clock):
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.ACCEPTED): 5})
    await pass_hours(database, HOURS - 2)
    await store.add(RELAY, {("google", Count.ACCEPTED): 1})
    assert (await store.last_day(clock.now()))[0].counts == {Count.ACCEPTED: 6}
    await pass_hours(database, 4)
    assert (await store.last_day(clock.now()))[0].counts == {Count.ACCEPTED: 1}
    await store.add(RELAY, {("google", Count.ACCEPTED): 1})
    (document,) = [each async for each in database["receivers"].find()]
    assert len(document["hours"]) == 2


async def test_a_start_finds_what_is_slowed_at_its_own_relay_and_not_what_was_long_ago(database, clock):
    store = MongoReceivers(database)
    await store.add(RELAY, {}, [SLOWED])
    await store.add("other.example:25", {}, [Slowed("apple", 1.0, SINCE, "no")])
    assert await store.slowed(RELAY, clock.now()) == [SLOWED]
    assert await store.slowed(RELAY, clock.now() + timedelta(minutes=6)) == []
    assert [each.slowed for each in await store.last_day(clock.now() + timedelta(minutes=6))] == []


async def test_a_receiver_that_is_free_again_is_slowed_no_more(database, clock):
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.DEFERRED): 1}, [SLOWED])
    assert (await store.last_day(clock.now()))[0].slowed == SLOWED
    await store.add(RELAY, {}, freed=["google"])
    (reception,) = await store.last_day(clock.now())
    assert reception == Reception(RELAY, "google", {Count.DEFERRED: 1})


async def test_nothing_new_writes_nothing(database):
    await MongoReceivers(database).add(RELAY, {})
    assert await database["receivers"].count_documents({}) == 0


async def test_what_cannot_be_read_is_passed_over(database, clock):
    """A newer version may store it otherwise, and no document may keep a daemon from starting."""
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.ACCEPTED): 1}, [SLOWED])
    await database["receivers"].update_one({}, {"$set": {"slowed.rate": "fast"}})
    assert await store.slowed(RELAY, clock.now()) == []
    assert (await store.last_day(clock.now()))[0].slowed is None
