"""The words: what a checkout, an order and a message are.

What callers report (`Checkout`, `Order`) and what is kept of it (`CheckoutState`) share their facts, so that a
document which does not read back is found at the border, with the name of the field that is wrong.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any
from unicodedata import normalize
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    FailFast,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.networks import validate_email

from recovery.domain.masking import is_plain
from recovery.domain.quiet_hours import zone

LONGEST_DOMAIN = 254
"""Characters of a domain, RFC 1035 section 2.3.4; the full stop at its end included."""

_ORDINARY_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")
_ORDINARY_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:[/?#][^\x00-\x20]*)?")


def checkout_id(shop: str, order_id: str) -> str:
    """Return the key of a checkout, `"<shop>/<order_id>"`. A shop has no slash in it: the first one parts the two."""
    return f"{shop}/{order_id}"


def shop_of(id_: str) -> str:
    """Return the shop of a checkout by its key."""
    return id_.partition("/")[0]


def _email(value: object, check: ValidatorFunctionWrapHandler) -> str:
    """Take an address with an ordinary local part by its domain alone; leave all others to the library.

    That is what nearly all are, and of the library's 30 µs a domain takes most: there are far fewer of those.
    """
    if isinstance(value, str):
        local_part, _, domain = value.strip().rpartition("@")
        if len(local_part) <= 64 and _ORDINARY_LOCAL_PART.fullmatch(local_part) and (known := _domain(domain)):
            return f"{local_part}@{known}"
        if len(domain) > LONGEST_DOMAIN:
            raise ValueError(f"the part after the @ is longer than the {LONGEST_DOMAIN} characters a domain may have")
    return str(check(value))


def _domain(written: str) -> str | None:
    """Return a mail domain as it is kept, or None for the library to say what is wrong with it."""
    return _short_domain(written) if len(written) <= LONGEST_DOMAIN else None  # or the cache would hold any amount


@lru_cache(maxsize=4096)
def _short_domain(written: str) -> str | None:
    try:
        _, address = validate_email(f"x@{written}")
    except ValueError:
        return None
    return address.removeprefix("x@")


def normalised(email: str) -> str:
    """Return an address in the one form that it is compared in: whatever case or composition it was written in.

    The domain is in A-labels (RFC 5890): `Ada@BÜCHER.example` and `ada@xn--bcher-kva.example` are the same. The local
    part is in small letters as well, where RFC 5321 lets case matter and no provider does. It is not case-folded: that
    would make one of `groß` and `gross`, who are two.
    """
    return email.strip().lower() if email.isascii() else _normalised(email, _small)


def formerly_normalised(email: str) -> str:
    """Return an address as versions before this one compared it, which took `groß` for `gross`.

    What they kept is found by it. Another address may have the same: nothing is given away, deleted or lifted by it.
    """
    return email.strip().lower() if email.isascii() else _normalised(email, _folded)


def spellings(email: str) -> tuple[str, ...]:
    """Return how an address is written: its domain in A-labels, and in U-labels where those differ (RFC 5890)."""
    ascii_form = normalised(email)
    local_part, _, domain = ascii_form.rpartition("@")
    return tuple(dict.fromkeys([ascii_form, f"{local_part}@{_domain(domain) or domain}"]))


def _normalised(email: str, small: Callable[[str], str]) -> str:
    local_part, _, domain = email.strip().rpartition("@")
    labels = (_domain(domain) or small(domain)).split(".")
    ascii_domain = ".".join(
        label.lower() if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
    )
    return f"{small(local_part)}@{ascii_domain}"


def _small(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).lower())


def _folded(text: str) -> str:
    return normalize("NFC", normalize("NFD", text).casefold())


def web_address(value: str) -> str:
    """Return `value` if it is an absolute http(s) address; raise `ValueError` if it is anything else."""
    if _ORDINARY_WEB_ADDRESS.fullmatch(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if any(character <= " " for character in value):
        raise ValueError("must not contain spaces or control characters")
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from None


def _no_number(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.match(value.lstrip())):
        raise ValueError("must be a date and time with a zone, as in 2026-03-01T14:05:00+01:00")
    return value


def _ascii_digits(value: object) -> object:
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise ValueError("must be a decimal number in the digits 0 to 9, as in 1234.50")
    return value


def _as_utc(value: object) -> object:
    """Read the naive datetimes of a driver without time zones as what they are: UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _without_controls(value: str) -> str:
    if not is_plain(value):
        raise ValueError("must not contain control characters")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_utc)]
