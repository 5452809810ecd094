"""Stripe Checkout's webhooks: a checkout is reported when its session expires."""

import hmac
import json
from decimal import Decimal
from typing import Any

from recovery.shops.stripe import ITEMS, NO_DECIMALS, THREE_DECIMALS
from recovery.testing.configuration import SECRET
from recovery.testing.webhooks.sample import LATEST, SHOP, Cart, Webhook, encoded

TIME = int(LATEST.timestamp())


def checkout(cart: Cart | None = None, *, shop: str = SHOP, **more: Any) -> Webhook:
    """Return the webhook of a session that expired, of a customer who agreed to promotions.

    `more` are fields of the session.
    """
    cart = cart or Cart()
    link = {"enabled": True, "url": f"https://buy.stripe.example/r/{cart.order_id}"}
    expired = {"status": "expired", "payment_status": "unpaid", "after_expiration": {"recovery": link}}
    return _webhook(cart, shop, "expired", expired, more)


def order(cart: Cart | None = None, *, shop: str = SHOP, **more: Any) -> Webhook:
    """Return the webhook of a session that was paid. `more` are fields of the session."""
    return _webhook(cart or Cart(), shop, "completed", {"status": "complete", "payment_status": "paid"}, more)


def _webhook(cart: Cart, shop: str, kind: str, status: dict[str, Any], more: dict[str, Any]) -> Webhook:
    decimals = 0 if cart.currency in NO_DECIMALS else 3 if cart.currency in THREE_DECIMALS else 2
    items = [{"name": cart.item, "price": cart.price, "quantity": cart.quantity}]
    session = {
        "id": cart.order_id,
        "object": "checkout.session",
        "mode": "payment",
        "amount_total": int((Decimal(cart.price) * cart.quantity).scaleb(decimals)),
        "currency": cart.currency.lower(),
        "customer_details": {"email": cart.email, "name": cart.name},
        "consent": {"promotions": "opt_in"},
        "recovered_from": None,
        "metadata": {ITEMS: json.dumps(items)},
        **status,
        **cart.more,
        **more,
    }
    event = {"id": "evt_1042", "object": "event", "created": TIME, "type": f"checkout.session.{kind}"}
    content = encoded({**event, "data": {"object": session}}, {})
    signed = hmac.digest(SECRET.encode(), f"{TIME}.".encode() + content, "sha256").hex()
    headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={TIME},v1={signed}"}
    return Webhook(f"/webhooks/stripe/{shop}", headers, content)
