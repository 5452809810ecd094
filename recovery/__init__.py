"""Recovery sends reminders of abandoned checkouts, on time and only until the customer orders."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recovery.client import Damaged, Kept, Recovery, RecoveryError, Refused, ReportResult, SyncRecovery, Unavailable
    from recovery.domain.checkout import Checkout, Consent, Customer, Item, Order
    from recovery.domain.state import CheckoutState

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
    "ReportResult",
    "SyncRecovery",
    "Unavailable",
]

_DOMAIN = {
    **dict.fromkeys(("Checkout", "Consent", "Customer", "Item", "Order"), "recovery.domain.checkout"),
    "CheckoutState": "recovery.domain.state",
}

if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name: str) -> Any:
        """Import a name on first use, so that `recovery --help` does not load a database driver."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_DOMAIN.get(name, "recovery.client")), name)
        globals()[name] = value
        return value
