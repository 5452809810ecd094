"""Consent to marketing in Shopify's payloads: of the customer, or of a checkbox at the checkout."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from recovery.domain.checkout import Consent
from recovery.shops.values import object_of, text_of, time_of, valid

_GIVEN, _REFUSED = ("subscribed",), ("unsubscribed", "redacted", "invalid")

_ON_ARRIVAL = datetime(9999, 1, 1, tzinfo=UTC)
"""The time of a consent that comes without one: future times are replaced by the database's time on arrival."""


def consent_of(payload: Mapping[str, Any]) -> Consent | None:
    """Return the consent to marketing with its time, or None if the payload says nothing about it.

    The customer's own consent takes precedence over the checkbox at the checkout. An unticked box is not a refusal:
    `schedule.require_consent` decides whether it stops reminders. But it revokes an earlier tick.
    """
    customer = object_of(payload.get("customer"))
    stated = object_of(customer.get("email_marketing_consent")) or object_of(payload.get("email_marketing_consent"))
    state = stated.get("state")
    box = payload.get("buyer_accepts_marketing")
    own = (stated.get("consent_updated_at"), customer.get("accepts_marketing_updated_at"))
    times = (payload.get("updated_at"), payload.get("created_at"))
    if state in _GIVEN or state in _REFUSED:
        return _as_consent(state in _GIVEN, stated, *own, *times)
    if state == "pending":  # double opt-in is not confirmed yet, whatever box was ticked
        return _as_consent(None, stated, *times)
    if box is True:
        return _as_consent(True, stated, *times)
    if customer.get("accepts_marketing") is True and state is None:
        return _as_consent(True, stated, *own, *times)
    return _as_consent(None, stated, *times) if box is False or state == "not_subscribed" else None


def _as_consent(given: bool | None, stated: Mapping[str, Any], *times: object) -> Consent | None:
    level = (text_of(stated.get("opt_in_level")) or "opt-in").replace("_", " ")
    at = next(filter(None, map(time_of, times)), _ON_ARRIVAL)
    basis = {True: level, False: "refused", None: "neither yes nor no"}[given]
    return valid(Consent, {"given": given, "basis": basis, "at": at, "source": "Shopify"})
