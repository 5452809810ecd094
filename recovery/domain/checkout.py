"""The reports of shops: checkouts and orders, with customer, items and consent."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
)

from recovery.domain.fields import (
    Address,
    Amount,
    Currency,
    Email,
    Instant,
    Key,
    Metadata,
    Name,
    ShopKey,
    WebAddress,
    YesOrNo,
    Zone,
    normalised,
)


def checkout_id(shop: str, order_id: str) -> str:
    """Return the key of a checkout, `"<shop>/<order_id>"`. A shop has no slash in its name."""
    return f"{shop}/{order_id}"


def shop_and_order(id_: str) -> tuple[str, str]:
    """Return the shop and the order id in the key of a checkout."""
    shop, _, order_id = id_.partition("/")
    return shop, order_id


def shop_of(id_: str) -> str:
    """Return the shop in the key of a checkout."""
    return id_.partition("/")[0]


class _Word(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Customer(_Word):
    """The customer of a checkout."""

    email: Email
    name: Name | None = None

    @cached_property
    def address(self) -> Address:
        """The normalised form of the e-mail address, worked out once: for finding, comparing and suppressing."""
        return normalised(self.email)


class Item(_Word):
    """One line of a checkout. `price` is the price of one piece."""

    name: Name
    price: Amount
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    variant: Name | None = None
    url: WebAddress | None = None
    image_url: WebAddress | None = None
    sku: Name | None = None


class Consent(_Word):
    """A customer's consent to reminders, or its withdrawal: the legal basis, the time, and the place it was given.

    `basis` and `source` are the shop's evidence: "soft opt-in" and "box at the checkout, unticked by default". Of
    several, the latest counts; of two of the same moment, the withdrawal (`given` is false). If `given` is null, an
    earlier yes is revoked and nothing takes its place, as when a box is unticked again: no refusal, but no consent
    either.
    """

    given: YesOrNo | None = True
    basis: Name
    at: Instant
    source: Name


class Facts(_Word):
    """The reported facts of a checkout. Only fields that are given are stored.

    `total` is what the customer pays: items + `shipping` + `tax` - `discount`. So `tax` is left out where it is in the
    prices, and `discount` (positive) where they are those after it; nothing is computed from them. `discount_code` is
    what the customer entered; `order_url` shows them the order. `metadata` are values for templates alone.
    """

    customer: Customer | None = None
    items: Annotated[tuple[Item, ...], FailFast(), Field(max_length=200)] = ()
    total: Amount | None = None
    discount: Amount | None = None
    discount_code: Name | None = None
    shipping: Amount | None = None
    tax: Amount | None = None
    currency: Currency | None = None
    checkout_url: WebAddress | None = None
    order_url: WebAddress | None = None
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    time_zone: Zone | None = None
    metadata: Metadata = Field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return the given facts as plain values: amounts as decimal strings, without fields that were left out."""
        dump = self.__pydantic_serializer__.to_python  # `model_dump` is the same, with arguments that take a tenth more
        facts: dict[str, Any] = dump(self, mode="json", include=_FACTS, exclude_none=True, exclude_defaults=True)
        return facts


_FACTS = set(Facts.model_fields)


class _Report(Facts):
    shop: ShopKey
    order_id: Key

    @property
    def id(self) -> str:
        """The key of the checkout, `"<shop>/<order_id>"`, as `checkout_id` makes it."""
        return f"{self.shop}/{self.order_id}"


class Checkout(_Report):
    """A report of an open checkout: the customer has items in it and has not ordered yet.

    `touched_at` is the time of the customer's last activity in it; by default, the time of the report. A report older
    than the stored one changes nothing, so reports may arrive in any order. `consent` has its own time, and holds until
    a later one. `opened_at` is for a first report that comes late: the customer may have ordered elsewhere since.
    """

    customer: Customer
    items: Annotated[tuple[Item, ...], FailFast(), Field(min_length=1, max_length=200)]
    total: Amount
    currency: Currency
    checkout_url: WebAddress
    consent: Consent | None = None
    touched_at: Instant | None = None
    opened_at: Instant | None = None


class Order(_Report):
    """A report of an order: it ends the reminders of its checkout.

    Facts that are left out are taken from the checkout. `ordered_at` is by default the time of the report. `confirm`
    is whether a mail confirms the order: by default yes; no until the order is paid for. Of several reports, the latest
    that sets it counts.
    """

    ordered_at: Instant | None = None
    confirm: YesOrNo | None = None
