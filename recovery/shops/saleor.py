"""Saleor's webhooks: the adapter that verifies them and translates them into events.

Saleor sends what the webhook's subscription query asks for, and nothing else: the query is `saleor.graphql` beside this
file. It signs with keys that the shop publishes at its own address. There is no event for a checkout that was left, so
each change is reported, and no address of a checkout: it comes from the settings. An order names its checkout.

The body tells a checkout from an order by what is in it; the header that names the event is not signed.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Consent, Customer, Item, Order
from recovery.shops.adapter import Adapter, Trust, WebhookRequest, header_of, unmapped
from recovery.shops.events import Emptied, Found, Ignored, Reported, Unmapped
from recovery.shops.key_sets import is_signed_by, key_id_of
from recovery.shops.names import full_name
from recovery.shops.values import (
    MOST_ITEMS,
    amounts_of,
    fact_of,
    keys_of,
    object_of,
    parts_of,
    text_of,
    time_of,
    valid,
)

CONSENT = "recovery_consent"
"""The key of a checkout's public metadata in which a storefront may say that the customer agreed to reminders."""

_NOT_ASKED = "was not asked for: give the webhook the query of docs/shops.md"
_TOPICS = ("checkout_", "order_")
_GIVEN = {"true": True, "false": None}
_ENDED = ("CANCELED", "EXPIRED")
_SMALLEST = Decimal("0.0001")
_CHECKOUT = {
    "order_id": "checkout.id",
    "items": "checkout.lines",
    "total": "checkout.totalPrice.gross.amount",
    "currency": "checkout.totalPrice.gross.currency",
    "checkout_url": "webhooks.checkout_urls",
    "touched_at": "checkout.updatedAt",
}
_ORDER = {"order_id": "order.checkoutId"}


class Saleor(Adapter):
    """Saleor, 3.20 and later."""

    name = "saleor"
    title = "Saleor"
    signature_header = "Saleor-Signature"
    topic_header = "Saleor-Event"
    key_set_path = "/.well-known/jwks.json"

    def key_id(self, headers: Mapping[str, str]) -> str:
        """Return the id of the key that the signature names."""
        return key_id_of(header_of(headers, self.signature_header))

    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        """Return None if the signature is a detached JWS of the body by a key of the shop."""
        signature = header_of(headers, self.signature_header)
        if ".." not in signature:
            return "is not a detached JWS: create the webhook without secretKey"
        return None if is_signed_by(trust.keys, body, signature) else "is not the signature of this body by the shop"

    def read(self, request: WebhookRequest) -> Sequence[Found]:
        """Return the event that a webhook reports."""
        payload: Mapping[str, Any] = request.json()
        event = object_of(payload.get("data"))
        if event:  # of a subscription to one event alone, as `checkoutUpdated(channels: [...])`
            payload = object_of(next(iter(event.values())))
        if checkout := object_of(payload.get("checkout")):
            return [_checkout(request, checkout)]
        if order := object_of(payload.get("order")):
            return [_order(request, order)]
        if payload.get("errors"):
            return [Unmapped("errors", "are all that Saleor sent: it could not answer the webhook's query")]
        if not header_of(request.headers, self.topic_header).startswith(_TOPICS):
            return [Ignored("this event is about neither a checkout nor an order")]
        return [Unmapped("body", "has neither a checkout nor an order: give the webhook the query of docs/shops.md")]


def _checkout(request: WebhookRequest, checkout: Mapping[str, Any]) -> Found:
    for asked in ("id", "email", "lines", "totalPrice", "updatedAt"):
        if asked not in checkout:
            return Unmapped(f"checkout.{asked}", _NOT_ASKED)
    keys = keys_of(checkout, "id")
    if keys and isinstance(checkout["lines"], list) and not _lines_of(checkout):
        return Emptied(request.shop, keys, time_of(checkout["updatedAt"]))
    locale = _locale_of(checkout.get("languageCode"))
    customer = _customer_of(checkout.get("email"), locale, checkout)
    if customer is None:
        return Ignored("no address to write to is known yet")
    items = _items_of(_basket_line(line) for line in _lines_of(checkout))
    if not items:
        return Ignored("nothing is in it")
    total = object_of(object_of(checkout.get("totalPrice")).get("gross"))
    link = request.link(keys[0] if keys else "")
    if link is None:
        return Unmapped("webhooks.checkout_urls", "has no address for saleor, so there is no link back to the checkout")
    try:
        return Reported(
            Checkout.model_validate(
                {
                    **fact_of("locale", locale),
                    "shop": request.shop,
                    "order_id": checkout["id"],
                    "customer": customer,
                    "items": items,
                    "total": _amount_of(total),
                    "currency": total.get("currency"),
                    **_parts_of(checkout),
                    "checkout_url": link,
                    "consent": _consent_of(checkout),
                    "touched_at": checkout.get("updatedAt"),
                }
            )
        )
    except ValidationError as exc:
        return unmapped(exc, _CHECKOUT)


