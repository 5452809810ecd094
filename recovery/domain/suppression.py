"""Suppressions: addresses that are not written to, and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SuppressionReason(StrEnum):
    """Why an address is not written to. The stronger reasons come later: none gives way to one before it."""

    UNSUBSCRIBED = "unsubscribed"
    SHOP = "shop"
    COMPLAINT = "complaint"
    ERASED = "erased"
    HARD_BOUNCE = "hard bounce"

    @classmethod
    def of(cls, kept: str) -> "SuppressionReason":
        """Return a reason as it is kept; one that only a newer version knows counts as the shop's own wish."""
        return next((reason for reason in cls if reason.value == kept), cls.SHOP)


@dataclass(frozen=True, slots=True)
class Suppression:
    """That an address is not to be reminded any more, why, and since when."""

    reason: SuppressionReason
    at: datetime

    @property
    def dead(self) -> bool:
        """Whether the address takes no mail at all: then even an order is not confirmed."""
        return self.reason is SuppressionReason.HARD_BOUNCE
