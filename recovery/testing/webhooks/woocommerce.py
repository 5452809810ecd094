"""WooCommerce's webhooks: a checkout is an order that waits for its customer."""

import hmac
from base64 import b64encode
from decimal import Decimal
from typing import Any

from recovery.testing.configuration import SECRET
from recovery.testing.webhooks.sample import LATEST, SHOP, Cart, Webhook, encoded


def checkout(cart: Cart | None = None, *, shop: str = SHOP, topic: str = "order.updated", **more: Any) -> Webhook:
    """Return the webhook of an order that is not paid. `more` are fields of its body."""
    return _webhook(cart or Cart(), shop, topic, {"status": "pending"}, more)


def order(cart: Cart | None = None, *, shop: str = SHOP, topic: str = "order.updated", **more: Any) -> Webhook:
    """Return the webhook of a paid order. `more` are fields of its body."""
    return _webhook(cart or Cart(), shop, topic, {"status": "processing"}, more)


def _webhook(cart: Cart, shop: str, topic: str, status: dict[str, Any], more: dict[str, Any]) -> Webhook:
    first, _, last = cart.name.partition(" ")
    total = str(Decimal(cart.price) * cart.quantity)
    line = {"id": 11, "name": cart.item, "quantity": cart.quantity, "total": total, "total_tax": "0.00"}
    body = {
        "id": int(cart.order_id) if cart.order_id.isdigit() else cart.order_id,
        "currency": cart.currency,
        "total": total,
        "date_created_gmt": f"{LATEST:%Y-%m-%dT%H:%M:%S}",
        "date_modified_gmt": f"{LATEST:%Y-%m-%dT%H:%M:%S}",
        "billing": {"first_name": first, "last_name": last, "email": cart.email},
        "payment_url": f"https://{shop}/checkout/order-pay/{cart.order_id}/?pay_for_order=true",
        "created_via": "store-api",
        "line_items": [line],
        **status,
    }
    content = encoded(body, {**cart.more, **more})
    headers = {
        "Content-Type": "application/json",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Source": f"https://{shop}/",
        "X-WC-Webhook-Signature": b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode(),
    }
    return Webhook(f"/webhooks/woocommerce/{shop}", headers, content)
