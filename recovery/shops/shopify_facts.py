"""Facts in Shopify's payloads: the customer with a name, the items, and the money."""

from collections.abc import Iterable, Mapping
from typing import Any

from recovery.domain.checkout import Customer, Item
from recovery.shops.names import family_first, full_name
from recovery.shops.values import MOST_ITEMS, object_of, text_of, valid

NO_VARIANT = "Default Title"
"""Shopify's title for the only variant of a product without variants."""


def checkout_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of a checkout. Amounts are in the customer's currency, not the shop's."""
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in _lines(payload)),
        "total": payload.get("total_price"),
        "currency": payload.get("presentment_currency") or payload.get("currency"),
    }


def order_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of an order: in the customer's currency if every amount has one."""
    lines = _lines(payload)
    total = _presented(payload, "total_price")
    prices = [_presented(line, "price") for line in lines]
    currency = total.get("currency_code")
    if currency and all(price.get("currency_code") == currency for price in prices):
        items = (_item(line, price.get("amount")) for line, price in zip(lines, prices, strict=True))
        return {"items": _acceptable(items), "total": total.get("amount"), "currency": currency}
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in lines),
        "total": payload.get("total_price"),
        "currency": payload.get("currency"),
    }


def _presented(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    return object_of(object_of(holder.get(f"{field}_set")).get("presentment_money"))


def _item(line: Mapping[str, Any], price: object) -> dict[str, Any]:
    variant = text_of(line.get("presentment_variant_title"), line.get("variant_title"))
    return {
        "name": text_of(line.get("presentment_title"), line.get("title"), line.get("name")),
        "variant": None if variant == NO_VARIANT else variant,
        "price": price,
        "quantity": line.get("quantity", 1),
    }


def _acceptable(items: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the lines that can be shown: one without a title or a price spoils no other."""
    return [item for item in (valid(Item, each) for each in items) if item is not None]


def is_empty(payload: Mapping[str, Any]) -> bool:
    """Return whether a cart or checkout says that nothing is in it, rather than nothing about what is."""
    return isinstance(payload.get("line_items"), list) and not _lines(payload)


def _lines(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the lines with a quantity, and at most as many as a mail can show."""
    lines = payload.get("line_items")
    if not isinstance(lines, list):
        return []
    return [object_of(line) for line in lines if object_of(line).get("quantity") != 0][:MOST_ITEMS]


def customer_of(payload: Mapping[str, Any]) -> Customer | None:
    """Return the customer with the first valid e-mail address, or None."""
    customer = object_of(payload.get("customer"))
    locale = text_of(payload.get("customer_locale")) or ""
    addresses = (object_of(payload.get(field)) for field in ("billing_address", "shipping_address"))
    name = _name(locale, customer, *addresses)
    for email in (payload.get("email"), customer.get("email"), payload.get("contact_email")):
        if accepted := valid(Customer, {"email": email, "name": name}):
            return accepted
    return None


def _name(locale: str, *people: Mapping[str, Any]) -> str | None:
    """Return the first name that is known. Shopify's own `name` has the given name first in every language."""
    for person in people:
        given, family = text_of(person.get("first_name")), text_of(person.get("last_name"))
        if given and family and (together := family_first(given, family, locale)):
            return text_of(together)
        if name := text_of(person.get("name")) or full_name(given, family, locale):
            return name
    return None
