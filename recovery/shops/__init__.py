"""Adapters from what shops send to the words of `recovery.domain.checkout`, and what they may find in it."""

from dataclasses import dataclass

from recovery.domain.checkout import Checkout, Consent, Order


@dataclass(frozen=True, slots=True)
class Reported:
    """A checkout or an order. `aliases` are other ids that the same checkout may be kept under.

    Older versions may have kept it under one that is not told any more: then its `checkout_url` has an id in it.
    `cart` is the cart that it was made of, of which there may be other checkouts. `confirm_default` is whether an order
    is to be confirmed where no report says so.
    """

    report: Checkout | Order
    aliases: tuple[str, ...] = ()
    cart: str | None = None
    confirm_default: bool = True


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A checkout that nobody is to be reminded of any more, by all ids that it may be kept under, and its cart."""

    shop: str
    order_ids: tuple[str, ...]
    cart: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A shop that tells of its orders no more: nobody is to be reminded of what is open there."""

    shop: str


@dataclass(frozen=True, slots=True)
class Consented:
    """What a person says of being written to by a shop, whatever they have left there."""

    shop: str
    email: str
    consent: Consent


@dataclass(frozen=True, slots=True)
class Redact:
    """A person whose data the shop must erase, or without an address all that is kept for the shop."""

    shop: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A person who asks what is kept of them. `id` is the shop platform's, `orders` are those that are asked about."""

    shop: str
    id: str
    email: str
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """What a shop sent is in order, and nothing follows from it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """What a shop sent cannot be read. `field` is the shop platform's name for what is wrong."""

    field: str
    reason: str


Found = Reported | Cancelled | Left | Consented | Redact | DataRequest | Ignored | Unmapped
