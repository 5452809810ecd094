"""WooCommerce's webhooks: the adapter that verifies them and translates them into events.

A webhook carries the order as WooCommerce's REST API shows it, whatever the topic; its status says what it means. The
signature is of the body alone, and has no time: it may be replayed for ever, as any topic. So nothing is decided by the
topic, and the times in the body say what is new.

WooCommerce repeats no webhook that fails, and turns it off after a handful of failures in a row. So every signed one is
answered with 200.

An order of a shop with our plug-in carries the key of the checkout that the plug-in reported before there was an order.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Order
from recovery.shops.adapter import Adapter, Trust, WebhookRequest, header_of, hmac_fault, unmapped
from recovery.shops.events import Cancelled, Emptied, Found, Ignored, Reported, Unmapped
from recovery.shops.values import amounts_of, fact_of, keys_of
from recovery.shops.woocommerce_facts import checkout_page, customer_of, gmt, locale_of, meta_of, money

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")

_OPEN = ("checkout-draft", "pending", "failed")
"""Statuses of an order that waits for its customer: not placed yet, not paid, or refused by the bank."""

_PAID = ("processing", "completed")
_PLACED = (*_PAID, "on-hold")
_OFF = ("cancelled", "refunded", "trash")

_RENEWAL = "subscription"
"""The `created_via` of a renewal. It has a copy of the first order's metadata: our key is not that of its checkout."""

_ELSEWHERE = ("admin", _RENEWAL)
"""Values of `created_via` of orders that no customer has left: typed in by the shop, or renewed by a subscription."""

_CHECKOUTS = ("checkout", "store-api")
"""Values of `created_via` of orders from the shop's own checkout, classic or of blocks."""

_PING = re.compile(rb"webhook_id=\d{1,20}")
_SOURCES = {
    "order_id": "id",
    "items": "line_items",
    "checkout_url": "payment_url",
    "touched_at": "date_modified_gmt",
}


class WooCommerce(Adapter):
    """WooCommerce. The shop is named by the path, since a WordPress may live in a folder of its host."""

    name = "woocommerce"
    title = "WooCommerce"
    signature_header = "X-WC-Webhook-Signature"
    topic_header = "X-WC-Webhook-Topic"

    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        """Return None if the signature is base64 of the HMAC-SHA256 of the raw body, else why not."""
        return hmac_fault(body, header_of(headers, self.signature_header), trust.secrets)

    def is_ping(self, body: bytes, headers: Mapping[str, str]) -> bool:  # noqa: ARG002 - the body says it
        """Return whether this is the form that WooCommerce sends when a webhook is saved: only 200 saves it."""
        return _PING.fullmatch(body) is not None

    def read(self, request: WebhookRequest) -> Sequence[Found]:
        """Return the event that a webhook reports."""
        if header_of(request.headers, self.topic_header) not in TOPICS:
            return [Ignored("this topic is not about an order")]
        return [_order_or_checkout(request, request.json())]


def _order_or_checkout(request: WebhookRequest, payload: Mapping[str, Any]) -> Found:
    number = keys_of(payload, "id")
    if not number:
        if payload.get("code") is not None:
            reason = "is an error in place of an order: choose a user who may read orders in the webhook's settings"
            return Unmapped("code", reason)
        return Unmapped("id", "names no order")
    keys = (*keys_of({"key": meta_of(payload, "_recovery_checkout")}, "key"), *number)
    if payload.keys() == {"id"}:  # deleted: nothing else is known of it
        return Cancelled(request.shop, keys)
    made_by = payload.get("created_via")
    if made_by == _RENEWAL or (len(keys) == 1 and made_by in _ELSEWHERE):
        return Ignored("no customer has left it: the shop or a subscription made it")
    if payload.get("parent_id"):
        return Ignored("is a part of another order, which is reported by itself")
    status = str(payload.get("status")).removeprefix("wc-")
    if status in _OFF:
        return Cancelled(request.shop, keys)
    if status in _OPEN:
        return _checkout(request, keys, payload, status)
    if status in _PLACED or gmt(payload, "date_paid_gmt"):
        return _order(request, keys, payload, paid=status in _PAID)
    return Ignored("this status says neither that it is open nor that it is paid")


def _checkout(request: WebhookRequest, keys: tuple[str, ...], payload: Mapping[str, Any], status: str) -> Found:
    touched_at = gmt(payload, "date_modified_gmt", "date_created_gmt")
    if payload.get("line_items") == []:
        return Emptied(request.shop, keys, touched_at)
    customer = customer_of(payload)
    if customer is None:
        return Ignored("no address to write to is known yet")
    facts = money(payload)
    if not facts["items"]:
        return Ignored("nothing that can be shown is in it")
    configured = request.link(keys[0])
    draft, unpaid = configured or checkout_page(payload), payload.get("payment_url") or configured
    try:
        checkout = Checkout.model_validate(
            {
                **facts,
                "shop": request.shop,
                "order_id": keys[0],
                "customer": customer,
                "checkout_url": draft if status == "checkout-draft" else unpaid,
                "locale": locale_of(payload),
                "touched_at": touched_at,
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(checkout, keys[1:])


def _order(request: WebhookRequest, keys: tuple[str, ...], payload: Mapping[str, Any], *, paid: bool) -> Found:
    """Read an order: it is one even if its facts are unusable, since first of all it means "stop"."""
    read = money(payload)
    facts = fact_of("items", read["items"]) | fact_of("locale", locale_of(payload)) | amounts_of(read)
    confirm = request.confirm_orders and paid and payload.get("created_via") in _CHECKOUTS
    try:
        order = Order(
            shop=request.shop,
            order_id=keys[0],
            ordered_at=gmt(payload, "date_paid_gmt", "date_created_gmt"),
            customer=customer_of(payload),
            confirm=confirm,
            **facts,
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(order, keys[1:], confirm_default=False)
