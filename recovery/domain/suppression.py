"""Suppressions: addresses that must not be written to, with the reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SuppressionReason(StrEnum):
    """The reason for a suppression, weakest first: none is replaced by a weaker one."""

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
