"""The change feed on real change streams, with faults injected by fail points."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest
from pymongo.errors import OperationFailure

from recovery import Order, Recovery
from recovery.mongo import feed as feed_module
from recovery.mongo.collections import CHECKOUTS, SHADOWS
from recovery.mongo.feed import FIRST_START, GONE, REPORTED, Feed
from tests.support.builders import NOON, report


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Shorten the pause between attempts to open a stream."""
    monkeypatch.setattr(feed_module, "AGAIN_AFTER", 0.01)
    monkeypatch.setattr(feed_module, "AWAIT_MS", 50)


@asynccontextmanager
async def following(database, stream, token=None):
    """Follow a stream; the first batch of a new one has been consumed."""
    feed = Feed(database, stream)
    async with aclosing(feed.follow(token)) as batches:
        if token is None:
            first = await anext(batches)
            assert (list(first.ids), first.lost) == ([], FIRST_START)
        yield feed, batches


async def ids(batches, count):
    """Consume batches until they have brought this many ids."""
    found = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += (await anext(batches)).ids
    return found


@asynccontextmanager
async def failing(database, command, code, times):
    """Make the server fail a command with a code, this many times."""
    admin = database.client.admin
    data = {"failCommands": [command], "errorCode": code, "namespace": f"{database.name}.{SHADOWS}"}
    await admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=data)
    try:
        yield
    finally:
        await admin.command("configureFailPoint", "failCommand", mode="off")


async def shadows(database, *names):
    await database[SHADOWS].insert_many([{"_id": name, "expire_at": NOON.replace(year=2100)} for name in names])


async def test_every_report_that_changes_something_is_told_of(database, database_name):
    """Inserts and new revisions arrive; repeated reports and the daemon's own writes do not."""
    recovery = Recovery(database.client, database=database_name)
    async with following(database, REPORTED) as (_, batches):
        await recovery.checkout(report("1"))
        assert await ids(batches, 1) == ["shop.example/1"]
        await recovery.checkout(report("1"))
        await database[CHECKOUTS].update_one({"_id": "shop.example/1"}, {"$set": {"next_at": NOON}})
        await recovery.order(Order(shop="shop.example", order_id="2"))
        assert await ids(batches, 1) == ["shop.example/2"]
        await recovery.checkout(report("1", total="9"))
        assert await ids(batches, 1) == ["shop.example/1"]


async def test_every_shadow_that_goes_is_told_of(database):
    """Every deletion of a shadow arrives; setting and moving one does not."""
    async with following(database, GONE) as (_, batches):
        await shadows(database, "a/1", "a/2")
        await database[SHADOWS].update_one({"_id": "a/1"}, {"$set": {"expire_at": NOON.replace(year=2101)}})
        await database[SHADOWS].delete_many({})
        assert sorted(await ids(batches, 2)) == ["a/1", "a/2"]


async def test_ttl_s_own_deletions_are_told_of(database):
    """MongoDB's TTL monitor causes the same event, without any process of ours."""
    async with following(database, GONE) as (_, batches):
        await database[SHADOWS].insert_one({"_id": "a/1", "expire_at": NOON.replace(year=2020)})
        assert await ids(batches, 1) == ["a/1"]


async def test_a_position_goes_on_where_it_was(database):
    """Events since a saved token, while no one followed, arrive later."""
    async with following(database, GONE) as (_, batches):
        await shadows(database, "a/1", "a/2")
        await database[SHADOWS].delete_one({"_id": "a/1"})
        while not (batch := await anext(batches)).ids:
            pass
    await database[SHADOWS].delete_one({"_id": "a/2"})
    async with following(database, GONE, batch.token) as (_, batches):
        assert await ids(batches, 1) == ["a/2"]


async def test_the_position_of_a_quiet_stream_moves(database):
    """Without events the token still moves, so that it never falls out of the history."""
    async with following(database, GONE) as (_, batches):
        first = await anext(batches)
        await database["unrelated"].insert_one({})
        async with asyncio.timeout(30):
            while (later := await anext(batches)).token == first.token:
                pass
        assert (first.ids, later.ids) == ([], [])


@pytest.mark.parametrize("command", ["aggregate", "getMore"])
@pytest.mark.parametrize("code", [286, 280, 260])
async def test_lost_history_is_told_of_and_followed_anew(database, command, code):
    """If the server refuses the position, a new stream is opened first, then the gap is reported."""
    async with following(database, GONE) as (_, batches):
        token = (await anext(batches)).token
    async with failing(database, command, code, times=1), following(database, GONE, token) as (_, batches):
        async with asyncio.timeout(30):
            while not (await anext(batches)).lost:
                pass
        await shadows(database, "a/1")
        await database[SHADOWS].delete_many({})
        assert await ids(batches, 1) == ["a/1"]


@pytest.mark.parametrize("command", ["aggregate", "getMore"])
async def test_a_fault_that_passes_loses_nothing(database, command):
    """After a failure unrelated to the position, the stream resumes at it: nothing is lost."""
    async with following(database, GONE) as (_, batches):
        token = (await anext(batches)).token
    await shadows(database, "a/1")
    await database[SHADOWS].delete_many({})
    async with failing(database, command, 8, times=3), following(database, GONE, token) as (feed, batches):
        assert await ids(batches, 1) == ["a/1"]
        assert feed.fault is None


async def test_a_dropped_collection_is_told_of_and_followed_anew(database):
    """After a drop the stream ends; the gap is reported, and the new collection is followed."""
    async with following(database, GONE) as (_, batches):
        await shadows(database, "a/1")
        await database[SHADOWS].drop()
        async with asyncio.timeout(30):
            while not (batch := await anext(batches)).lost:
                pass
        assert "dropped" in batch.lost
        await shadows(database, "a/2")
        await database[SHADOWS].delete_many({})
        assert await ids(batches, 1) == ["a/2"]


async def test_a_refused_position_is_never_sent_again(database, monkeypatch):
    """An invalid token is given up at once: the second attempt is without it."""
    sent = []
    watch = Feed(database, GONE)._collection.__class__.watch

    async def watched(self, *args, resume_after=None, **kwargs):
        sent.append(resume_after)
        return await watch(self, *args, resume_after=resume_after, **kwargs)

    monkeypatch.setattr(Feed(database, GONE)._collection.__class__, "watch", watched)
    bad = {"_data": "00"}
    async with aclosing(Feed(database, GONE).follow(bad)) as batches, asyncio.timeout(30):
        assert (await anext(batches)).lost
    assert sent == [bad, None]


async def test_the_server_knows_what_it_refuses(database):
    """The error code of an invalid token is in the list of refusals."""
    with pytest.raises(OperationFailure) as refused:
        async with await database[SHADOWS].watch([], resume_after={"_data": "00"}):
            pass
    assert refused.value.code in feed_module.REFUSED
