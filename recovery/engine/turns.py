"""The turns of messages to slowed receivers: each is put off to its own, before the claim."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from recovery.domain.decision import Wait
from recovery.domain.state import CheckoutState, Status
from recovery.engine.case import Case
from recovery.engine.receivers import Governor


class Turns:
    """Gives turns to due messages. While no receiver is slowed, that costs nothing."""

    def __init__(self, governor: Governor, jitter: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._governor = governor
        self._jitter = jitter
        self._monotonic = monotonic

    def needed(self, checkout: CheckoutState) -> bool:
        """Return whether the message of a checkout needs a turn."""
        governor, customer = self._governor, checkout.facts.customer
        return governor.slows and customer is not None and governor.is_slowed(governor.of(customer.address))

    def of(self, case: Case, now: datetime) -> Case:
        """Return a case with the decision to wait for its turn, if its message needs one that has not come."""
        governor, checkout = self._governor, case.checkout
        customer = checkout.facts.customer
        if not governor.slows or not case.is_clean_send or checkout.claim is not None or customer is None:
            return case
        receiver = governor.of(customer.address)
        urgent = checkout.status is Status.ORDERED
        seconds = governor.wait(checkout.id, receiver, self._monotonic(), self._jitter(), urgent=urgent)
        if not seconds:
            return case
        until = now + timedelta(milliseconds=ceil(seconds * 1000))
        if checkout.next_at is not None and checkout.next_at > now:
            until = checkout.next_at  # it was put off already, and is looked at early
        put_off = Wait(until, f"mails to {receiver} are slowed", once=True, assigned=case.decision.assigned)
        return replace(case, decision=put_off)
