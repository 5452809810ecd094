"""Group commit on a real MongoDB: concurrent writes share a command, and each caller gets its own result."""

import asyncio

import pytest
from bson.errors import InvalidDocument
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from recovery import Recovery
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.group_commit import GroupCommit
from recovery.mongo.intake import Write, checkout_write
from tests.support.builders import report
from tests.support.commands import Commands, statements


@pytest.fixture
def commands():
    return Commands(statements)


@pytest.fixture
async def recovery(mongodb, database_name, database, commands):
    async with AsyncMongoClient(mongodb, tz_aware=True, event_listeners=[commands]) as client:
        yield Recovery(client, database=database_name)


@pytest.fixture
def group(database):
    return GroupCommit(database[CHECKOUTS])


async def kept(database):
    return {document["_id"] async for document in database[CHECKOUTS].find({}, {"_id": 1})}


async def test_concurrent_calls_share_a_write(recovery, database, commands):
    """Sixty-four concurrent calls are two commands, and all are stored."""
    await asyncio.gather(*(recovery.checkout(report(str(number))) for number in range(64)))
    assert commands.noted == [32, 32]
    assert len(await kept(database)) == 64


async def test_a_lone_call_waits_for_nobody(recovery, database, commands):
    """A call during another group's write goes out by itself, and may end before it."""
    slow = {"failCommands": ["update"], "blockConnection": True, "blockTimeMS": 1500}
    slow["namespace"] = f"{database.name}.{CHECKOUTS}"
    await database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=slow)
    first = asyncio.create_task(recovery.checkout(report("1")))
    while not commands.noted:
        await asyncio.sleep(0)
    await recovery.checkout(report("2"))
    assert not first.done()
    await first
    assert commands.noted == [1, 1]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Write({"_id": "bad"}, [{"$replaceWith": {"_id": "bad", "status": 7}}], True), PyMongoError),
        (Write({"_id": "bad"}, [{"$replaceWith": {"_id": "bad", "status": object()}}], True), InvalidDocument),
    ],
    ids=["refused by the server", "refused by the driver"],
)
async def test_a_failed_member_fails_alone(group, database, bad, error):
    """A write that is refused raises for its caller alone; the others are stored."""
    good = [checkout_write(report(str(number))) for number in range(3)]
    writes = [group.write(write) for write in (*good[:2], bad, good[2])]
    first, second, failed, third = await asyncio.gather(*writes, return_exceptions=True)
    assert (first, second, third) == (None, None, None)
    assert isinstance(failed, error)
    assert await kept(database) == {"shop.example/1", "shop.example/2", "shop.example/0"}


async def test_what_the_majority_did_not_acknowledge_fails_for_all(group, database):
    """Without the majority's acknowledgement, every caller of the group gets an error."""
    told = {"failCommands": ["update"], "writeConcernError": {"code": 64, "errmsg": "waiting timed out"}}
    told["namespace"] = f"{database.name}.{CHECKOUTS}"
    await database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=told)
    writes = [group.write(checkout_write(report(str(number)))) for number in range(3)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [(type(each).__name__, each.code) for each in outcomes] == [("WriteConcernError", 64)] * 3


async def test_a_caller_that_goes_away_takes_nobody_along(group, database):
    """A cancelled call ends; the others of its group are stored."""
    writes = [asyncio.ensure_future(group.write(checkout_write(report(str(number))))) for number in range(3)]
    await asyncio.sleep(0)
    writes[1].cancel()
    assert await asyncio.gather(writes[0], writes[2]) == [None, None]
    assert {"shop.example/0", "shop.example/2"} <= await kept(database)
