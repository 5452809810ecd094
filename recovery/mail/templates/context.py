"""The names that a mail's templates see, and their values: cleaned, since strangers chose many of them.

docs/templates.md says what they are.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from recovery.domain.brand import Brand
from recovery.domain.checkout import Customer, Facts, Item, shop_and_order
from recovery.domain.fields import web_address
from recovery.domain.masking import greeted, plain, unlinked
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates.files import TemplateError
from recovery.mail.templates.locales import sides
from recovery.mail.templates.metadata import Metadata
from recovery.mail.templates.sandbox import GLOBALS

UNNAMED = Brand()
"""The brand of a shop without settings of its own: its name is the shop's key."""

LEFT_TO_RIGHT = sides("ltr")


def names_of(
    step: Step,
    checkout: CheckoutState,
    time_zone: str,
    checkout_url: str | None,
    unsubscribe_url: str | None,
    brand: Brand = UNNAMED,
    written: Mapping[str, str] = LEFT_TO_RIGHT,
) -> dict[str, Any]:
    """Return the names of a mail, of which `written` are those that follow from the direction of its words.

    Raises `TemplateError` for a link that must not be in a mail.
    """
    facts = checkout.facts
    shop, order_id = shop_and_order(checkout.id)
    # Others can write to the database that the facts come from, and escaping does not stop a "javascript:" link.
    own = (link for item in facts.items for link in (item.url, item.image_url))
    for link in (checkout_url, unsubscribe_url, facts.order_url, *own):
        if link is not None:
            _check(link)
    return {
        **GLOBALS,
        "customer": _greeted(facts.customer),
        "items": tuple(map(_unlinked, facts.items)),
        "total": facts.total,
        "discount": facts.discount,
        "discount_code": facts.discount_code and unlinked(facts.discount_code),
        "shipping": facts.shipping,
        "tax": facts.tax,
        "tax_included": facts.tax is None or not _adds_up_with_tax(facts, facts.tax),
        "currency": facts.currency,
        "checkout_url": checkout_url,
        "order_url": facts.order_url,
        "unsubscribe_url": unsubscribe_url,
        "coupon": step.coupon,
        "shop": plain(shop),
        "brand": brand if brand.name else _named(brand, plain(shop)),
        "order_id": plain(order_id),
        "locale": facts.locale or "en",
        "time_zone": facts.time_zone or time_zone,
        "touched_at": checkout.touched_at,
        "ordered_at": checkout.ordered_at,
        "metadata": _metadata(facts),
        **written,
    }


@lru_cache(maxsize=1024)
def _named(brand: Brand, name: str) -> Brand:
    return replace(brand, name=name)


def _adds_up_with_tax(facts: Facts, tax: Decimal) -> bool:
    """Return whether the total is what the items and the other parts come to with the tax on top of them.

    Where it is not, as in countries where prices have the tax in them, the tax is a part of the total.
    """
    items = sum((item.price * item.quantity for item in facts.items), Decimal(0))
    return facts.total == items + (facts.shipping or 0) - (facts.discount or 0) + tax


def _metadata(facts: Facts) -> Metadata:
    return Metadata((name, unlinked(value)) for name, value in facts.metadata.items())


def _greeted(customer: Customer | None) -> Customer | None:
    """Return the customer, with the name cleaned or removed if no mail should greet anybody by it."""
    if customer is None or (name := greeted(customer.name)) == customer.name:
        return customer
    return customer.model_copy(update={"name": name})


def _unlinked(item: Item) -> Item:
    """Return the item with texts that mail programs do not turn into links: only `url` was checked."""
    name, variant, sku = unlinked(item.name), item.variant and unlinked(item.variant), item.sku and unlinked(item.sku)
    if not name.strip():
        name = "…"
    if name == item.name and variant == item.variant and sku == item.sku:
        return item
    return item.model_copy(update={"name": name, "variant": variant, "sku": sku})


def _check(link: str) -> None:
    try:
        web_address(link)
    except ValueError as exc:
        raise TemplateError(f"the link {link!r} cannot be used in a mail: it {exc}") from exc
