"""Checks that the body of a Shopify webhook has the shape of its topic. Pure.

Shopify signs only the body, not the headers that name topic and shop. An attacker who captured one body could replay it
as another topic: a data request as an erasure, a customer's erasure as the whole shop's, a checkout as an order.
"""

from collections.abc import Mapping
from typing import Any

_ORDER = ("order_number", "financial_status", "fulfillment_status", "checkout_token", "checkout_id")
"""Fields that an order has and a checkout does not."""

_ORDERS = ("orders/create", "orders/paid", "orders/cancelled")
_CHECKOUT = ("abandoned_checkout_url",)
_SHOP = ("myshopify_domain", "shop_domain")
_COMPLIANCE = ("shop_domain", "shop_id", "orders_to_redact", "orders_requested")

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "app/uninstalled": _SHOP,
    "shop/redact": _SHOP,
    "customers/redact": _COMPLIANCE,
    "customers/data_request": _COMPLIANCE,
}
"""Fields, of which the body of a topic must have at least one."""

_FOREIGN: Mapping[str, tuple[str, ...]] = {
    "carts/update": (*_ORDER, *_CHECKOUT, "customer", "shop_domain"),
    "checkouts/create": _ORDER,
    "checkouts/update": _ORDER,
    "checkouts/delete": _ORDER,
    **dict.fromkeys(_ORDERS, _CHECKOUT),
    "app/uninstalled": ("customer", "orders_to_redact", "line_items"),
    "shop/redact": ("customer", "orders_to_redact", "orders_requested", "line_items", "email"),
    "customers/redact": ("data_request", "orders_requested", "line_items"),
    "customers/data_request": ("orders_to_redact", "line_items"),
    "customers/update": ("line_items", "shop_domain"),
    "customers_email_marketing_consent/update": ("line_items", "shop_domain"),
}
"""Fields that the body of a topic never has: a body with one of them belongs to another topic."""


def misfit(topic: str, payload: Mapping[str, Any]) -> str | None:
    """Return the field that is missing for this topic, or that belongs to another one; None if the body fits."""
    if topic in _ORDERS and any(payload.get(field) is not None for field in _ORDER):
        return None  # an order, whatever else it has: a missed one would mean a reminder after the purchase
    foreign = next((field for field in _FOREIGN.get(topic, ()) if payload.get(field) is not None), None)
    if foreign is not None:
        return foreign
    needed = _NEEDED.get(topic, ())
    return None if not needed or any(payload.get(field) is not None for field in needed) else needed[0]
