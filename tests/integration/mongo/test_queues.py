"""The order of due checkouts, on a real mongod: confirmations first, shops in turn, one shop's load costs no other."""

from datetime import timedelta

import pytest

from recovery.domain.state import Status
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.queues import ALL, Shops
from tests.support.builders import NOON, minutes, report, state

SOON = NOON + minutes(60)


class Queue:
    """A database with checkouts inserted as documents."""

    def __init__(self, database):
        self.database = database
        self.checkouts = MongoCheckouts(database)

    async def put(self, shop, count, *, first=0, named=True, **changes):
        """Insert due checkouts of a shop, one after the other; without `shop`, as an older version stored them."""
        kept = []
        for number in range(first, first + count):
            document = state(next_at=NOON + timedelta(seconds=number)).model_dump(by_alias=True)
            named_ = {"shop": shop} if named else {}
            kept.append(document | {"_id": f"{shop}/{number}", "facts": report().facts()} | named_ | changes)
        await self.database[CHECKOUTS].insert_many(kept)

    async def due(self, limit=10, shops=ALL, mine=lambda _: True):
        return await self.checkouts.due(SOON, limit, mine, shops)


@pytest.fixture
def queue(database):
    return Queue(database)


async def test_of_one_shop_the_longest_due_comes_first(queue):
    """They come by time, up to the limit, filtered by `mine`."""
    await queue.put("a", 20)
    assert await queue.due(3) == ["a/0", "a/1", "a/2"]
    assert await queue.due(3, mine=lambda id_: id_.endswith("5")) == ["a/5", "a/15"]


async def test_confirmations_come_before_all_reminders(queue):
    """Confirmations come first, however many reminders are due."""
    await queue.put("a", 50)
    await queue.put("b", 2, first=100, status=Status.ORDERED)
    assert (await queue.due(5))[:2] == ["b/100", "b/101"]


async def test_shops_have_their_turns(queue):
    """A busy shop does not hold up the others."""
    await queue.put("hot", 100)
    await queue.put("a", 3, first=200)
    await queue.put("b", 3, first=300)
    found = await queue.due(12)
    assert {id_.partition("/")[0] for id_ in found[:3]} == {"hot", "a", "b"}
    assert len(found) == 12


async def test_every_shop_has_a_turn_some_time(queue):
    """With more shops than are queried at once, each gets its turn."""
    for number in range(80):
        await queue.put(f"s{number:02}", 1)
    seen = set()
    for _ in range(10):
        seen |= {id_.partition("/")[0] for id_ in await queue.due(20)}
    assert len(seen) == 80


async def test_a_shop_that_is_new_is_found_at_once(queue):
    """The cached list of shops does not hide a shop that has become due."""
    assert await queue.due() == []
    await queue.put("new", 2)
    assert await queue.due() == ["new/0", "new/1"]
    await queue.put("newer", 1, first=5)
    assert set(await queue.due()) == {"new/0", "new/1", "newer/5"}


async def test_what_an_older_version_kept_is_found_as_well(queue):
    """Checkouts without a shop are a queue of their own, which every lane looks at."""
    await queue.put("old", 2, named=False)
    await queue.put("new", 2)
    assert set(await queue.due()) == {"old/0", "old/1", "new/0", "new/1"}


async def test_a_lane_sees_its_shops_alone(queue):
    """A set of shops can include or exclude."""
    for shop in ("a", "b", "c"):
        await queue.put(shop, 1)
        await queue.put(shop, 1, first=500, status=Status.ORDERED)
    assert set(await queue.due(shops=Shops(only=frozenset({"b"})))) == {"b/0", "b/500"}
    assert set(await queue.due(shops=Shops(but=frozenset({"b"})))) == {"a/0", "a/500", "c/0", "c/500"}


async def test_what_another_lane_has_due_costs_nothing(queue):
    """The number of index keys examined does not grow with another lane's backlog."""
    await queue.put("mine", 5)
    lane = Shops(but=frozenset({"down"}))

    async def keys_examined():
        fresh = Queue(queue.database)
        await queue.database.command("profile", 2)
        try:
            assert await fresh.due(shops=lane) == [f"mine/{number}" for number in range(5)]
        finally:
            await queue.database.command("profile", 0)
        found = queue.database["system.profile"].find({"ns": f"{queue.database.name}.{CHECKOUTS}"})
        examined = sum([each.get("keysExamined", 0) async for each in found])
        await queue.database["system.profile"].drop()
        return examined

    await queue.put("down", 1, first=10_000)
    before = await keys_examined()
    await queue.put("down", 3000)
    assert await keys_examined() == before


async def test_what_is_soon_is_found_by_shop_and_unclaimed(queue):
    """`soon` yields in parts, for the lane's shops, without checkouts that wait for the end of a lease."""
    await queue.put("a", 5)
    await queue.put("b", 5)
    await queue.put("a", 1, first=50, claim={"token": "t", "owner": "o", "until": SOON})
    only_a = Shops(only=frozenset({"a"}))
    found = [ids async for ids in queue.checkouts.soon(NOON, SOON, 2, lambda _: True, only_a)]
    assert found == [["a/1", "a/2"], ["a/3", "a/4"]]
