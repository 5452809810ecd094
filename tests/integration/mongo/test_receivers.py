"""What is stored of receivers: counts of a day and which are slowed, on a real mongod."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from bson.datetime_ms import DatetimeMS

from recovery.app.initialise import ensure
from recovery.daemon.lanes import Lane
from recovery.daemon.receivers import ReceiverRecords
from recovery.domain.reputation import Day
from recovery.engine.receivers import Count, Governor, Slowed
from recovery.mongo.clock import MongoClock
from recovery.mongo.receivers import ANSWERS, HOUR, HOURS, MongoReceivers, Reception

RELAY = "relay.example:25"
SINCE = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
SLOWED = Slowed("google", 3.0, SINCE, "421 4.7.28 $odd gsmtp", 6.0, SINCE, capped=True)
LATER = replace(SLOWED, limit=2.0, limited_at=SINCE + timedelta(seconds=1))


async def slowed(store, now, relay=RELAY):
    return [each.slowed for each in await store.heard([relay], now, ()) if each.slowed]


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
        Reception(RELAY, "apple", {Count.UNKNOWN: 1}, busiest_hour=1),
        Reception(RELAY, "google", {Count.ACCEPTED: 7, Count.DEFERRED: 2}, busiest_hour=9),
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
    assert await slowed(store, clock.now()) == [SLOWED]
    assert await slowed(store, clock.now() + timedelta(minutes=6)) == []
    assert [each.slowed for each in await store.last_day(clock.now() + timedelta(minutes=6))] == []


async def test_a_receiver_that_is_free_again_is_slowed_no_more(database, clock):
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.DEFERRED): 1}, [SLOWED])
    assert (await store.last_day(clock.now()))[0].slowed == SLOWED
    await store.add(RELAY, {}, freed={"google": SLOWED.limited_at})
    (reception,) = await store.last_day(clock.now())
    assert reception == Reception(RELAY, "google", {Count.DEFERRED: 1}, busiest_hour=1)


async def test_what_was_counted_of_late_is_read_back_and_no_more(database, clock):
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.ACCEPTED): 5, ("google", Count.COMPLAINT): 1, ("apple", Count.UNKNOWN): 1})
    await store.add("other.example:25", {("google", Count.ACCEPTED): 7})
    assert await store.heard([RELAY], clock.now(), [(RELAY, "google"), (RELAY, "yahoo")]) == [
        Reception(RELAY, "google", {Count.ACCEPTED: 5, Count.COMPLAINT: 1}, busiest_hour=5)
    ]


async def test_the_day_has_what_was_said_at_once_and_later(database, clock):
    store = MongoReceivers(database)
    said = {count: number for number, count in enumerate(Count, 1)}
    await store.add(RELAY, {("google", count): number for count, number in said.items()})
    await pass_hours(database, 3)
    await store.add(RELAY, {("google", Count.ACCEPTED): 4})
    (reception,) = await store.last_day(clock.now())
    at_once = sum(said[count] for count in ANSWERS)
    assert reception.day == Day(
        answered=at_once + 4,
        accepted=said[Count.ACCEPTED] + 4,
        unknown=said[Count.UNKNOWN] + said[Count.HARD],
        complaints=said[Count.COMPLAINT],
        busiest_hour=at_once,
    )


async def test_a_daemon_that_has_not_heard_of_the_last_throttling_does_not_undo_it(database, clock):
    store = MongoReceivers(database)
    for change in ({"slowed": [SLOWED]}, {"slowed": [replace(SLOWED, limited_at=None)]}, {"freed": {"google": SINCE}}):
        await store.add(RELAY, {}, [LATER])
        await store.add(RELAY, {}, **change)
        assert await slowed(store, clock.now()) == [LATER]
    await store.add(RELAY, {}, freed={"google": LATER.limited_at})
    assert await slowed(store, clock.now()) == []


async def test_what_is_slowed_is_found_by_an_index(database, clock):
    await ensure(database)
    await MongoReceivers(database).add(RELAY, {("google", Count.ACCEPTED): 1}, [SLOWED])
    query = {"$or": [{"slowed.at": {"$gt": clock.now() - timedelta(minutes=5)}, "relay": RELAY}, {"_id": "x"}]}
    plan = str(await database["receivers"].find(query).explain())
    assert "IXSCAN" in plan
    assert "COLLSCAN" not in plan


async def test_nothing_new_writes_nothing(database):
    await MongoReceivers(database).add(RELAY, {})
    assert await database["receivers"].count_documents({}) == 0


BEYOND = DatetimeMS(2**60)
"""A date that Python cannot hold."""


@pytest.mark.parametrize(
    "odd",
    [
        {"hours": "many"},
        {"hours": [{"at": "noon"}]},
        {"hours": [{"accepted": 1}]},
        {"hours.0.accepted": float("inf")},
        {"hours.0.at": BEYOND},
        {"slowed": "yes"},
        {"slowed.since": "yesterday"},
        {"slowed.since": BEYOND},
        {"slowed.limit": "low"},
        {"slowed.limited_at": BEYOND},
        {"slowed.rate": {}},
    ],
)
async def test_no_document_keeps_a_daemon_from_reading_the_others(database, clock, odd):
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.ACCEPTED): 1, ("apple", Count.ACCEPTED): 1}, [SLOWED])
    changes = {"$set": {"slowed.at": clock.now(), **odd}} if "slowed" not in odd else {"$set": odd}
    await database["receivers"].update_one({"receiver": "google"}, changes, bypass_document_validation=True)
    found = await store.heard([RELAY], clock.now(), [(RELAY, "google"), (RELAY, "apple")])
    assert Reception(RELAY, "apple", {Count.ACCEPTED: 1}, busiest_hour=1) in found
    records = ReceiverRecords(store, [lane := a_lane()], clock)
    await records.resume()
    await records.store()
    assert {each.receiver for each in lane.engine.sender.governor.slowed(0.0)} <= {"google"}


def a_lane():
    return Lane(RELAY, SimpleNamespace(sender=SimpleNamespace(governor=Governor())), SimpleNamespace())


async def test_what_cannot_be_read_is_passed_over(database, clock):
    """A newer version may store it otherwise, and no document may keep a daemon from starting."""
    store = MongoReceivers(database)
    await store.add(RELAY, {("google", Count.ACCEPTED): 1}, [SLOWED])
    await database["receivers"].update_one({}, {"$set": {"slowed.rate": "fast"}})
    assert await slowed(store, clock.now()) == []
    assert (await store.last_day(clock.now()))[0].slowed is None
