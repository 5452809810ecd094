"""Shopify's webhooks through HTTP into a real mongod: whatever a version calls it, who has ordered is not reminded."""

import base64
import hashlib
import hmac
import json
from itertools import permutations

import httpx
import pytest
from prometheus_client import CollectorRegistry

from recovery import Customer, Recovery
from recovery.checkout import Status
from recovery.http.app import create_app
from recovery.http.webhooks import ShopifyShop
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.data_requests import DataRequests
from recovery.per_shop import PerShop
from recovery.schedule import Send, decide
from tests.builders import feedback, minutes, report, schedule

SECRET = "hush"
SHOP = "a.myshopify.com"
TOKEN, NUMBER = "2a1ace52255252df", 450789469
LINK = f"https://a.example/548380009/checkouts/{TOKEN}/recover?key=6dacd6065bb80268bda857ee"
LINES = [{"title": "Nano", "price": "10.00", "quantity": 1}]

LEFT = {
    "email": "bob@example.com",
    "updated_at": "2024-05-01T10:00:00-04:00",
    "abandoned_checkout_url": LINK,
    "currency": "USD",
    "total_price": "10.00",
    "line_items": LINES,
}
ORDERED = {
    "id": 820982911946154508,
    "email": "Bob@Example.com",
    "created_at": "2024-05-01T11:00:00-04:00",
    "currency": "USD",
    "total_price": "10.00",
    "financial_status": "paid",
    "line_items": LINES,
}
CHECKOUTS_OF = {
    "2026-04": {**LEFT, "token": TOKEN},
    "2025-10": {**LEFT, "token": TOKEN, "id": NUMBER},
}
ORDERS_OF = {
    "2026-04": {**ORDERED, "checkout_token": TOKEN},
    "2025-10": {**ORDERED, "checkout_token": TOKEN, "checkout_id": NUMBER},
    "2008-01": {**ORDERED, "checkout_token": None, "checkout_id": NUMBER},  # as an order in the documentation has it
}


class House:
    """The API on a real database."""

    def __init__(self, database, *, confirms=False):
        self.database = database
        self.recovery = Recovery(database.client, database=database.name)
        shop = ShopifyShop(SECRET, confirm_orders=confirms)
        app = create_app(
            self.recovery,
            feedback(),
            api_keys=["a key"],
            shopify=PerShop(shop),
            readiness=None,
            registry=CollectorRegistry(),
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")

    async def send(self, topic, payload):
        body = json.dumps(payload).encode()
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Hmac-Sha256": base64.b64encode(
                hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
            ).decode(),
        }
        answer = await self.client.post("/webhooks/shopify", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def kept_by_an_older_version(self):
        """Keep a checkout as versions did that knew no tokens: under its number."""
        await self.recovery.checkout(
            report(str(NUMBER), shop=SHOP, customer=Customer(email="bob@example.com"), checkout_url=LINK)
        )

    async def states(self):
        ids = [each["_id"] async for each in self.database[CHECKOUTS].find({}, {"_id": 1})]
        states, unreadable = await MongoCheckouts(self.database).load(ids)
        assert unreadable == []
        return states

    async def would_send(self):
        """Return every mail that would ever go out, as the schedule has it."""
        found = []
        for state in await self.states():
            for day in range(5):
                at = state.touched_at + minutes(31) + day * minutes(24 * 60)
                if isinstance(decision := decide(state, schedule(), at), Send):
                    found.append(decision.step.name)
        return found


@pytest.fixture
def house(database):
    return House(database)


@pytest.mark.parametrize("legacy", [False, True], ids=["new", "kept by an older version"])
@pytest.mark.parametrize("ordered", sorted(ORDERS_OF))
@pytest.mark.parametrize("left", [None, *sorted(CHECKOUTS_OF)])
async def test_who_has_ordered_is_not_reminded(house, left, ordered, legacy):
    """Whichever API version tells of the checkout and of the order, in whatever order, and whoever kept it before."""
    if ordered == "2008-01" and left == "2026-04" and not legacy:
        pytest.skip("one names the number alone, the other the token alone: no version does both")
    if legacy:
        await house.kept_by_an_older_version()
    told = [("checkouts/update", CHECKOUTS_OF[left])] if left else []
    told += [("orders/create", ORDERS_OF[ordered])]
    for sequence in permutations(told):
        for topic, payload in (*sequence, *sequence):
            await house.send(topic, payload)
        assert {state.status for state in await house.states()} == {Status.ORDERED}
        assert await house.would_send() == []


@pytest.mark.parametrize("first", sorted(CHECKOUTS_OF))
@pytest.mark.parametrize("then", sorted(CHECKOUTS_OF))
async def test_one_checkout_is_one_checkout_whatever_it_is_called(house, first, then):
    """An upgrade in mid-flight makes no second one, which would be reminded of from the beginning."""
    await house.kept_by_an_older_version()
    for version in (first, then):
        later = {**CHECKOUTS_OF[version], "updated_at": "2124-05-01T10:00:00-04:00"}
        await house.send("checkouts/update", later)
    (state,) = await house.states()
    assert state.id == f"{SHOP}/{NUMBER}"


@pytest.mark.parametrize(
    ("changes", "confirmed"),
    [
        ({}, True),
        ({"financial_status": "pending"}, False),
        ({"financial_status": "voided"}, False),
        ({"source_name": "pos"}, False),
        ({"source_name": "shopify_draft_order"}, False),
        ({"test": True}, False),
        ({"cancelled_at": "2024-05-01T11:10:00-04:00"}, False),
    ],
)
async def test_who_waits_for_no_confirmation_gets_none(database, changes, confirmed):
    """Drafts, sales over the counter, tests, and what is cancelled or not paid for stop reminders all the same."""
    house = House(database, confirms=True)
    await house.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await house.send("orders/create", {**ORDERS_OF["2026-04"], **changes})
    assert (await house.would_send())[:1] == (["confirmation"] if confirmed else [])


async def test_an_order_is_confirmed_when_it_is_paid(database):
    """Not before, also where the finished checkout is told of first; and not where Shopify confirms it itself."""
    house = House(database, confirms=True)
    await house.send("checkouts/update", {**CHECKOUTS_OF["2026-04"], "completed_at": "2024-05-01T11:00:00-04:00"})
    assert await house.would_send() == []
    await house.send("orders/create", {**ORDERS_OF["2026-04"], "financial_status": "pending"})
    assert await house.would_send() == []
    await house.send("orders/paid", ORDERS_OF["2026-04"])
    assert (await house.would_send())[:1] == ["confirmation"]
    await house.send("orders/cancelled", {**ORDERS_OF["2026-04"], "cancelled_at": "2024-05-02T11:00:00-04:00"})
    assert await house.would_send() == []


async def test_shopify_s_orders_are_not_confirmed_unless_that_is_asked_for(house):
    """Shopify does it."""
    await house.send("orders/create", ORDERS_OF["2026-04"])
    assert await house.would_send() == []


@pytest.mark.parametrize(
    ("said", "reminded"),
    [
        ({"buyer_accepts_marketing": False}, True),
        ({"customer": {"email_marketing_consent": {"state": "not_subscribed"}}}, True),
        ({"customer": {"email_marketing_consent": {"state": "unsubscribed"}}}, False),
        ({"buyer_accepts_marketing": True, "customer": {"email_marketing_consent": {"state": "unsubscribed"}}}, False),
    ],
)
async def test_a_no_is_heeded(house, said, reminded):
    """Whoever has unsubscribed at Shopify is not reminded; a box left unticked is no refusal."""
    await house.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], **said})
    assert bool(await house.would_send()) == reminded


