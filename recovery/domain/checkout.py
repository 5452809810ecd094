"""What shops report: checkouts and orders, the customer and the items in them, and consent."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
)

from recovery.domain.fields import Amount, Email, Instant, Key, Name, ShopKey, WebAddress, YesOrNo, Zone


def checkout_id(shop: str, order_id: str) -> str:
    """Return the key of a checkout, `"<shop>/<order_id>"`. A shop has no slash in it: the first one parts the two."""
    return f"{shop}/{order_id}"


def shop_of(id_: str) -> str:
    """Return the shop of a checkout by its key."""
    return id_.partition("/")[0]


class _Word(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Customer(_Word):
    """Who left the checkout."""

    email: Email
    name: Name | None = None


class Item(_Word):
    """One line of a checkout. `price` is for a single piece."""

    name: Name
    price: Amount
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    variant: Name | None = None
    url: WebAddress | None = None
    image_url: WebAddress | None = None


class Consent(_Word):
    """Whether a customer agreed to be reminded: on what basis, when, and where that was said.

    `basis` and `source` are what the shop would show if it were asked: "soft opt-in" and "box at the checkout, unticked
    by default". Of several, the latest counts; of two of the same moment, the withdrawal (`given` is false). Where
    `given` is null an earlier yes is taken back and nothing said in its place, as by a box that is unticked again: no
    refusal, but no consent either.
    """

    given: YesOrNo | None = True
    basis: Name
    at: Instant
    source: Name


class Facts(_Word):
    """What is known of a checkout, as reported. Only given fields are kept."""

    customer: Customer | None = None
    items: Annotated[tuple[Item, ...], FailFast(), Field(max_length=200)] = ()
    total: Amount | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")] | None = None
    checkout_url: WebAddress | None = None
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    time_zone: Zone | None = None

    def facts(self) -> dict[str, Any]:
        """Return the given facts as plain values: amounts as decimal strings, nothing that was left out."""
        return self.model_dump(mode="json", include=set(Facts.model_fields), exclude_none=True, exclude_defaults=True)


class _Report(Facts):
    shop: ShopKey
    order_id: Key

    @property
    def id(self) -> str:
        """The key of the checkout, `"<shop>/<order_id>"`."""
        return checkout_id(self.shop, self.order_id)


class Checkout(_Report):
    """A checkout as a shop reports it: somebody has put things in and may yet leave.

    `touched_at` is when the customer last did something in it; left out, it is the moment of the report. Reports that
    are older than what is known change nothing, so they may arrive in any order. `consent` has a time of its own, and
    stands until one that is later.
    """

    customer: Customer
    items: Annotated[tuple[Item, ...], FailFast(), Field(min_length=1, max_length=200)]
    total: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
    checkout_url: WebAddress
    consent: Consent | None = None
    touched_at: Instant | None = None


class Order(_Report):
    """An order as a shop reports it: from now on nobody is reminded of that checkout.

    Facts that are left out are taken from the checkout. `ordered_at` is the moment of the report if left out. `confirm`
    says whether a mail confirms the order, as none should before it is paid for; left out, one does. Of several reports
    the latest that says so counts.
    """

    ordered_at: Instant | None = None
    confirm: YesOrNo | None = None
