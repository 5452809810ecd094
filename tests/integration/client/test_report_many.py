"""Many reports in one call, on a real MongoDB: both APIs leave what single calls leave."""

import asyncio

import pytest

from recovery import Order, Recovery, SyncRecovery
from recovery.client.reports import Kept
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import NOON, minutes, report

EARLIER = NOON.replace(year=2026)


def reports():
    """Return reports of 300 checkouts, some ordered before or after, some reported twice, one that is no report."""
    touched = [EARLIER + minutes(number) for number in range(300)]
    checkouts = [report(str(number), touched_at=at) for number, at in enumerate(touched)]
    orders = [Order(shop="shop.example", order_id=str(number), ordered_at=EARLIER) for number in range(0, 300, 7)]
    changed = [report(str(number), touched_at=EARLIER + minutes(900), locale="de") for number in range(0, 300, 11)]
    return [*orders[:20], *checkouts, *orders[20:], ValueError("unreadable"), *changed]


async def stored(database):
    """Return the documents, without the times at which they were written."""
    left_out = {"next_at": 0, "ordered_at": 0}
    return await database[CHECKOUTS].find({}, left_out).sort("_id", 1).to_list()


async def one_by_one(uri, name):
    async with Recovery(uri, database=name) as recovery:
        for each in reports():
            if isinstance(each, Order):
                await recovery.order(each)
            elif not isinstance(each, Exception):
                await recovery.checkout(each)


def together(uri, name, outbox=None):
    with SyncRecovery(uri, database=name, outbox=outbox) as recovery:
        return list(recovery.report(reports()))


@pytest.mark.parametrize("api", ["asynchronous", "synchronous", "with an outbox"])
async def test_what_is_stored_is_what_single_calls_store(mongodb, database, api, tmp_path):
    """Each report has its result in order, and the documents are those of one call after the other."""
    await one_by_one(mongodb, database.name)
    expected = await stored(database)
    await database[CHECKOUTS].delete_many({})
    if api == "asynchronous":
        async with Recovery(mongodb, database=database.name) as recovery:
            results = [each async for each in recovery.report(reports())]
    else:
        outbox = tmp_path / "outbox" if api == "with an outbox" else None
        results = await asyncio.to_thread(together, mongodb, database.name, outbox)
    assert [each.report or str(each.error) for each in results] == [
        "unreadable" if isinstance(each, Exception) else each for each in reports()
    ]
    assert {each.kept for each in results if each.report} == {Kept.DATABASE}
    assert await stored(database) == expected


async def test_while_the_database_is_away_each_report_says_so(unused_tcp_port):
    """Both APIs yield the error of each, and raise none."""
    uri = f"mongodb://127.0.0.1:{unused_tcp_port}/?serverSelectionTimeoutMS=100&directConnection=true"
    wanted = ["MongoDB did not acknowledge this within"] * 3

    def said(results):
        return [str(each.error)[: len(wanted[0])] for each in results]

    three = [report(str(number)) for number in range(3)]
    async with Recovery(uri) as recovery:
        assert said([each async for each in recovery.report(three)]) == wanted

    def synchronously():
        with SyncRecovery(uri) as recovery:
            return said(recovery.report(three))

    assert await asyncio.to_thread(synchronously) == wanted


async def test_one_that_the_database_refuses_is_refused_alone(mongodb, database):
    """A report that cannot be written fails by itself, with either API."""
    await database.command("collMod", CHECKOUTS, validator={"_id": {"$ne": "shop.example/1"}})
    three = [report(str(number)) for number in range(3)]
    async with Recovery(mongodb, database=database.name) as recovery:
        one = [type(each.error).__name__ async for each in recovery.report(three)]

    def synchronously():
        with SyncRecovery(mongodb, database=database.name) as recovery:
            return [type(each.error).__name__ for each in recovery.report(three)]

    assert one == await asyncio.to_thread(synchronously) == ["NoneType", "Refused", "NoneType"]


def test_the_synchronous_api_takes_no_asynchronous_iterable(mongodb):
    """It says what to give instead."""

    async def reports():
        yield report()

    with SyncRecovery(mongodb) as recovery, pytest.raises(TypeError, match="give one that is not, or use Recovery"):
        next(recovery.report(reports()))
