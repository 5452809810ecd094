"""Every shop platform as its adapter meets it: how it signs, and what it says of one checkout and its order.

The conformance suite (tests/contract/shops) runs over all adapters, and fails for one that has no platform here.
"""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recovery.http.inbound.accesses import WebhookAccess
from tests.support import saleor_bodies, shopify_bodies, stripe_events, woocommerce_bodies
from tests.support.signatures import KEY, OTHER_KEY, detached, jwk

FIRST, SECOND, WRONG = "the first secret", "the second secret", "a wrong secret"
"""Secrets by which a request is signed: the first two are configured."""

Headers = dict[str, str]
Payload = Mapping[str, Any]

KEYS = {FIRST: ("1", KEY), SECOND: ("2", OTHER_KEY), WRONG: ("1", OTHER_KEY)}
KEY_SET = json.dumps({"keys": [jwk("1", KEY), jwk("2", OTHER_KEY)]}).encode()


@dataclass(frozen=True)
class Platform:
    """One platform. A payload is a pair: the topic, where a header names it, and the body as an object."""

    sign: Callable[[bytes, str, datetime], Headers]
    """The headers of a signature: of a body, by a secret, at a time."""

    left: tuple[str, Payload]
    """A checkout."""

    changed: tuple[str, Payload]
    """The same checkout, later, with another total."""

    ordered: tuple[str, Payload]
    """Its order."""

    other: tuple[str, Payload]
    """What is about something else."""

    checkout_id: str
    total: str
    """The total of the changed checkout."""

    shop: str = "lamps.example"
    topic: Callable[[str], Headers] = lambda _topic: {}
    """The headers that name a topic and whatever else is not signed."""

    access: WebhookAccess = field(default_factory=lambda: WebhookAccess([FIRST, SECOND]))
    timed: bool = False
    """Whether a signature holds for a limited time only."""

    ping: bytes | None = None
    """The unsigned question that the platform asks when a webhook is set up."""


def _in_base64(header: str) -> Callable[[bytes, str, datetime], Headers]:
    def sign(body: bytes, secret: str, _at: datetime) -> Headers:
        return {header: base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()}

    return sign


def _by_stripe(body: bytes, secret: str, at: datetime) -> Headers:
    seconds = int(at.timestamp())
    signed = hmac.digest(secret.encode(), f"{seconds}.".encode() + body, "sha256").hex()
    return {"Stripe-Signature": f"t={seconds},v1={signed}"}


def _by_saleor(body: bytes, secret: str, _at: datetime) -> Headers:
    kid, key = KEYS[secret]
    return {"Saleor-Signature": detached(body, key, kid=kid)}


def _shopify_topic(topic: str) -> Headers:
    return {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": "lamps.myshopify.com"}


LATER = datetime(2026, 3, 1, 13, tzinfo=UTC)

PLATFORMS: Mapping[str, Platform] = {
    "saleor": Platform(
        sign=_by_saleor,
        left=("checkout_created", saleor_bodies.checkout()),
        changed=(
            "checkout_updated",
            saleor_bodies.checkout(
                updatedAt=LATER.isoformat(), totalPrice={"gross": {"amount": 64.6, "currency": "EUR"}}
            ),
        ),
        ordered=("order_created", saleor_bodies.order()),
        other=("product_updated", {"product": {"id": "UHJvZHVjdDox"}}),
        checkout_id=saleor_bodies.CHECKOUT_ID,
        total="64.6",
        topic=lambda topic: {"Saleor-Event": topic},
        access=WebhookAccess(
            checkout_url="https://lamps.example/checkout?checkout={id}", address="https://lamps.saleor.cloud"
        ),
    ),
    "shopify": Platform(
        sign=_in_base64("X-Shopify-Hmac-Sha256"),
        left=("checkouts/create", shopify_bodies.checkout(token="t0k3n")),
        changed=(
            "checkouts/update",
            shopify_bodies.checkout(token="t0k3n", updated_at="2024-05-01T10:30:00-04:00", total_price="608.94"),
        ),
        ordered=("orders/create", shopify_bodies.order(checkout_token="t0k3n", financial_status="paid")),
        other=("products/update", {"id": 1}),
        checkout_id="t0k3n",
        total="608.94",
        shop="lamps.myshopify.com",
        topic=_shopify_topic,
    ),
    "stripe": Platform(
        sign=_by_stripe,
        left=("", stripe_events.event()),
        changed=("", stripe_events.event(at=stripe_events.CREATED + 60, amount_total=6460)),
        ordered=("", stripe_events.completed()),
        other=("", {**stripe_events.event(), "type": "product.updated", "data": {"object": {"object": "product"}}}),
        checkout_id=stripe_events.SESSION["id"],
        total="64.60",
        timed=True,
    ),
    "woocommerce": Platform(
        sign=_in_base64("X-WC-Webhook-Signature"),
        left=("order.created", woocommerce_bodies.order()),
        changed=("order.updated", woocommerce_bodies.order(date_modified_gmt="2026-11-24T17:15:00", total="64.90")),
        ordered=("order.updated", woocommerce_bodies.order("processing", date_paid_gmt="2026-11-24T17:21:31")),
        other=("product.updated", {"id": 90}),
        checkout_id="1042",
        total="64.90",
        topic=lambda topic: {"X-WC-Webhook-Topic": topic},
        ping=b"webhook_id=12",
    ),
}