"""A time with its zone as RFC 3339 has it, kept in UTC. A number is none: nobody can tell seconds from milliseconds."""

StoredInstant = Annotated[AwareDatetime, BeforeValidator(_as_utc), AfterValidator(_utc)]

WebAddress = Annotated[str, Field(max_length=2048), AfterValidator(web_address)]
"""An absolute http(s) address: nothing else may become a link in a mail."""

Email = Annotated[EmailStr, WrapValidator(_email)]

Zone = Annotated[str, Field(max_length=100), AfterValidator(lambda name: zone(name).key)]
"""A time zone by its name in the tz database, as in `Europe/Berlin`."""

Name = Annotated[str, Field(min_length=1, max_length=300)]
"""What strangers may call something: it is kept as it came, and made plain wherever it is written or shown."""

# pydantic checks in Rust what stands before a validator of ours, and in Python what stands behind it.
Amount = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=4), BeforeValidator(_ascii_digits)]
"""An amount of money in the major unit of its currency: `"19.90"` is nineteen euros ninety."""

YesOrNo = Annotated[bool, Field(strict=True)]
"""Not what could be taken for either, such as `"no"` or 0."""

Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$"), AfterValidator(_without_controls)]
ShopKey = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s/]+$"), AfterValidator(_without_controls)]


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


class Status(StrEnum):
    """Where a checkout stands."""

    OPEN = "open"
    ORDERED = "ordered"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class MessageState(StrEnum):
    """Where one message of a checkout stands."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"

    @property
    def settled(self) -> bool:
        """Whether nothing will ever be done about this message again."""
        return self in (MessageState.SENT, MessageState.SKIPPED, MessageState.DEAD)


class Cause(StrEnum):
    """Why a message is dead."""

    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    ATTEMPTS = "attempts used up"
    RENDER_ERROR = "render error"
    LOST = "lost after the dot"
    INVALID = "invalid document"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(_Kept):
    """What became of one message (a step's reminder, or the confirmation) of a checkout.

    `retry_at` is when a refused message may be tried again; `replayed_at` is when somebody asked for a dead one once
    more, which makes it due then. `deferred_to` is when it becomes due because its address had another mail before.
    `ambiguous` counts how often its content went out and nobody knows what became of it. `handed_over` says, while it
    is being sent, whether the content went out; None where that is not kept.
    """

    state: MessageState = MessageState.WAITING
    attempts: Annotated[int, Field(ge=0)] = 0
    due_at: StoredInstant | None = None
    retry_at: StoredInstant | None = None
    replayed_at: StoredInstant | None = None
    deferred_to: StoredInstant | None = None
    sent_at: StoredInstant | None = None
    reason: str | None = None
    message_id: str | None = None
    reply: str | None = None
    ambiguous: Annotated[int, Field(ge=0)] = 0
    handed_over: bool | None = None

    @property
    def may_be_taken(self) -> bool:
        """Whether its sender died, and the relay may have it."""
        return self.state is MessageState.SENDING and self.handed_over is not False


class KeptConsent(_Kept):
    """A `Consent` as it is kept."""

    given: bool | None
    basis: str
    at: StoredInstant
    source: str


class Claim(_Kept):
    """The right of one sender to send one message of a checkout, until the lease ends."""

    token: str
    owner: str
    until: StoredInstant


class Past(_Kept):
    """One decision of the past, with its reason: what the shop's support staff read."""

    at: StoredInstant
    decision: str
    reason: str


class CheckoutState(_Kept):
    """A checkout as it is kept: the truth that every decision is made from."""

    id: Annotated[str, Field(alias="_id")]
    status: Status
    facts: Facts = Facts()
    consent: KeptConsent | None = None
    opened_at: StoredInstant
    touched_at: StoredInstant
    ordered_at: StoredInstant | None = None
    confirm: bool = True
    revision: Annotated[int, Field(ge=1)]
    messages: Mapping[str, Message] = Field(default_factory=dict)  # pydantic would copy a {} each time
    claim: Claim | None = None
    next_at: StoredInstant | None = None
    purge_at: StoredInstant | None = None
    history: tuple[Past, ...] = ()

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)
