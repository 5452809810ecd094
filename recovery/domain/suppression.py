"""Suppressions: addresses that must not be written to, with the reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SOFT_DAYS = 3
"""Days with a soft bounce after which an address gets no reminders for a while."""

SOFT_WITHIN = timedelta(days=90)
"""The time within which these days lie."""

SOFT_HOLD = timedelta(days=90)
FULL_HOLD = timedelta(days=30)
"""How long it gets none: less if the last of them was for a full mailbox, which its owner may clear."""


class SuppressionReason(StrEnum):
    """The reason for a suppression, weakest first: none is replaced by a weaker one."""

    SOFT_BOUNCES = "soft bounces"
    """Too many soft bounces; it ends by itself."""
    UNSUBSCRIBED = "unsubscribed"
    SHOP = "shop"
    COMPLAINT = "complaint"
    ERASED = "erased"
    HARD_BOUNCE = "hard bounce"

    @classmethod
    def of(cls, kept: str) -> "SuppressionReason":
        """Return a stored reason; an unknown one, of a newer version, counts as the shop's own."""
        return next((reason for reason in cls if reason.value == kept), cls.SHOP)


@dataclass(frozen=True, slots=True)
class Suppression:
    """The suppression of an address: its reason, and the time it was made."""

    reason: SuppressionReason
    at: datetime

    @property
    def dead(self) -> bool:
        """Whether the address takes no mail at all, so that not even orders are confirmed."""
        return self.reason is SuppressionReason.HARD_BOUNCE
