"""Checkouts with a dead message, and its letter, stored for tests of lists and acts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.domain.state import Cause, CheckoutState, Message, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import report, state
from tests.support.stores import bury


def now() -> datetime:
    """Return the time, in milliseconds as the database keeps it."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def die(
    database: Any,
    order_id: str,
    *,
    shop: str = "shop.example",
    step: str = "reminder-1",
    cause: Cause = Cause.ATTEMPTS,
    error: str = "451 4.7.1 try again later",
    at: datetime | None = None,
    **changes: Any,
) -> DeadLetter:
    """Store a checkout with one dead message, and its letter; return the letter. `changes` are those of the checkout.

    It was opened shortly before: the times must be real ones, as TTL indexes and the daemon's clock heed them.
    """
    at = at or now() - timedelta(minutes=5)
    dead = Message(state=MessageState.DEAD, attempts=3, reason=cause)
    opened = {"opened_at": at - timedelta(hours=1), "touched_at": at - timedelta(hours=1), "next_at": None}
    kept: CheckoutState = state(
        order_id, **({"id": f"{shop}/{order_id}", "messages": {step: dead}, "revision": 1} | opened | changes)
    )
    email = f"{re.sub('[^a-z0-9]', '', order_id)}@example.com"
    facts = report(order_id, shop=shop, customer={"email": email, "name": "Ada"}).facts()
    document = kept.model_dump(by_alias=True) | {"facts": facts, "shop": shop, "address": email}
    await database[CHECKOUTS].insert_one(document)
    letter = DeadLetter(kept.id, step, cause, error, at, 3, email)
    await bury(database, [letter])
    return letter
