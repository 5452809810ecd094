"""Group commit: what of a group is inserted, what is updated, and in which order."""

import asyncio

import pytest
from pymongo import InsertOne
from pymongo.errors import AutoReconnect, BulkWriteError

from recovery import Order
from recovery.mongo.first_reports import FirstReports
from recovery.mongo.group_commit import DUPLICATE_KEY, MOST_GROUPS, GroupCommit
from recovery.mongo.intake import CheckoutWrite, order_write
from tests.support.builders import NOON, report


class Clock:
    """A server clock that is known well."""

    age = error = 0.0

    def earliest(self):
        return NOON


class Kept:
    """A collection that notes the ids of its writes by command; what is in `stored` cannot be inserted."""

    def __init__(self):
        self.stored = []
        self.commands = []
        self.fault = None

    async def bulk_write(self, writes, *, ordered):
        assert not ordered
        inserts = isinstance(writes[0], InsertOne)
        ids = [each._doc["_id"] if inserts else each._filter["_id"] for each in writes]
        self.commands.append(("insert" if inserts else "update", [id_[-1] for id_ in ids]))
        await asyncio.sleep(0)
        if self.fault:
            raise self.fault
        there = [{"index": n, "code": DUPLICATE_KEY} for n, id_ in enumerate(ids) if inserts and id_[-1] in self.stored]
        if there:
            raise BulkWriteError({"writeErrors": there})

    async def update_one(self, query, _update, _upsert):
        self.commands.append(("update", [query["_id"][-1]]))


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def group(kept):
    return GroupCommit(kept, FirstReports(Clock()))


def checkout(order_id):
    return CheckoutWrite(report(order_id))


def order(order_id):
    return order_write(Order(shop="shop.example", order_id=order_id))


async def test_what_may_be_stored_already_is_updated_beside_the_inserts(kept, group):
    """Orders, and reports of checkouts that were reported before, do not wait for the first reports of others."""
    await asyncio.gather(*map(group.write, [checkout("1"), checkout("2"), order("3"), order("4")]))
    assert kept.commands == [("insert", ["1", "2"]), ("update", ["3", "4"])]


async def test_what_follows_a_first_report_in_its_group_is_written_after_it(kept, group):
    """An order of a checkout that is inserted, and a second report of it, are updates after the insert."""
    await asyncio.gather(*map(group.write, [checkout("1"), order("1"), checkout("2"), checkout("1"), order("3")]))
    assert kept.commands == [("insert", ["1", "2"]), ("update", ["3"]), ("update", ["1", "1"])]


async def test_what_is_stored_already_becomes_an_update(kept, group):
    """An insert in vain is no error of its caller, nor of the others."""
    kept.stored = ["2"]
    await asyncio.gather(*map(group.write, [checkout("1"), checkout("2"), checkout("3")]))
    assert kept.commands == [("insert", ["1", "2", "3"]), ("update", ["2"])]


async def test_an_insert_that_fails_as_a_whole_is_an_error_for_each_of_its_callers(kept, group):
    """Each caller gets the driver's error, and nothing is updated in place of the insert."""
    kept.fault = AutoReconnect("the connection is closed")
    ends = await asyncio.gather(*map(group.write, [checkout("1"), checkout("2")]), return_exceptions=True)
    assert ends == [kept.fault] * 2
    assert kept.commands == [("insert", ["1", "2"])]


async def test_the_writes_of_one_caller_are_a_group_of_their_own(kept, group):
    """However many, they are inserted by one command, and updated by one; each has its own result, in order."""
    kept.stored = ["2"]
    writes = [*(checkout(f"{number}") for number in range(40)), order("41"), order("42")]
    assert await group.write_all(writes, 5) == [None] * 42
    numbers = [f"{number}"[-1] for number in range(40)]
    assert kept.commands[:2] == [("insert", numbers), ("update", ["1", "2"])]
    assert kept.commands[2:] == [("update", ["2"] * 4)]


async def test_a_single_write_of_a_caller_shares_the_group_of_others(kept, group):
    """As if it was written by itself; an error is its result."""
    assert await asyncio.gather(*(group.write_all([checkout(each)], 5) for each in "123")) == [[None]] * 3
    assert kept.commands == [("insert", ["1", "2", "3"])]
    kept.fault = AutoReconnect("the connection is closed")
    assert await asyncio.gather(*(group.write_all([checkout(each)], 5) for each in "45")) == [[kept.fault]] * 2


async def test_a_group_that_takes_too_long_is_an_error_for_each_of_its_writes(kept, group, monkeypatch):
    """Only the waiting ends: the command of the driver is not cancelled."""
    ended = asyncio.Event()

    async def slow(writes, *, ordered):
        await asyncio.sleep(0.05)
        ended.set()

    monkeypatch.setattr(kept, "bulk_write", slow)
    assert [type(each) for each in await group.write_all([checkout("1"), checkout("2")], 0.01)] == [TimeoutError] * 2
    assert not ended.is_set()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_few_groups_of_callers_are_written_at_a_time(kept, group, monkeypatch):
    """However many callers there are, a single write meets no more than those; the time of a group begins with it."""
    begun, go = [], asyncio.Event()

    async def held(writes, *, ordered):
        begun.append(writes)
        await go.wait()

    monkeypatch.setattr(kept, "bulk_write", held)
    pairs = [[checkout(f"a{number}"), checkout(f"b{number}")] for number in range(MOST_GROUPS + 1)]
    within = [60] * MOST_GROUPS + [0.5]
    waiting = asyncio.gather(*map(group.write_all, pairs, within))
    await asyncio.sleep(0.6)
    assert len(begun) == MOST_GROUPS
    go.set()
    assert await waiting == [[None, None]] * len(pairs)


async def test_a_caller_that_goes_away_cancels_no_command(kept, group, monkeypatch):
    """To cancel a call of the driver could leave a connection open."""
    ended = asyncio.Event()

    async def slow(writes, *, ordered):
        await asyncio.sleep(0.01)
        ended.set()

    monkeypatch.setattr(kept, "bulk_write", slow)
    caller = asyncio.create_task(group.write_all([checkout("1"), checkout("2")], 5))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    async with asyncio.timeout(5):
        await ended.wait()
