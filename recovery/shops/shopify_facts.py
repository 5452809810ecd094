"""Facts in Shopify's payloads: the customer with a name, the items, and the money.

Prices of lines are before discounts. A tax is a part of the total only where the prices do not include it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from recovery.domain.checkout import Customer, Item
from recovery.shops.names import family_first, full_name
from recovery.shops.values import MOST_ITEMS, fact_of, object_of, parts_of, text_of, valid

NO_VARIANT = "Default Title"
"""Shopify's title for the only variant of a product without variants."""


def checkout_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total with its parts, and currency of a checkout, in the customer's currency, not the shop's."""
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in _lines(payload)),
        "total": payload.get("total_price"),
        "currency": payload.get("presentment_currency") or payload.get("currency"),
        **_parts(payload, payload.get("total_discounts"), _shipping(payload), payload.get("total_tax")),
    }


def order_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total with its parts, and currency of an order: the customer's if every price has one."""
    lines = _lines(payload)
    total = _presented(payload, "total_price")
    prices = [_presented(line, "price") for line in lines]
    currency = total.get("currency_code")
    if currency and all(price.get("currency_code") == currency for price in prices):
        items = (_item(line, price.get("amount")) for line, price in zip(lines, prices, strict=True))
        plain = payload if payload.get("currency") == currency else {}
        discount = _amount(payload, "total_discounts", currency) or plain.get("total_discounts")
        shipping = _amount(payload, "total_shipping_price", currency) or _shipping(plain)
        tax = _amount(payload, "total_tax", currency) or plain.get("total_tax")
        money = {"items": _acceptable(items), "total": total.get("amount"), "currency": currency}
        return money | _parts(payload, discount, shipping, tax)
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in lines),
        "total": payload.get("total_price"),
        "currency": payload.get("currency"),
        **_parts(payload, payload.get("total_discounts"), _shipping(payload), payload.get("total_tax")),
    }


def _parts(payload: Mapping[str, Any], discount: object, shipping: object, tax: object) -> dict[str, Any]:
    code = fact_of("discount_code", _code(payload))
    return parts_of(discount, shipping, tax if payload.get("taxes_included") is False else None) | code


def _shipping(payload: Mapping[str, Any]) -> object:
    """Return the price of shipping, or None before the customer has chosen it."""
    lines = payload.get("shipping_lines")
    prices = [fact_of("shipping", object_of(line).get("price")) for line in lines] if isinstance(lines, list) else []
    return sum((price["shipping"] for price in prices), Decimal(0)) if prices and all(prices) else None


def _code(payload: Mapping[str, Any]) -> str | None:
    """Return the codes that the customer entered: mostly one, else one after the other."""
    given = payload.get("discount_codes")
    codes = [text_of(object_of(each).get("code")) for each in given] if isinstance(given, list) else []
    return text_of(", ".join(filter(None, codes)))


def _presented(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    return object_of(object_of(holder.get(f"{field}_set")).get("presentment_money"))


def _amount(holder: Mapping[str, Any], field: str, currency: str) -> object:
    """Return the amount in a field in this currency, or None if it is not known in it."""
    presented = _presented(holder, field)
    return presented.get("amount") if presented.get("currency_code") == currency else None


def _item(line: Mapping[str, Any], price: object) -> dict[str, Any]:
    variant = text_of(line.get("presentment_variant_title"), line.get("variant_title"))
    return {
        "name": text_of(line.get("presentment_title"), line.get("title"), line.get("name")),
        "variant": None if variant == NO_VARIANT else variant,
        "price": price,
        "quantity": line.get("quantity", 1),
        "sku": text_of(line.get("sku")),
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
