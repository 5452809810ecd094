"""Allowances: how many messages the rates of a relay leave, on a real mongod."""

import asyncio

from recovery.domain.rate import Rate
from recovery.engine.ports import Grant
from recovery.mongo.allowances import SLOTS, MongoAllowance

DAY = 24 * 3600 * 1000


def allowance(database, *rates, relay="relay.example:25"):
    return MongoAllowance(database, relay, [Rate.parse(rate) for rate in rates])


async def pass_time(database, milliseconds):
    """Let the windows be so much older."""
    older = {"$subtract": ["$$this.at", milliseconds]}
    async for document in database["allowances"].find():
        used = {
            name: {"$map": {"input": f"$used.{name}", "in": {"at": older, "n": "$$this.n"}}}
            for name in document["used"]
        }
        await database["allowances"].update_one({"_id": document["_id"]}, [{"$set": {"used": used}}])


async def test_no_more_is_granted_than_the_rate_allows(database):
    mine = allowance(database, "100/d")
    assert await mine.take(60) == Grant(60)
    assert await mine.take(60) == Grant(40)
    refused = await mine.take(1)
    assert refused.count == 0
    assert DAY * 0.9 < refused.wait * 1000 <= DAY * (1 + 1 / SLOTS)


async def test_what_has_left_the_window_is_granted_again(database):
    mine = allowance(database, "100/d")
    await mine.take(70)
    await pass_time(database, DAY // 2)
    await mine.take(30)
    await pass_time(database, DAY * 5 // 9)
    assert (await mine.take(100)).count == 70
    assert (await mine.take(1)).count == 0


async def test_the_wait_ends_when_the_oldest_slot_leaves_the_window(database):
    mine = allowance(database, "10/d")
    await mine.take(10)
    await pass_time(database, DAY // 2)
    wait = (await mine.take(1)).wait
    await pass_time(database, int(wait * 1000) + 1)
    assert (await mine.take(10)).count == 10


async def test_all_rates_hold_at_once(database):
    mine = allowance(database, "50/h", "80/d")
    assert await mine.take(100) == Grant(50)
    await pass_time(database, 2 * 3600 * 1000)
    assert await mine.take(100) == Grant(30)
    await pass_time(database, 2 * 3600 * 1000)
    assert (await mine.take(100)).count == 0


async def test_daemons_share_it_and_it_outlives_them(database):
    grants = await asyncio.gather(*(allowance(database, "100/d").take(7) for _ in range(40)))
    assert sum(grant.count for grant in grants) == 100
    assert (await allowance(database, "100/d").take(1)).count == 0


async def test_each_relay_has_its_own(database):
    await allowance(database, "10/d").take(10)
    assert (await allowance(database, "10/d", relay="other.example:25").take(10)).count == 10


async def test_a_changed_rate_counts_anew(database):
    """The window of another rate says nothing of this one's slots; the relay throttles if that was too much."""
    await allowance(database, "10/d").take(10)
    assert (await allowance(database, "20/d").take(20)).count == 20


async def test_a_busy_window_stays_small(database):
    mine = allowance(database, "1000000/s")
    for _ in range(200):
        await mine.take(10)
    document = await database["allowances"].find_one()
    assert len(document["used"]["1000000/s"]) <= SLOTS + 1


async def test_nothing_is_counted_where_nothing_is_granted(database):
    mine = allowance(database, "10/d")
    await mine.take(10)
    for _ in range(5):
        await mine.take(3)
    [slot] = (await database["allowances"].find_one())["used"]["10/d"]
    assert slot["n"] == 10
