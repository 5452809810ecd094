"""Lists, numbers and look-ups of suppressions, on a real mongod."""

from datetime import UTC, datetime, timedelta

import pytest

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo import suppressions as module
from recovery.mongo.collections import SUPPRESSIONS
from recovery.mongo.listing import BadFilter
from recovery.mongo.suppressions import Suppressions

AT = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def suppressions(database):
    """The suppressions of this test's database."""
    return Suppressions(database, Pseudonyms(()))


async def _pages(suppressions, shops, limit, reason=None):
    after = None
    while True:
        page = await suppressions.page(shops, reason, limit, after)
        yield [kept.source for kept in page.suppressions]
        if page.next is None:
            return
        after = page.next


async def test_pages_have_each_once_the_newest_first(suppressions):
    """Those of different reasons are in one order of time."""
    reasons = [SuppressionReason.SHOP, SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBED]
    for number in range(5):
        at = AT + timedelta(hours=number)
        await suppressions.add(f"{number}@example.com", reasons[number % 3], source=str(number), at=at)
    assert [page async for page in _pages(suppressions, (), 2)] == [["4", "3"], ["2", "1"], ["0"]]
    assert [page async for page in _pages(suppressions, (), 9, SuppressionReason.SHOP)] == [["3", "0"]]


async def test_a_list_is_of_its_shops(suppressions):
    """A key of one shop has the list of that shop alone."""
    for shop in ("lamps.example", "shop.example", None):
        await suppressions.add("ada@example.com", SuppressionReason.SHOP, shop=shop, source=str(shop), at=AT)
    assert [page async for page in _pages(suppressions, ("lamps.example",), 9)] == [["lamps.example"]]
    assert await suppressions.counts(("lamps.example",)) == {SuppressionReason.SHOP: 1}


async def test_what_has_ended_or_only_counts_bounces_is_in_no_list(database, suppressions):
    """Neither suppresses anybody."""
    pseudonyms = Pseudonyms(())
    past = {"reason": "soft bounces", "at": AT, "until": AT + timedelta(days=1), "source": "soft bounces"}
    await database[SUPPRESSIONS].insert_one({"_id": f"/{pseudonyms.of('a@example.com')}"} | past)
    await suppressions.bounced(pseudonyms.of("b@example.com"), "report-1")
    assert (await suppressions.page((), None, 9)).suppressions == []
    assert sum((await suppressions.counts(())).values()) == 0


async def test_a_reason_of_a_newer_version_is_listed(database, suppressions):
    """It counts as the shop's own, as it does for mails."""
    kept = {"_id": "/" + "0" * 32, "reason": "blocked by the moon", "at": AT, "source": "newer"}
    await database[SUPPRESSIONS].insert_one(kept)
    assert [each.reason for each in (await suppressions.page((), None, 9)).suppressions] == [SuppressionReason.SHOP]
    assert await suppressions.counts(()) == {SuppressionReason.SHOP: 1}


async def test_counts_are_bounded(suppressions, monkeypatch):
    """One more than are counted stands for more."""
    monkeypatch.setattr(module, "MOST_COUNTED", 2)
    for number in range(5):
        await suppressions.add(f"{number}@example.com", SuppressionReason.SHOP, source="test", at=AT)
    assert await suppressions.counts(()) == {SuppressionReason.SHOP: 3}


async def test_an_address_is_looked_up_in_all_shops_and_in_each_that_is_named(suppressions):
    """However it is written."""
    for shop in ("lamps.example", "shop.example", None):
        await suppressions.add("ada@example.com", SuppressionReason.SHOP, shop=shop, source=str(shop), at=AT)
    found = await suppressions.look_up("Ada@EXAMPLE.com", ["lamps.example"])
    assert [kept.shop for kept in found] == [None, "lamps.example"]
    assert all(suppressions.is_of(kept, "ada@example.com") for kept in found)
    assert await suppressions.look_up("bob@example.com", ["lamps.example"]) == []


async def test_a_list_is_read_from_an_index(database, suppressions):
    """Those of all reasons are merged, and not sorted in memory."""
    query = {"reason": {"$in": ["shop", "complaint"]}}
    cursor = database[SUPPRESSIONS].find(query).sort([("at", -1), ("_id", -1)]).limit(51)
    plan = str((await cursor.explain())["queryPlanner"]["winningPlan"])
    assert "'SORT_MERGE'" in plan
    assert "'SORT'" not in plan


async def test_a_position_that_is_none_is_refused(suppressions):
    """Whatever is in the address of a page, it is an error of the caller."""
    with pytest.raises(BadFilter):
        await suppressions.page((), None, 9, "nonsense")
