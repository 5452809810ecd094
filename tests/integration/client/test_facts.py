"""The parts of a total, the link to the order and metadata, on a real mongod: kept, merged, exported, erased."""

from decimal import Decimal

import pytest

from recovery import Order, Recovery
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import report

PARTS = {
    "discount": "5.00",
    "discount_code": "SPRING",
    "shipping": "4.90",
    "tax": "19.00",
    "metadata": {"gift": "yes", "note": "$name {{ x }}"},
}


@pytest.fixture
async def recovery(database):
    async with Recovery(database.client, database=database.name) as recovery:
        yield recovery


async def test_they_are_kept_as_reported_and_the_same_again_changes_nothing(recovery):
    """Metadata in another order is the same report; a changed value is another one."""
    await recovery.checkout(report("1", **PARTS))
    kept = await recovery.get("shop.example", "1")
    assert (kept.facts.discount, kept.facts.tax, kept.facts.metadata) == (
        Decimal("5.00"),
        Decimal("19.00"),
        PARTS["metadata"],
    )
    turned = dict(reversed(PARTS["metadata"].items()))
    await recovery.checkout(report("1", **PARTS | {"metadata": turned}))
    assert (await recovery.get("shop.example", "1")).revision == kept.revision
    await recovery.checkout(report("1", **PARTS | {"metadata": {"gift": "no"}}))
    assert (await recovery.get("shop.example", "1")).facts.metadata == {"gift": "no"}


async def test_an_order_takes_from_its_checkout_what_it_leaves_out(recovery):
    """What an order says takes the place of what the checkout said; its own link is added."""
    await recovery.checkout(report("1", **PARTS))
    order = Order(shop="shop.example", order_id="1", shipping="0.00", order_url="https://shop.example/orders/1")
    await recovery.order(order)
    facts = (await recovery.get("shop.example", "1")).facts
    assert (facts.shipping, facts.tax, facts.discount_code) == (Decimal("0.00"), Decimal("19.00"), "SPRING")
    assert (facts.order_url, facts.metadata) == ("https://shop.example/orders/1", PARTS["metadata"])


async def test_they_are_a_person_s_data(recovery, database):
    """An export has them, and nothing is left of them after an erasure."""
    await recovery.checkout(report("1", **PARTS))
    (exported,) = (await recovery.export("ada@example.com"))["checkouts"]
    assert {name: exported["facts"][name] for name in PARTS} == PARTS
    await recovery.erase("ada@example.com")
    assert await database[CHECKOUTS].count_documents({}) == 0


async def test_a_document_of_a_former_version_is_read(recovery, database):
    """Without any of them, as all were before, a checkout has none."""
    await recovery.checkout(report("1"))
    stored = await database[CHECKOUTS].find_one({"_id": "shop.example/1"})
    assert not PARTS.keys() & stored["facts"].keys()
    facts = (await recovery.get("shop.example", "1")).facts
    assert (facts.discount, facts.order_url, facts.metadata) == (None, None, {})
