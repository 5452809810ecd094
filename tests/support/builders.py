"""Checkouts and schedules, for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from recovery import Checkout, CheckoutState, Customer, Item
from recovery.domain.schedule import OnAmbiguous, Schedule, Step, StopOn
from recovery.domain.state import Status

NOON = datetime(2126, 3, 5, 12, tzinfo=UTC)
"""So far ahead that no real TTL monitor deletes what is due around it."""


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def step(name: str, delay: timedelta, max_lateness: timedelta = timedelta(hours=1)) -> Step:
    return Step(name, delay, template=name, subject=f"About {name}", max_lateness=max_lateness)


def schedule(**changes: Any) -> Schedule:
    """Return a schedule of 30 min, 1 day and 3 days, with a confirmation, for customers with one checkout each."""
    defaults: dict[str, Any] = {
        "steps": (
            step("reminder-1", minutes(30)),
            step("reminder-2", timedelta(days=1)),
            step("reminder-3", timedelta(days=3)),
        ),
        "confirmation": step("confirmation", timedelta(0), timedelta(days=1)),
        "min_gap": timedelta(hours=6),
        "min_gap_per_address": timedelta(0),
        "quiet_hours": None,
        "time_zone": "UTC",
        "require_consent": False,
        "stop_on": StopOn.CHECKOUT,
        "on_ambiguous": OnAmbiguous.RESEND,
        "max_attempts": 5,
        "retry_after": minutes(5),
        "lease": minutes(1),
        "retention": timedelta(days=30),
    }
    return Schedule(**(defaults | changes))


def report(order_id: str = "1", **changes: Any) -> Checkout:
    """Return a report of a checkout with one lamp in it."""
    facts: dict[str, Any] = {
        "customer": Customer(email="ada@example.com", name="Ada"),
        "items": (Item(name="Lamp", price="12.50", quantity=2),),
        "total": "25.00",
        "currency": "EUR",
        "checkout_url": f"https://shop.example/checkouts/{order_id}",
    }
    return Checkout(**({"shop": "shop.example", "order_id": order_id} | facts | changes))


def state(order_id: str = "1", **changes: Any) -> CheckoutState:
    """Return a kept checkout, open and touched at noon."""
    kept: dict[str, Any] = {
        "id": f"shop.example/{order_id}",
        "status": Status.OPEN,
        "facts": report(order_id).facts(),
        "opened_at": NOON,
        "touched_at": NOON,
        "revision": 1,
        "next_at": NOON,
    }
    return CheckoutState.model_validate(kept | changes)
