"""WooCommerce's webhooks and what our plug-in reports, into a real mongod: they are about the same checkout."""

from datetime import UTC, datetime
from itertools import permutations

import pytest

from recovery import Checkout, Customer, Item, Order, Recovery
from recovery.domain.state import Status
from recovery.mongo.collections import CHECKOUTS
from tests.support.shop_platforms import PLATFORMS
from tests.support.webhook_world import WebhookWorld
from tests.support.woocommerce_bodies import order

SHOP, KEY = PLATFORMS["woocommerce"].shop, "woo-7f3a"
OURS = [{"id": 5, "key": "_recovery_checkout", "value": KEY}]
TYPED = Checkout(
    shop=SHOP,
    order_id=KEY,
    customer=Customer(email="zoe.bronte@example.com"),
    items=(Item(name="Lamp", price="20.00"),),
    total="20.00",
    currency="EUR",
    checkout_url="https://lamps.example/kasse/?recovery=abc.def",
    touched_at=datetime(2026, 11, 24, 17, 0, tzinfo=UTC),
)


class Shop(WebhookWorld):
    """A shop with webhooks and our plug-in, on a real database."""

    def __init__(self, database):
        super().__init__(Recovery(database.client, database=database.name))
        self.checkouts = database[CHECKOUTS]

    async def order(self, status, **changes):
        """Send the webhook of an order with this status."""
        body = order(status, meta_data=OURS, **changes)
        assert (await self.send("woocommerce", ("order.updated", body))).status_code == 200

    async def statuses(self):
        """Return the status of each stored checkout, by its key."""
        return {each["_id"]: each["status"] async for each in self.checkouts.find({})}


@pytest.fixture
def shop(database):
    return Shop(database)


async def test_a_typed_address_an_unpaid_order_and_its_payment_are_one_checkout(shop):
    """In whichever order they arrive: it ends ordered, and there is no other one to be reminded of."""
    for steps in permutations(["typed", "pending", "processing", "placed"]):
        await shop.checkouts.delete_many({})
        for step in (*steps, *steps):
            if step == "typed":
                await shop.ingestion.checkout(TYPED)
            elif step == "placed":
                await shop.ingestion.order(Order(shop=SHOP, order_id=KEY, confirm=False))
            else:
                await shop.order(step)
        assert await shop.statuses() == {f"{SHOP}/{KEY}": Status.ORDERED}, steps


async def test_an_unpaid_order_is_reminded_of_with_the_page_to_pay_it(shop):
    """What the plug-in reported before has an older time, and does not come back."""
    await shop.ingestion.checkout(TYPED)
    await shop.order("pending")
    await shop.ingestion.checkout(TYPED)
    state = await shop.ingestion.get(SHOP, "1042")
    assert (state.id, state.status) == (f"{SHOP}/{KEY}", Status.OPEN)
    assert state.facts.checkout_url == order()["payment_url"]


async def test_a_deleted_order_is_found_by_its_number(shop):
    """Its webhook has nothing else."""
    await shop.ingestion.checkout(TYPED)
    await shop.order("failed")
    assert (await shop.send("woocommerce", ("order.deleted", {"id": 1042}))).status_code == 200
    assert await shop.statuses() == {f"{SHOP}/{KEY}": Status.CANCELLED}
