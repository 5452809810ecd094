"""Forecast of what a report leads to, as far as the report alone can tell. Pure: no clock, no database."""

from datetime import datetime
from enum import Enum, auto

from recovery.domain.checkout import Checkout, Order
from recovery.domain.decision import TOO_LATE
from recovery.domain.outlook import outlook
from recovery.domain.schedule import Schedule
from recovery.domain.state import CheckoutState, KeptConsent, Status


class Prospect(Enum):
    """What a report leads to: a mail at least, none because it would be too late, or none anyway."""

    MAIL = auto()
    PAST_USE = auto()
    NO_MAIL = auto()


def prospect(report: Checkout | Order, schedule: Schedule, now: datetime) -> Prospect:
    """Return the prospect of a report, if nothing else is known of its checkout and its customer."""
    ahead = outlook(_state(report, now), schedule, None, now)
    if any(each.at is not None for each in ahead):
        return Prospect.MAIL
    return Prospect.PAST_USE if any(each.why == TOO_LATE for each in ahead) else Prospect.NO_MAIL


def _state(report: Checkout | Order, now: datetime) -> CheckoutState:
    """Return the checkout that a report makes. It is valid, so it is not checked again."""
    if isinstance(report, Checkout):
        status, reported_at, confirm, consent = Status.OPEN, report.touched_at, True, report.consent
    else:
        status, reported_at, confirm, consent = Status.ORDERED, report.ordered_at, report.confirm is not False, None
    at = min(reported_at or now, now)
    return CheckoutState.model_construct(
        id=report.id,
        status=status,
        facts=report,
        consent=KeptConsent(**dict(consent)) if consent is not None and consent.given is not None else None,
        opened_at=at,
        touched_at=at,
        ordered_at=at if status is Status.ORDERED else None,
        confirm=confirm,
        revision=1,
        messages={},
    )
