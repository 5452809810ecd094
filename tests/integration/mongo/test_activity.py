"""The stored activity, on a real mongod."""

import asyncio
from datetime import timedelta

import pytest

from recovery.daemon.activity import STORED_AT_ONCE, ActivityRecords
from recovery.domain.activity import Fate, Tally
from recovery.errors import Unavailable
from recovery.mongo.activity import Activity
from recovery.mongo.collections import ACTIVITY
from tests.support.builders import NOON, minutes
from tests.support.ports_in_memory import SetClock

SHOP = "shop.example"


class Counting:
    """A daemon's tally and its records."""

    def __init__(self, database, daemon):
        self.clock, self.tally = SetClock(), Tally()
        self.store = Activity(database)
        self.records = ActivityRecords(self.store, self.tally, self.clock, daemon)


@pytest.fixture
def counting(database):
    return lambda daemon="me": Counting(database, daemon)


async def test_what_daemons_counted_adds_up(counting):
    """Also that of one that was started again, which counts from nought; by hour, and by reason."""
    first, again, other = counting("me#1"), counting("me#2"), counting("other#1")
    for each in (first, again, other):
        for seconds in (0.1, 0.1, 60.0):
            each.tally.sent(SHOP, "reminder-1", seconds)
        each.tally.skipped(SHOP, "reminder-2", "too late to be of use")
        await each.records.store()
    first.clock.time = NOON + minutes(60)
    await first.records.store()
    first.tally.dead(SHOP, "reminder-1", "attempts")
    await first.records.store()
    found = await first.store.since(NOON + minutes(30))
    assert found.by_hour(Fate.SENT) == {NOON: 9}
    assert found.by_reason(Fate.SKIPPED) == {"too late to be of use": 3}
    assert found.by_hour(Fate.DEAD) == {NOON + minutes(60): 1}
    assert found.lateness.percentile(0.5) < 0.2
    assert 40 < found.lateness.percentile(0.99) < 90
    assert (await first.store.since(NOON + minutes(60))).total(Fate.SENT) == 0


async def test_a_write_that_is_repeated_changes_nothing(counting):
    """Its acknowledgement may be lost: totals are set, and not added."""
    me = counting()
    me.tally.sent(SHOP, "reminder-1", 0.1)
    put = me.store.put

    async def put_unheard(*args):
        await put(*args)
        raise Unavailable("the acknowledgement was lost")

    me.store.put = put_unheard
    assert await me.records.store() is False
    me.store.put = put
    assert await me.records.store() is True
    assert await me.records.store() is False
    assert (await me.store.since(NOON)).total(Fate.SENT) == 1


async def test_what_could_not_be_stored_before_the_hour_was_over_is_stored_later(counting):
    """An outage at the turn of the hour costs no count."""
    me = counting()
    me.tally.sent(SHOP, "reminder-1", 0.1)
    put = me.store.put

    async def away(*_):
        raise Unavailable("the database is having a rest")

    me.store.put = away
    me.clock.time = NOON + timedelta(minutes=59, seconds=58)
    await me.records.store()
    for later in (61, 62):
        me.clock.time = NOON + minutes(later)
        await me.records.store()
    me.store.put = put
    await me.records.store()
    assert (await me.store.since(NOON)).by_hour(Fate.SENT) == {NOON: 1}


async def test_many_shops_are_stored_a_few_at_a_time(counting, database):
    """One write is bounded; at the end of a daemon all is stored."""
    me = counting()
    for number in range(STORED_AT_ONCE + 50):
        me.tally.sent(f"s{number}.example", "reminder-1", 0.1)
    await me.records.store()
    assert await database[ACTIVITY].count_documents({}) == STORED_AT_ONCE
    async with asyncio.timeout(30):
        await me.records.finish()
    found = await me.store.since(NOON)
    assert found.total(Fate.SENT) == STORED_AT_ONCE + 50
    assert (await me.store.since(NOON, ["s1.example", "s2.example"])).total(Fate.SENT) == 2
    assert (await me.store.since(NOON, [])).total(Fate.SENT) == 0


async def test_what_cannot_be_read_is_left_out(counting, database):
    """A newer version may know another fate, and a hand may have been at it."""
    me = counting()
    me.tally.sent(SHOP, "reminder-1", 0.1)
    await me.records.store()
    odd = [{"step": "reminder-1", "fate": "blessed", "n": 1}, {"step": "reminder-1"}, 7]
    await database[ACTIVITY].insert_one({"_id": "odd", "at": NOON, "counts": odd, "lateness": [7, {"step": "x"}]})
    found = await me.store.since(NOON)
    assert found.counts == {(NOON, ("reminder-1", Fate.SENT, "")): 1}
    assert found.lateness.total == 1
