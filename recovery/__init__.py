"""Recovery reminds people of the checkouts they left, on time and only until they order."""

from recovery.checkout import Checkout, CheckoutState, Consent, Customer, Item, Order
from recovery.client import Damaged, Kept, Recovery, RecoveryError, Refused, SyncRecovery, Unavailable

__all__ = [
    "Checkout",
    "CheckoutState",
    "Consent",
    "Customer",
    "Damaged",
    "Item",
    "Kept",
    "Order",
    "Recovery",
    "RecoveryError",
    "Refused",
    "SyncRecovery",
    "Unavailable",
]
