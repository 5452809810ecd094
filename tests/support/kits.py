"""Reports for the tests of the kit."""

from datetime import UTC, datetime
from typing import Any

from recovery import Checkout, Order
from tests.support.builders import report

BEGINNING = datetime(2026, 3, 5, 12, tzinfo=UTC)
SHOP = "shop.example"


def checkout(order_id: str = "1042", **changes: Any) -> Checkout:
    """Return the report of a checkout with a lamp in it."""
    return report(order_id, **changes)


def order(order_id: str = "1042", **changes: Any) -> Order:
    """Return the report of an order."""
    return Order(shop=SHOP, order_id=order_id, **changes)


def steps(kit: Any) -> list[str]:
    """Return the steps of the mails that went out, in order."""
    return [mail.step for mail in kit.mails]
