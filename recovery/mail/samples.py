"""Checkouts to show a mail with, before any customer has left one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from recovery.checkout import CheckoutState, Customer, Facts, Item, Status

TIME = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
"""When the sample was left."""

_FACTS = Facts(
    customer=Customer(email="ada@example.com", name="Ada"),
    items=(
        Item(name="Arc floor lamp", variant="Brass, linen shade", price=Decimal("189.00")),
        Item(name="Globe table lamp", variant="Opal glass, 25 cm", price=Decimal("64.50"), quantity=2),
        Item(name="Warm white bulb, E27", price=Decimal("7.90"), quantity=3),
    ),
    total=Decimal("341.70"),
    currency="EUR",
    checkout_url="https://lampshop.example/checkouts/c0ffee",
    locale="en",
)


def left_open() -> CheckoutState:
    """Return a checkout that somebody has left."""
    return CheckoutState(
        id="lampshop.example/1042", status=Status.OPEN, facts=_FACTS, opened_at=TIME, touched_at=TIME, revision=1
    )


def ordered() -> CheckoutState:
    """Return the same checkout, ordered five minutes later."""
    return left_open().model_copy(
        update={"status": Status.ORDERED, "ordered_at": TIME + timedelta(minutes=5), "revision": 2}
    )