async def test_a_yes_counts_where_consent_is_required(house):
    """With its time and its kind, as the shop would show it."""
    consent = {"state": "subscribed", "opt_in_level": "confirmed_opt_in", "consent_updated_at": "2024-01-01T00:00:00Z"}
    said = {"customer": {"email": "bob@example.com", "email_marketing_consent": consent}}
    await house.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], **said})
    (state,) = await house.states()
    assert (state.consent.given, state.consent.basis, state.consent.source) == (True, "confirmed opt in", "Shopify")
    decision = decide(state, schedule(require_consent=True), state.touched_at + minutes(31))
    assert isinstance(decision, Send)


async def test_people_are_erased_and_their_requests_kept(house):
    """What Shopify demands is done: what is asked for waits for an operator, and what is redacted is gone."""
    await house.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    person = {"customer": {"id": 1, "email": "BOB@example.com"}}
    asked = {**person, "orders_requested": [1, 2], "data_request": {"id": 9999}}
    for _ in range(2):
        await house.send("customers/data_request", asked)
    requests = DataRequests(house.database)
    (kept,) = await requests.find(done=False)
    assert (kept.id, kept.address, kept.orders) == (f"{SHOP}/9999", "bob@example.com", ("1", "2"))
    assert await requests.done(kept.id)
    assert await requests.find(done=False) == []
    assert len(await requests.find(done=True)) == 1
    await house.send("customers/redact", person)
    assert await house.states() == []
    assert await requests.find(done=True) == []


async def test_a_shop_that_is_gone_is_erased(house):
    """Its own, and nobody else's."""
    await house.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await house.recovery.checkout(report("1", shop="b.myshopify.com"))
    await house.send("shop/redact", {"shop_id": 1, "shop_domain": SHOP})
    assert [state.id for state in await house.states()] == ["b.myshopify.com/1"]


async def test_a_deleted_checkout_is_not_reminded_of(house):
    """However it is kept."""
    await house.kept_by_an_older_version()
    await house.send("checkouts/delete", {"id": NUMBER, "token": TOKEN})
    assert await house.would_send() == []
