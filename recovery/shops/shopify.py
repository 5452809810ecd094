"""Shopify's webhooks: the adapter that verifies them and translates them into events.

Pure: bytes and headers in, events out. Shopify repeats a webhook that is not answered with a 2xx eight times in four
hours, and may then drop the subscription. So faults are repaired where possible (a long title is cut, a line without a
price is left out), and a webhook that cannot be read becomes `Unmapped`, which is answered with 200 too. An order is
an order even if its facts are unusable: first of all it means "stop".

A checkout is identified by its token. Since API version 2026-04 an order names it by the token alone; before, there was
a number as well, under which older versions of Recovery stored it: that number is an alias. Links to a checkout (its
address and those in its reminders) contain neither, only its cart, and several checkouts may share a cart.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Order
from recovery.shops.adapter import Adapter, Trust, WebhookRequest, hmac_fault, unmapped
from recovery.shops.events import (
    Cancelled,
    Consented,
    DataRequest,
    Emptied,
    Found,
    Ignored,
    Left,
    Redact,
    Reported,
    Touched,
    Unmapped,
)
from recovery.shops.shopify_consent import consent_of
from recovery.shops.shopify_facts import checkout_money, customer_of, is_empty, order_money
from recovery.shops.shopify_topics import misfit
from recovery.shops.shopify_values import cart_of, email_of
from recovery.shops.values import MOST_ITEMS, amounts_of, fact_of, is_shop, keys_of, object_of, text_of, time_of

_SOURCES = {
    "shop": "X-Shopify-Shop-Domain",
    "order_id": "token",
    "items": "line_items",
    "name": "title",
    "variant": "variant_title",
    "total": "total_price",
    "checkout_url": "abandoned_checkout_url",
    "touched_at": "updated_at",
}
_PAID = ("paid", "authorized", "partially_refunded", "refunded")
"""Financial states of an order that is paid or authorised."""

_UNCONFIRMED_SOURCES = ("pos", "iphone", "android", "129785", "shopify_draft_order")
"""Sources of orders that Recovery never confirms: the apps of a till, and drafts, which the merchant sends."""

_ABOUT_SHOPS = ("app/uninstalled", "customers/redact", "shop/redact", "customers/data_request")
"""Topics whose bodies name the shop."""


class Shopify(Adapter):
    """Shopify. The headers are not signed, only the body; so `read` checks that they fit it."""

    name = "shopify"
    title = "Shopify"
    signature_header = "X-Shopify-Hmac-Sha256"
    topic_header = "X-Shopify-Topic"
    names_shop = True
    configured_by = "shopify.webhook_secret"
    headers: ClassVar[Mapping[str, tuple[str, bool]]] = {
        "X-Shopify-Topic": ("The topic of the body, such as `checkouts/update`", True),
        "X-Shopify-Shop-Domain": ("The shop, such as `lamps.myshopify.com`", False),
        "X-Shopify-Hmac-Sha256": ("base64 of the HMAC-SHA256 of the body, by the configured secret", True),
        "X-Shopify-Test": ("`true` for a sample, which is ignored", False),
    }
    description = """\
Take checkouts, orders, consent, and the erasure and data requests that Shopify's privacy rules demand.

`X-Shopify-Hmac-Sha256` must be the signature of the body; `X-Shopify-Topic` and `X-Shopify-Shop-Domain` say what it
is. Their names without `X-` are accepted as well. Answers with the `id` of the checkout, or with the reason why the
webhook was `ignored`: everything that is signed is answered with 200, since Shopify drops subscriptions that fail."""

    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        """Return None if the signature is base64 of the HMAC-SHA256 of the raw body."""
        return hmac_fault(body, _headers(headers).get("hmac-sha256"), trust.secrets)

    def shop_of(self, headers: Mapping[str, str], given: str) -> str:
        """Return the shop's domain in lower case."""
        return (given or _headers(headers).get("shop-domain", "")).strip().lower()

    def read(self, request: WebhookRequest) -> Sequence[Found]:
        """Return the event that a webhook reports."""
        headers = _headers(request.headers)
        if headers.get("test") == "true":
            return [Ignored("a sample, sent by the test button of Shopify's admin")]
        if self.shop_of(request.headers, "") not in ("", request.shop):
            return [Unmapped("X-Shopify-Shop-Domain", "is not the shop that the address names")]
        return [read(headers.get("topic", ""), request.shop, request.json(), confirms=request.confirm_orders)]


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return Shopify's headers of both families, without the prefix of their names; `X-Shopify-` wins."""
    found: dict[str, str] = {}
    for prefix in ("shopify-", "x-shopify-"):
        found |= {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}
    return found


