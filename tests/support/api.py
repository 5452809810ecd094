"""The HTTP API on an ingestion in memory, and a client of it."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import httpx
from prometheus_client import CollectorRegistry

from recovery.client.many import Window
from recovery.client.reports import Kept
from recovery.daemon.metrics import Telemetry
from recovery.domain.checkout import Facts, checkout_id
from recovery.domain.per_shop import PerShop
from recovery.domain.state import CheckoutState, Claim, Message, MessageState, Past, Status
from recovery.http.app import create_app
from recovery.http.inbound.accesses import WebhookAccess
from recovery.http.keys import unscoped
from recovery.mongo.data_subjects import Receipt
from recovery.mongo.listing import Filters, Page, position
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback

KEY = "k-1234567890"
SECRET = "hush"
AT = datetime(2026, 3, 1, 13, 5, tzinfo=UTC)

CHECKOUT = {
    "shop": "bikes.example",
    "order_id": "1042",
    "customer": {"email": "ada@example.com", "name": "Ada"},
    "items": [{"name": "City bike", "price": "499.00"}],
    "total": "504.90",
    "currency": "EUR",
    "checkout_url": "https://bikes.example/checkouts/1042",
}
ORDER = {"shop": "bikes.example", "order_id": "1042"}


class FakeIngestion:
    """An ingestion in memory that fails on demand."""

    def __init__(self):
        self.reports = []
        self.cancelled = []
        self.left = []
        self.touched = []
        self.paused = []
        self.erased = []
        self.requests = []
        self.listed = []
        self.states = {}
        self.fault = None

    async def checkout(self, report, *, aliases=None, cart=None):
        """Store a checkout."""
        self._keep(report)

    async def order(self, report, *, aliases=None, cart=None, confirm_default=True):
        """Store an order."""
        self._keep(report)

    def report(self, reports):
        """Store each of many reports, or yield its fault."""
        return Window(self._report_all).results(reports)

    async def _report_all(self, calls):
        return await asyncio.gather(*map(self._report, calls), return_exceptions=True)

    async def _report(self, call):
        self._keep(call.report)
        return Kept.DATABASE

    async def erase_shop(self, shop):
        """Record the erasure of a shop."""
        self._fail()
        self.erased.append((None, shop))

    async def request_data(self, shop, id_, email, orders=()):
        """Record a data request."""
        self._fail()
        self.requests.append((shop, id_, email, orders))

    async def cancel(self, shop, order_id, *, aliases=(), cart=None):
        """Record the cancellation of a checkout."""
        self._fail()
        self.cancelled += [(shop, each) for each in (order_id, *aliases)]
        return checkout_id(shop, order_id) in self.states

    async def touch(self, shop, names, *, at=None):
        """Record activity in a cart."""
        self._fail()
        self.touched += [(shop, each, at) for each in names]
        return 0

    async def pause(self, shop, names=None, *, reason="", at=None):
        """Record the pause of checkouts, or of a shop."""
        self._fail()
        if names is None:
            self.left.append(shop)
        else:
            self.paused += [(shop, each, at) for each in names]
            return sum(checkout_id(shop, each) in self.states for each in names)
        return 0

    async def get(self, shop, order_id):
        """Return the checkout from `states`."""
        self._fail()
        return self.states.get(checkout_id(shop, order_id))

    async def list(self, *, shop, limit, after, **filters):
        """Return the checkouts from `states` as one page, once the filters are valid."""
        self._fail()
        shops = tuple(shop or ())
        Filters(shops, **filters)
        if after is not None:
            position(after)
        self.listed.append({"shop": shops, "limit": limit, "after": after} | filters)
        found = [state for id_, state in self.states.items() if not shops or id_.partition("/")[0] in shops]
        return Page(found[:limit])

    async def export(self, email, *, shop=None):
        """Return an export of one checkout."""
        self._fail()
        return {"email": email, "checkouts": [{"_id": f"{shop}/1"}], "dead_letters": [], "suppressions": []}

    async def erase(self, email, *, shop=None):
        """Return a receipt of one checkout."""
        self._fail()
        self.erased.append((email, shop))
        return Receipt((f"{shop}/1",), (), 1)

    def _keep(self, report):
        self._fail()
        self.reports.append(report)

    def _fail(self):
        if self.fault is not None:
            raise self.fault


class Api:
    """The HTTP application with fakes, and a client of it."""

    def __init__(
        self, *, api_keys=(KEY,), keys=(), secret=SECRET, own_secrets=None, base_url="http://localhost", **options
    ):
        """`secret` signs Shopify's webhooks for all shops but those in `own_secrets`, which have one each."""
        self.ingestion = FakeIngestion()
        self.checks = {"mongodb": None}
        self.registry = CollectorRegistry()
        self.app = create_app(
            self.ingestion,
            feedback(),
            api_keys=[*keys, *unscoped(api_keys)],
            webhooks=PerShop(secret, own_secrets or {}).map(lambda each: {"shopify": WebhookAccess([each])}),
            readiness=self._readiness,
            registry=self.registry,
            observer=Telemetry(self.registry),
            **{"max_body": LONGEST_BODY} | options,
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {api_keys[0]}"} if api_keys else {}
        self.client = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)

    async def _readiness(self):
        return self.checks

    async def post(self, path, body, **headers):
        """Post JSON, or bytes that are declared as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(path, content=content, headers={"Content-Type": "application/json", **headers})

    async def webhook(self, body, *, topic="checkouts/create", secret=SECRET, **headers):
        """Send a webhook as Shopify does, signed."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
        sent = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": "a.myshopify.com",
            "X-Shopify-Hmac-Sha256": signature,
        }
        return await self.client.post("/webhooks/shopify", content=content, headers={**sent, **headers})

    def counted(self, kind, answer):
        """Return the count of reports by kind and answer."""
        return self.registry.get_sample_value("recovery_reports_total", {"kind": kind, "answer": answer})


def problem(answer, status):
    """Assert that a response is a problem, and return its details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:recovery:problem:")
    assert told["title"]
    assert told["detail"]
    return told


async def chunks(size):
    sent = 0
    while sent < size:
        yield b" " * 64 * 1024
        sent += 64 * 1024


def state(**changes):
    return CheckoutState(
        **{
            "_id": "bikes.example/1042",
            "status": Status.OPEN,
            "facts": Facts(customer={"email": "ada@example.com"}, items=[{"name": "City bike", "price": "499.00"}]),
            "opened_at": AT,
            "touched_at": AT,
            "revision": 2,
            "messages": {"first": Message(state=MessageState.SENDING, attempts=1, due_at=AT)},
            "claim": Claim(token="t0ken", owner="daemon-7", until=AT),
            "next_at": AT,
            "history": (Past(at=AT, decision="send", reason="first is due"),),
            **changes,
        }
    )


SHOPIFY = {
    "id": 7,
    "email": "bob@example.com",
    "updated_at": "2024-05-01T10:00:00-04:00",
    "abandoned_checkout_url": "https://a.example/recover",
    "currency": "USD",
    "total_price": "10.00",
    "line_items": [{"title": "Nano", "price": "10.00", "quantity": 1}],
}
