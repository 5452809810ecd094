"""Shopify's webhooks, as of API version 2026-04: a checkout and its order share the token."""

import hmac
from base64 import b64encode
from decimal import Decimal
from typing import Any

from recovery.testing.configuration import SECRET
from recovery.testing.webhooks.sample import Cart, Webhook, encoded

SHOP = "lamps.myshopify.com"


def checkout(cart: Cart | None = None, *, shop: str = SHOP, topic: str = "checkouts/update", **more: Any) -> Webhook:
    """Return the webhook of a checkout. `more` are fields of its body."""
    cart = cart or Cart()
    body = {
        "token": cart.order_id,
        "abandoned_checkout_url": f"https://{shop}/checkouts/recover/{cart.order_id}",
        **_common(cart),
    }
    return _signed(topic, shop, encoded(body, {**cart.more, **more}))


def order(cart: Cart | None = None, *, shop: str = SHOP, topic: str = "orders/create", **more: Any) -> Webhook:
    """Return the webhook of a paid order. `more` are fields of its body."""
    cart = cart or Cart()
    body = {
        "id": 820982911946154508,
        "checkout_token": cart.order_id,
        "financial_status": "paid",
        "source_name": "web",
        **_common(cart),
    }
    return _signed(topic, shop, encoded(body, {**cart.more, **more}))


def _common(cart: Cart) -> dict[str, Any]:
    first, _, last = cart.name.partition(" ")
    line = {"title": cart.item, "price": cart.price, "quantity": cart.quantity}
    return {
        "email": cart.email,
        "customer": {"email": cart.email, "first_name": first, "last_name": last},
        "currency": cart.currency,
        "total_price": str(Decimal(cart.price) * cart.quantity),
        "line_items": [line],
    }


def _signed(topic: str, shop: str, body: bytes) -> Webhook:
    digest = hmac.digest(SECRET.encode(), body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-Hmac-Sha256": b64encode(digest).decode(),
    }
    return Webhook("/webhooks/shopify", headers, body)
