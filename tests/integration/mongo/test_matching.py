"""Ids of checkouts by the filters of a list, and by their order ids."""

import pytest

from recovery import Checkout, Recovery
from recovery.domain.state import MessageState, Status
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.listing import Filters
from recovery.mongo.matching import Matching
from tests.integration.mongo.test_listing import SENT, document
from tests.support.builders import NOON, minutes, report


@pytest.fixture
async def matching(database):
    """What is tested, on checkouts of two shops."""
    made = [
        document(1),
        document(2, messages={"reminder-1": SENT}, at=1),
        document(3, messages={"reminder-1": SENT}, status="finished", at=2),
        document(4, status="ordered", at=3),
        document(5, shop="other.example", at=4, email="bo@example.com"),
    ]
    await database[CHECKOUTS].insert_many(made)
    return Matching(database)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (Filters(("shop.example",)), {"shop.example/1", "shop.example/2"}),
        (Filters(("shop.example",), Status.OPEN), {"shop.example/1", "shop.example/2"}),
        (Filters(("shop.example",), Status.ORDERED), set()),
        (Filters(("shop.example",), step="reminder-1", state=MessageState.SENT), {"shop.example/2"}),
        (Filters(("shop.example", "other.example"), since=NOON + minutes(1)), {"shop.example/2", "other.example/5"}),
        (Filters(("shop.example",), until=NOON + minutes(1)), {"shop.example/1"}),
        (Filters(email="bo@example.com"), {"other.example/5"}),
    ],
    ids=["shop", "open", "ordered", "step", "since", "until", "email"],
)
async def test_open_checkouts_are_found_by_every_filter(matching, filters, ids):
    """And those alone that are open."""
    assert {id_ async for id_ in matching.open(filters)} == ids


async def test_an_order_id_is_looked_for_in_the_given_shops(matching):
    """By itself, or by the whole key."""
    assert await matching.named(["shop.example"], "5") == []
    assert await matching.named(["shop.example", "other.example"], "5") == ["other.example/5"]
    assert await matching.named([], "other.example/5") == ["other.example/5"]


async def test_an_order_id_is_any_of_the_names(matching, database):
    """As the client's `get` has it."""
    recovery = Recovery(database.client, database=database.name)
    await recovery.checkout(Checkout(**dict(report("9"))), aliases=["#1009"])
    assert await matching.named(["shop.example"], "#1009") == ["shop.example/9"]
    assert await matching.named(["other.example"], "#1009") == []


async def test_the_shops_are_read_one_after_the_other(matching):
    """Up to a number of them."""
    assert await matching.shops(10) == ["other.example", "shop.example"]
    assert await matching.shops(1) == ["other.example"]
