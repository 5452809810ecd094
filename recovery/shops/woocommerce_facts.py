"""Facts in WooCommerce's orders: the customer with a name, the items, the money, the times and the link back. Pure."""

import html
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from recovery.domain.checkout import Customer, Item
from recovery.shops.names import full_name
from recovery.shops.values import MOST_ITEMS, fact_of, object_of, parts_of, text_of, time_of, valid

NAIVE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?")
"""A time as WooCommerce writes it in the fields that end in `_gmt`: in UTC, without saying so."""

_TAG = re.compile(r"<[^<>]*>")
_DECIMALS = 4
"""Decimals of an amount that can be stored."""

_LONGEST_ADDRESS = 2048
_ORDER_PAY = re.compile(r"(/)[^/?#]+/\d+/?\?pay_for_order=.*|()&[^=&]+=\d+&pay_for_order=.*")
"""The end of an address at which an order is paid, behind that of the checkout page. The page and the first word of the
end may have any name; without permalinks, both are parameters."""


def gmt(payload: Mapping[str, Any], *fields: str) -> datetime | None:
    """Return the first time in these fields, which are in UTC."""
    return next(filter(None, (_time(payload.get(field)) for field in fields)), None)


def _time(value: object) -> datetime | None:
    return time_of(f"{value}Z" if isinstance(value, str) and NAIVE_TIME.fullmatch(value) else value)


def customer_of(payload: Mapping[str, Any]) -> Customer | None:
    """Return the customer with their address and name, or None without a valid address."""
    billing = object_of(payload.get("billing"))
    given, family = (text_of(plain(billing.get(part))) for part in ("first_name", "last_name"))
    name = full_name(given, family, locale_of(payload) or "")
    return valid(Customer, {"email": billing.get("email"), "name": name})


def locale_of(payload: Mapping[str, Any]) -> str | None:
    """Return the customer's language as our plug-in noted it in the order, or None."""
    locale = meta_of(payload, "_recovery_locale")
    found = fact_of("locale", locale).get("locale") if locale else None
    return found if isinstance(found, str) else None


def meta_of(payload: Mapping[str, Any], key: str) -> str | None:
    """Return the text that the order's metadata has under a key, or None."""
    metadata = payload.get("meta_data")
    entries = [object_of(each) for each in metadata] if isinstance(metadata, list) else []
    return next((text_of(each.get("value")) for each in entries if each.get("key") == key), None)


def money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total, shipping and currency, all with tax.

    Prices are what the customer pays, after discounts: so a discount is no part of the total, and has only its code.
    """
    total = decimal(payload.get("total"))
    places = min(_DECIMALS, max(0, -int(total.as_tuple().exponent))) if total is not None else 2
    coupons = payload.get("coupon_lines")
    codes = [text_of(plain(object_of(each).get("code"))) for each in coupons] if isinstance(coupons, list) else []
    lines = payload.get("line_items")
    read = (_item(object_of(line), places) for line in lines[:MOST_ITEMS]) if isinstance(lines, list) else ()
    return {
        "items": [item for item in read if item is not None],
        "total": None if total is None else _rounded(total, places),
        "currency": payload.get("currency"),
        **parts_of(shipping=_shipping(payload, places)),
        **fact_of("discount_code", text_of(", ".join(filter(None, codes)))),
    }


def _shipping(payload: Mapping[str, Any], places: int) -> Decimal | None:
    amount = decimal(payload.get("shipping_total"))
    return None if amount is None else _rounded(amount + (decimal(payload.get("shipping_tax")) or 0), places)


def _item(line: Mapping[str, Any], places: int) -> Item | None:
    quantity, total = decimal(line.get("quantity")), decimal(line.get("total"))
    if quantity is None or quantity <= 0 or total is None:
        return None
    total += decimal(line.get("total_tax")) or 0
    pieces = int(quantity) if quantity == quantity.to_integral_value() else 1  # of 1.5 m of cloth: the whole length
    name, variant = _named(line)
    image = object_of(line.get("image")).get("src") or None
    item = {"name": name, "variant": variant, "price": _rounded(total / pieces, places), "quantity": pieces}
    item["sku"] = text_of(line.get("sku"))
    return valid(Item, item | {"image_url": image}) or valid(Item, item)


def _named(line: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the names of the product and its variant: `name` is both, and recent versions tell the product's too."""
    name, product = text_of(plain(line.get("name"))), text_of(plain(line.get("parent_name")))
    if name and product and name.startswith(product) and (variant := name.removeprefix(product).strip(" -–—,:")):
        return product, variant
    return name, None


def plain(value: object) -> str | None:
    """Return a text without markup: names come as HTML, as in `Sofa &ndash; red`."""
    return html.unescape(_TAG.sub(" ", value)) if isinstance(value, str) else None


def decimal(value: object) -> Decimal | None:
    """Return a number that is a text, an integer or a float, or None: amounts are texts, `price` is a float."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**12 else None


def _rounded(amount: Decimal, places: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def checkout_page(payload: Mapping[str, Any]) -> str | None:
    """Return the shop's checkout page, by the address at which the order would be paid; None if that is unknown."""
    address = payload.get("payment_url")
    if not isinstance(address, str) or len(address) > _LONGEST_ADDRESS:
        return None
    page, count = _ORDER_PAY.subn(r"\1", address)
    return page if count else None