def _order(request: WebhookRequest, order: Mapping[str, Any]) -> Found:
    if "checkoutId" not in order:
        return Unmapped("order.checkoutId", _NOT_ASKED)
    if order["checkoutId"] is None:
        return Ignored("this order was not made from a checkout")
    locale = _locale_of(order.get("languageCodeEnum"))
    total = object_of(object_of(order.get("total")).get("gross"))
    facts = fact_of("items", _items_of(_order_line(line) for line in _lines_of(order))) | fact_of("locale", locale)
    facts |= amounts_of({"total": _amount_of(total), "currency": total.get("currency"), **_parts_of(order)})
    facts |= fact_of("order_url", order.get("redirectUrl"))
    try:
        report = Order.model_validate(
            {
                **facts,
                "shop": request.shop,
                "order_id": order["checkoutId"],
                "ordered_at": time_of(order.get("created")),
                "customer": _customer_of(order.get("userEmail"), locale, order),
                "confirm": _confirms(order) if request.confirm_orders else None,
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _ORDER)
    return Reported(report, confirm_default=False)


def _parts_of(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a total beside the items, whose prices are with tax and after discounts."""
    shipping = _amount_of(object_of(object_of(holder.get("shippingPrice")).get("gross")))
    return parts_of(shipping=shipping) | fact_of("discount_code", text_of(holder.get("voucherCode")))


def _confirms(order: Mapping[str, Any]) -> bool | None:
    """Return whether an order is to be confirmed: yes once it is paid, no once it has ended, else not yet."""
    if order.get("status") in _ENDED:
        return False
    return True if order.get("isPaid") is True else None


def _customer_of(email: object, locale: str | None, holder: Mapping[str, Any]) -> Customer | None:
    people = (object_of(holder.get(each)) for each in ("billingAddress", "shippingAddress"))
    name = next(filter(None, (_name_of(person, locale or "") for person in people)), None)
    return valid(Customer, {"email": email, "name": name})


def _name_of(person: Mapping[str, Any], locale: str) -> str | None:
    return full_name(text_of(person.get("firstName")), text_of(person.get("lastName")), locale)


def _locale_of(code: object) -> str | None:
    """Return a locale such as `pt-BR` for Saleor's `PT_BR`."""
    if not isinstance(code, str):
        return None
    language, *others = code.split("_")
    return "-".join([language.lower(), *others])


def _lines_of(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the lines with a quantity, and at most as many as a mail can show."""
    lines = holder.get("lines")
    if not isinstance(lines, list):
        return []
    return [object_of(line) for line in lines if object_of(line).get("quantity") != 0][:MOST_ITEMS]


def _basket_line(line: Mapping[str, Any]) -> dict[str, Any]:
    variant = object_of(line.get("variant"))
    product = object_of(variant.get("product"))
    return _line(line, text_of(product.get("name")), text_of(variant.get("name")), product, variant.get("sku"))


def _order_line(line: Mapping[str, Any]) -> dict[str, Any]:
    name = text_of(line.get("translatedProductName"), line.get("productName"))
    variant = text_of(line.get("translatedVariantName"), line.get("variantName"))
    return _line(line, name, variant, line, line.get("productSku"))


def _line(
    line: Mapping[str, Any], name: str | None, variant: str | None, pictured: Mapping[str, Any], sku: object
) -> dict[str, Any]:
    price = _amount_of(object_of(object_of(line.get("unitPrice")).get("gross")))
    item = {"name": name, "variant": variant, "price": price, "quantity": line.get("quantity", 1), "sku": text_of(sku)}
    picture = object_of(pictured.get("thumbnail")).get("url")
    return item | {"image_url": picture} if valid(Item, item | {"image_url": picture}) else item


def _items_of(lines: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the lines that can be shown: one without a name or a price spoils no other."""
    return [item for item in (valid(Item, line) for line in lines) if item is not None]


def _amount_of(money: Mapping[str, Any]) -> Decimal | None:
    """Return an amount, which Saleor sends as a binary fraction, rounded to four decimals; None if it is invalid."""
    amount = money.get("amount")
    if not isinstance(amount, int | float | str) or isinstance(amount, bool):
        return None
    try:
        return Decimal(str(amount)).quantize(_SMALLEST).normalize() + 0
    except InvalidOperation:
        return None


def _consent_of(checkout: Mapping[str, Any]) -> Consent | None:
    """Return the consent in the metadata: "true" is a yes, "false" takes an earlier one back; None for all else."""
    said, at = checkout.get("consent"), time_of(checkout.get("updatedAt"))
    if said not in ("true", "false") or at is None:
        return None
    basis = "opt-in" if said == "true" else "neither yes nor no"
    return Consent(given=_GIVEN[said], basis=basis, at=at, source=f"Saleor, metadata {CONSENT}")
