"""Shopify's webhooks over HTTP into a real database, and a checkout with its order as several versions tell of them."""

import base64
import hashlib
import hmac
import json

import httpx
from prometheus_client import CollectorRegistry

from recovery import Customer, Recovery
from recovery.daemon.metrics import Telemetry
from recovery.domain.decision import Send, decide
from recovery.domain.per_shop import PerShop
from recovery.http.app import create_app
from recovery.http.inbound.accesses import WebhookAccess
from recovery.http.keys import unscoped
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import minutes, report, schedule
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback

SECRET = "hush"
SHOP = "a.myshopify.com"
TOKEN, NUMBER = "2a1ace52255252df", 450789469
CART = "Z2NwLXVzLWVhc3QxOjAxSEdGTjdI"
LINK = f"https://a.example/548380009/checkouts/ac/{CART}/recover?key=6dacd6065bb80268bda857ee"
LINK_OF_OLD = f"https://a.example/548380009/checkouts/{TOKEN}/recover?key=6dacd6065bb80268bda857ee"
LINES = [{"title": "Nano", "price": "10.00", "quantity": 1}]

LEFT = {
    "email": "bob@example.com",
    "cart_token": CART,
    "updated_at": "2024-05-01T10:00:00-04:00",
    "abandoned_checkout_url": LINK,
    "currency": "USD",
    "total_price": "10.00",
    "line_items": LINES,
}
ORDERED = {
    "id": 820982911946154508,
    "cart_token": CART,
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
    "2008-01": {
        **ORDERED,
        "cart_token": None,
        "checkout_token": None,
        "checkout_id": NUMBER,
    },  # as an order in the documentation has it
}


class ShopWorld:
    """The API on a real database."""

    def __init__(self, database, *, confirms=False):
        self.database = database
        self.recovery = Recovery(database.client, database=database.name)
        access = WebhookAccess([SECRET], confirm_orders=confirms)
        app = create_app(
            self.recovery,
            feedback(),
            api_keys=unscoped(["a key"]),
            webhooks=PerShop({"shopify": access}),
            max_body=LONGEST_BODY,
            readiness=None,
            registry=CollectorRegistry(),
            observer=Telemetry(CollectorRegistry()),
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

    async def kept_by_an_older_version(self, link=LINK):
        """Keep a checkout as versions did that knew no tokens: under its number."""
        await self.recovery.checkout(
            report(str(NUMBER), shop=SHOP, customer=Customer(email="bob@example.com"), checkout_url=link)
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
