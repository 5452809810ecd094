"""Events that a webhook reports, in the words of `recovery.domain.checkout`: the results of `Adapter.read`."""

from dataclasses import dataclass
from datetime import datetime

from recovery.domain.checkout import Checkout, Consent, Order


@dataclass(frozen=True, slots=True)
class Reported:
    """A checkout or an order. `aliases` are other ids under which the same checkout may be stored.

    An older version may have stored it under an id that the platform no longer sends: the `checkout_url` of the stored
    checkout then contains one of the aliases. `cart` is the cart that the checkout was made from; several checkouts may
    share one. `confirm_default` is whether an order is confirmed where no report says so; it counts only if the
    settings confirm this platform's orders.
    """

    report: Checkout | Order
    aliases: tuple[str, ...] = ()
    cart: str | None = None
    confirm_default: bool = True

    @property
    def shop(self) -> str:
        """The shop that the report is about."""
        return self.report.shop


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A checkout that must cause no more reminders: all ids under which it may be stored, and its cart."""

    shop: str
    order_ids: tuple[str, ...]
    cart: str | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """Activity in a cart, without its contents: it postpones the reminders of the checkouts made from it."""

    shop: str
    cart: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Emptied:
    """A checkout with nothing left in it, by all its names, or by its cart alone.

    It causes no reminders until it is reported with something in it at a later time.
    """

    shop: str
    names: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A shop that reports no more orders: its open checkouts cause no reminders until they are reported again."""

    shop: str


@dataclass(frozen=True, slots=True)
class Consented:
    """A customer's consent to marketing at one shop, for all checkouts they left there."""

    shop: str
    email: str
    consent: Consent


@dataclass(frozen=True, slots=True)
class Redact:
    """An erasure request: for one customer of a shop or, without an address, for all data of the shop."""

    shop: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A customer's request for a copy of their data. `id` is the platform's; `orders` are the orders it names."""

    shop: str
    id: str
    email: str
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid webhook from which nothing follows."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A webhook that could not be read. `field` is the platform's name of the field at fault."""

    field: str
    reason: str


Event = Reported | Cancelled | Touched | Emptied | Left | Consented | Redact | DataRequest
Found = Event | Ignored | Unmapped
