"""The types of values in reports: addresses, times, amounts, names, keys; each validated and normalised."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, NewType
from unicodedata import normalize
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    EmailStr,
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
_ORDINARY_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")
_ORDINARY_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:[/?#][^\x00-\x20]*)?")


def _email(value: object, check: ValidatorFunctionWrapHandler) -> str:
    """Validate only the domain of an address with an ordinary local part; leave all others to the library.

    Nearly all are ordinary. The library takes 30 µs, mostly for the domain, and domains repeat: they are cached.
    """
    if isinstance(value, str):
        local_part, _, domain = value.strip().rpartition("@")
        if len(local_part) <= 64 and _ORDINARY_LOCAL_PART.fullmatch(local_part) and (known := _domain(domain)):
            return f"{local_part}@{known}"
        if len(domain) > LONGEST_DOMAIN:
            raise ValueError(f"the part after the @ is longer than the {LONGEST_DOMAIN} characters a domain may have")
    return str(check(value))


def _domain(written: str) -> str | None:
    """Return a mail domain in its stored form, or None if it is invalid: the library then reports the error."""
    return _short_domain(written) if len(written) <= LONGEST_DOMAIN else None  # or the cache would hold any amount


@lru_cache(maxsize=4096)
def _short_domain(written: str) -> str | None:
    try:
        _, address = validate_email(f"x@{written}")
    except ValueError:
        return None
    return address.removeprefix("x@")


Address = NewType("Address", str)
"""An e-mail address in its normalised form, which only `normalised` makes: two are of one person if they are equal."""


def normalised(email: str) -> Address:
    """Return the normalised form of an address, which comparisons use: regardless of case and Unicode composition.

    The domain is in A-labels (RFC 5890): `Ada@BÜCHER.example` and `ada@xn--bcher-kva.example` are the same. The local
    part is in lower case as well: RFC 5321 lets case matter, and no provider does. It is not case-folded: that would
    merge `groß` and `gross`, which are two addresses.
    """
    return Address(email.strip().lower() if email.isascii() else _normalised(email, _small))


def formerly_normalised(email: str) -> str:
    """Return the normalised form of former versions, which took `groß` for `gross`.

    Use it to find what they stored. Another address may have the same form, so never disclose, delete or lift by it.
    """
    return email.strip().lower() if email.isascii() else _normalised(email, _folded)


def spellings(email: str) -> tuple[str, ...]:
    """Return the spellings of an address: its domain in A-labels, and in U-labels if those differ (RFC 5890)."""
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
    """Return `value` if it is an absolute http(s) URL; otherwise raise `ValueError`."""
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


def _amount(value: object, check: ValidatorFunctionWrapHandler) -> Decimal:
    """Validate an ordinary amount by one pattern, which takes less than the library; leave all others to that."""
    if isinstance(value, str):
        if _ORDINARY_AMOUNT.fullmatch(value):
            return Decimal(value)
        if "_" in value or not value.isascii():
            raise ValueError("must be a decimal number in the digits 0 to 9, as in 1234.50")
    amount: Decimal = check(value)
    return amount


def _as_utc(value: object) -> object:
    """Return a driver's naive datetime as UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _without_controls(value: str) -> str:
    if not is_plain(value):
        raise ValueError("must not contain control characters")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_utc)]
"""A time with its zone (RFC 3339), stored in UTC. Numbers are refused: seconds or milliseconds is a guess."""

StoredInstant = Annotated[AwareDatetime, BeforeValidator(_as_utc), AfterValidator(_utc)]

WebAddress = Annotated[str, Field(max_length=2048), AfterValidator(web_address)]
"""An absolute http(s) URL: nothing else may become a link in a mail."""

Email = Annotated[
    EmailStr,
    WrapValidator(_email),
    Field(
        json_schema_extra={
            "description": "An address whose domain has a full stop. Refused are quoted local parts, IP addresses, and "
            "the reserved domains `arpa`, `invalid`, `local`, `localhost`, `onion` and `test`."
        }
    ),
]

Zone = Annotated[
    str,
    Field(
        max_length=100,
        json_schema_extra={
            "description": "A time zone by its name in the tz database; names that it does not have are refused.",
            "pattern": "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
            "examples": ["Europe/Berlin"],
        },
    ),
    AfterValidator(lambda name: zone(name).key),
]
"""A time zone by its name in the tz database, as in `Europe/Berlin`."""

Currency = Annotated[
    str,
    Field(
        pattern=r"^[A-Z]{3}$",
        json_schema_extra={
            "description": "ISO 4217 code. Any three capital letters are taken: no list is asked, since the codes "
            "change, and a report with a new one would be lost."
        },
    ),
]

Name = Annotated[str, Field(min_length=1, max_length=300)]
"""A name given by strangers: stored unchanged, and made plain wherever it is written or shown."""

MetadataKey = Annotated[str, Field(max_length=50, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Metadata = Annotated[
    dict[MetadataKey, Annotated[str, Field(max_length=500)]],
    Field(max_length=20),
    AfterValidator(lambda given: dict(sorted(given.items()))),
]
"""Values for templates alone, by name; in order, so that a report with the same ones is the same report."""

# pydantic validates in Rust what comes before a validator of ours, and in Python what comes after it.
Amount = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=4), WrapValidator(_amount)]
"""An amount of money in the major unit of its currency: `"19.90"` is nineteen euros ninety."""

YesOrNo = Annotated[bool, Field(strict=True)]
"""A strict boolean: values such as `"no"` or 0 are refused."""

Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$"), AfterValidator(_without_controls)]
ShopKey = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s/]+$"), AfterValidator(_without_controls)]
