"""The words: which addresses are taken, and that the short way to them takes none that the library would not."""

from decimal import Decimal
from string import ascii_letters, digits
from typing import Annotated

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, EmailStr, Field, TypeAdapter, ValidationError

from recovery.domain import fields
from recovery.domain.checkout import Customer
from recovery.domain.fields import Amount, WebAddress, normalised

_LOCAL = st.text(ascii_letters + digits + "._+-\"@ ü'=?\r\n", max_size=70)
_DOMAIN = st.one_of(
    st.sampled_from(
        ["example.com", "EXAMPLE.com", "münchen.de", "localhost", "a.test", "x", "-a.com", "a..com", "[1.1.1.1]"]
    ),
    st.text(ascii_letters + digits + ".-ü", max_size=12),
)


class _ByTheLibrary(BaseModel, str_strip_whitespace=True):
    email: EmailStr


def _taken(model: type[BaseModel], email: str) -> str | None:
    try:
        return model.model_validate({"email": email}).email
    except ValidationError:
        return None


@settings(max_examples=500)
@given(_LOCAL, _DOMAIN)
@example("ada.lovelace", "Example.COM")
@example("a..b", "example.com")
@example("a" * 65, "example.com")
def test_addresses_are_taken_as_the_library_takes_them(local, domain):
    """Every address is refused, or kept in the same form, as by the library alone."""
    email = f"{local}@{domain}"
    assert _taken(Customer, email) == _taken(_ByTheLibrary, email)


_AMOUNT = st.one_of(
    st.from_regex(r"\A-?[0-9]{0,18}(\.[0-9]{0,6})?\Z"),
    st.text(digits + "_.,+-eEinfaN ٣\n", max_size=20),
    st.integers(-(10**17), 10**17),
    st.floats(),
    st.decimals(),
)
_MONEY: TypeAdapter[Decimal] = TypeAdapter(Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=4)])


def _read_amount(model: TypeAdapter[Decimal], value: object) -> str | None:
    try:
        return str(model.validate_python(value))
    except ValidationError:
        return None


@settings(max_examples=500)
@given(_AMOUNT)
@example("0")
@example("19.90")
@example("007")
@example("1.")
@example(".5")
@example("1.0000")
@example("999999999999.9999")
@example("1\n")
def test_amounts_are_taken_as_the_library_takes_them(amount):
    """Every amount is refused, or kept in the same form, as by the library alone; but for other digits, and for _."""
    if isinstance(amount, str) and ("_" in amount or not amount.isascii()):
        assert _read_amount(TypeAdapter(Amount), amount) is None
    else:
        assert _read_amount(TypeAdapter(Amount), amount) == _read_amount(_MONEY, amount)


def test_a_domain_that_none_can_be_is_not_remembered():
    """What is longer than a domain is refused before it is looked up, or refused reports would fill the memory."""
    kept = fields._short_domain.cache_info().currsize
    with pytest.raises(ValidationError, match="longer than the 254 characters"):
        Customer(email=f"ada@{'a' * 250_000}.example")
    assert normalised(f"ä@{'a' * 300}.example").endswith(".example")
    assert fields._short_domain.cache_info().currsize == kept


@pytest.mark.parametrize(
    "address", ["https://shop.example", "http://shop.example:8080/a?b=c#d", "https://münchen.example/ä", "HTTPS://A.B/"]
)
def test_web_addresses(address):
    """Whatever leads to a page is taken as it is."""
    assert TypeAdapter(WebAddress).validate_python(address) == address


@pytest.mark.parametrize(
    "address",
    [
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "//shop.example",
            "shop.example",
            "ftp://shop.example",
            "https://",
        ),
        *("https:///path", "https://shop.example/a b", "https://shop.example/\n", "https://shop.example/\x00", ""),
        " https://shop.example",
    ],
)
def test_nothing_else_is_a_web_address(address):
    """What is no absolute http(s) address is refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(WebAddress).validate_python(address)