def read(topic: str, shop: str, payload: Mapping[str, Any], *, confirms: bool = False) -> Found:
    """Return the event in a payload. `confirms` is whether orders are confirmed by a mail of ours.

    A checkout and its order share the token. An order without one (a draft, a point of sale) stands alone.
    """
    named = text_of(payload.get("shop_domain"), payload.get("myshopify_domain")) if topic in _ABOUT_SHOPS else None
    shop = shop or (named or "").lower()
    if not is_shop(shop):
        return Unmapped("X-Shopify-Shop-Domain", "names no shop")
    if named and named.lower() != shop:
        return Unmapped("shop_domain", "is not the shop that X-Shopify-Shop-Domain names, which is not signed")
    if field := misfit(topic, payload):
        return Unmapped(field, "does not fit X-Shopify-Topic, which is not signed: this is the body of another topic")
    match topic:
        case "checkouts/create" | "checkouts/update" if payload.get("completed_at"):
            # The order says whether it is paid; it may arrive before or after this.
            return _order(shop, keys_of(payload, "token", "id"), payload, checkout_money(payload), confirms=None)
        case "checkouts/create" | "checkouts/update":
            return _checkout(shop, payload)
        case "carts/update":
            return _cart(shop, payload)
        case "checkouts/delete":
            keys = keys_of(payload, "token", "id") or keys_of(payload, "cart_token")
            return Cancelled(shop, keys, cart_of(payload)) if keys else Unmapped("token", "names no checkout")
        case "orders/create" | "orders/paid" | "orders/cancelled":
            keys = keys_of(payload, "checkout_token", "checkout_id") or keys_of(payload, "id", prefix="order-")
            confirms = confirms and _is_to_be_confirmed(payload)
            return _order(shop, keys, payload, order_money(payload), confirms=confirms)
        case _:
            return _of_people(topic, shop, payload)


def _of_people(topic: str, shop: str, payload: Mapping[str, Any]) -> Found:
    """Read a topic about a customer or the shop, not about one checkout."""
    match topic:
        case "customers_email_marketing_consent/update" | "customers/update":
            return _consented(shop, payload)
        case "app/uninstalled":
            return Left(shop)
        case "customers/redact":
            email = email_of(payload)
            return Redact(shop, email) if email else Ignored("names nobody by an address, and no other name is kept")
        case "shop/redact":
            return Redact(shop)
        case "customers/data_request":
            return _data_request(shop, payload)
        case _:
            return Ignored("this topic says nothing of a checkout")


def _cart(shop: str, payload: Mapping[str, Any]) -> Found:
    """Read a cart: it names neither its customer nor its checkouts, only itself, as they do."""
    keys = keys_of(payload, "token")
    at = time_of(payload.get("updated_at"))
    if not keys:
        return Unmapped("token", "names no cart")
    return Emptied(shop, keys, at) if is_empty(payload) else Touched(shop, keys[0], at)


def _checkout(shop: str, payload: Mapping[str, Any]) -> Found:
    keys = keys_of(payload, "token", "id")
    if keys and is_empty(payload):
        return Emptied(shop, keys, time_of(payload.get("updated_at")))
    customer = customer_of(payload)
    if customer is None:
        return Ignored("no address to write to is known yet")
    money = checkout_money(payload)
    if not money["items"]:
        return Ignored("nothing is in it")
    if not keys:
        return Unmapped("token", "names no checkout")
    try:
        checkout = Checkout.model_validate(
            {
                **fact_of("locale", payload.get("customer_locale")),
                **money,
                "shop": shop,
                "order_id": keys[0],
                "customer": customer,
                "checkout_url": payload.get("abandoned_checkout_url"),
                "touched_at": payload.get("updated_at") or payload.get("created_at"),
                "consent": consent_of(payload),
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(checkout, keys[1:], cart_of(payload))


def _order(
    shop: str, keys: tuple[str, ...], payload: Mapping[str, Any], money: Mapping[str, Any], *, confirms: bool | None
) -> Found:
    if not keys:
        return Unmapped("id", "names no order")
    facts = fact_of("items", money["items"]) | fact_of("locale", payload.get("customer_locale"))
    facts |= amounts_of(money) | fact_of("order_url", payload.get("order_status_url"))
    times = ("completed_at", "processed_at", "created_at")
    ordered_at = next(filter(None, (time_of(payload.get(name)) for name in times)), None)
    try:
        order = Order(
            shop=shop, order_id=keys[0], ordered_at=ordered_at, customer=customer_of(payload), confirm=confirms, **facts
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(order, keys[1:], cart_of(payload), confirm_default=False)


def _is_to_be_confirmed(payload: Mapping[str, Any]) -> bool:
    """Return True if the customer expects a confirmation: the order is real, paid, and was made in a checkout."""
    paid = payload.get("financial_status")
    return (
        bool(keys_of(payload, "checkout_token", "checkout_id"))
        and payload.get("source_name") not in _UNCONFIRMED_SOURCES
        and not payload.get("test")
        and not payload.get("cancelled_at")
        and (paid is None or paid in _PAID)
    )


def _consented(shop: str, payload: Mapping[str, Any]) -> Found:
    """Read a customer (with `email`) or a customer's consent (with `email_address`)."""
    email = email_of({"customer": {"email": payload.get("email") or payload.get("email_address")}})
    if email is None:
        return Ignored("names nobody by an address, and no other name is kept")
    consent = consent_of(payload)
    return Consented(shop, email, consent) if consent else Ignored("says nothing of consent")


def _data_request(shop: str, payload: Mapping[str, Any]) -> Found:
    email = email_of(payload)
    if email is None:
        return Ignored("names nobody by an address, and no other name is kept")
    orders = payload.get("orders_requested")
    named = tuple(str(each) for each in orders if isinstance(each, int | str)) if isinstance(orders, list) else ()
    return DataRequest(shop, str(object_of(payload.get("data_request")).get("id") or email), email, named[:MOST_ITEMS])
