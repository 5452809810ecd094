"""Links: what they lead to, that they tell nothing, and that only what was made here opens."""

import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Customer
from recovery.domain.fields import normalised
from recovery.domain.pseudonyms import Pseudonyms
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from tests.support.builders import state, step

KEY = "a key of some length"
FIRST = step("reminder-1", timedelta(minutes=30))
SHOP, ADA = "shop.example", "ada@example.com"

ADDRESSES = st.builds(
    "{}@{}".format, st.text(min_size=1, max_size=64), st.sampled_from(["a.example", "BÜCHER.example"])
)
SHOPS = st.text(min_size=1, max_size=100).filter(lambda text: not re.search(r"[\s/]", text))


def links(*keys, **options):
    """Return links as a shop that uses all of it would have them."""
    given = {"base_url": "https://mail.shop.example", "return_path": "bounces@bounce.shop.example"} | options
    return Links(Seals(keys or [KEY]), Pseudonyms([KEY]), **given)


def left(url="https://shop.example/checkouts/1"):
    kept = state()
    return kept.model_copy(update={"facts": kept.facts.model_copy(update={"checkout_url": url})})


@settings(deadline=None)
@given(SHOPS, ADDRESSES)
def test_any_address_comes_back(shop, email):
    """An unsubscribe link opens to the shop and the address that it was made for."""
    address = normalised(email)
    link = links().unsubscribe(shop, address)
    assert links().opened_unsubscribe(link.rpartition("/")[2]) == (shop, address)
    assert links().unsubscribe_in(f"<{link}>, <mailto:x@example.com>") == (shop, address)
    assert links().language_of(link.rpartition("/")[2]) == ""
    told = links().unsubscribe(shop, address, "pt-BR").rpartition("/")[2]
    assert links().opened_unsubscribe(told) == (shop, address)
    assert links().language_of(told) == "pt-BR"
    assert len(told) - len(link.rpartition("/")[2]) <= 8


@settings(deadline=None)
@given(ADDRESSES)
def test_any_return_path_comes_back(email):
    """A return path tells whose bounce it is, in whatever case a server returns it, and fits into RFC 5321's bounds."""
    address = links().return_path(SHOP, normalised(email))
    assert len(address.partition("@")[0]) <= 64
    assert links().return_path_in(f"Bounce <{address.upper()}>") == Pseudonyms([KEY]).of(email)


def test_links_tell_nothing():
    """Neither address nor order nor shop can be read in a link or a return path."""
    counted = links(count_clicks=True)
    made = [counted.unsubscribe(SHOP, ADA), counted.back(left(), FIRST), counted.return_path(SHOP, ADA)]
    assert not re.search(r"ada|example\.com|checkouts|reminder|shop\.example/1", " ".join(made), re.IGNORECASE)


def test_the_same_address_has_the_same_link():
    """Every mail to an address carries the same link, however the address was written."""
    written = {Customer(email=email).address for email in ("Ada@example.com", "ada@EXAMPLE.com")}
    assert {links().unsubscribe(SHOP, address) for address in written} == {links().unsubscribe(SHOP, ADA)}
    assert links().unsubscribe(SHOP, ADA) != links().unsubscribe("other.example", ADA)


def test_an_old_link_opens_after_a_new_key():
    """A link in an old mail still leads somewhere once there is a new key, and no more once its own is gone."""
    token = links("an old key").unsubscribe(SHOP, ADA).rpartition("/")[2]
    assert links("a new key", "an old key").opened_unsubscribe(token) == (SHOP, "ada@example.com")
    assert links("a new key").opened_unsubscribe(token) is None
    assert links("a new key").language_of(token) == ""


def test_one_link_is_no_other():
    """A link of one kind does not open as one of another."""
    made = links(count_clicks=True)
    back = made.back(left(), FIRST).rpartition("/")[2]
    assert made.opened_back(back) == ("reminder-1", "shop.example/1")
    assert made.opened_unsubscribe(back) is None


@pytest.mark.parametrize("text", ["", "bounces@bounce.shop.example", f"bounces+{'a' * 52}@bounce.shop.example", "+@"])
def test_what_was_not_made_here_does_not_open(text):
    """A return path that was not made here is not decoded."""
    assert links().return_path_in(text) is None


def test_without_addresses_there_are_no_links():
    """Without a public address and a return path, there is only the checkout's own link, and no key is needed."""
    bare = Links(Seals([]), Pseudonyms([]), count_clicks=True)
    assert bare.unsubscribe(SHOP, ADA) is None
    assert bare.return_path(SHOP, ADA) is None
    assert bare.back(left(), FIRST) == "https://shop.example/checkouts/1"
    assert bare.back(left(None), FIRST) is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("https://shop.example/c", "https://shop.example/c?utm_source=recovery&utm_campaign=reminder-1"),
        ("https://shop.example/c?", "https://shop.example/c?utm_source=recovery&utm_campaign=reminder-1"),
        ("https://shop.example/c?key=a%2Fb+c#top", "https://shop.example/c?key=a%2Fb+c&utm_source=recovery&utm_campaign=reminder-1#top"),
        ("https://shop.example/c?utm_source=shop", "https://shop.example/c?utm_source=shop&utm_campaign=reminder-1"),
        ("https://shop.example/c?utm%5Fsource=shop&utm_campaign", "https://shop.example/c?utm%5Fsource=shop&utm_campaign"),
        ("https://shop.example/c#a?b", "https://shop.example/c?utm_source=recovery&utm_campaign=reminder-1#a?b"),
    ],
)  # fmt: skip
def test_parameters_are_added(own, expected):
    """Parameters come after the shop's own, which are left as they are, and before the fragment."""
    assert links(parameters=["utm_source=recovery", "utm_campaign={step}"]).back(left(own), FIRST) == expected


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="&#=?%+"), min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="&#%+{"), max_size=20),
)
def test_parameters_arrive_as_they_were_written(name, value):
    """Whatever script a parameter is in, the shop reads what was configured."""
    link = links(parameters=[f"{name}={value}"]).back(left(), FIRST)
    assert link.isascii()
    assert parse_qsl(urlsplit(link).query, keep_blank_values=True) == [(name, value)]
