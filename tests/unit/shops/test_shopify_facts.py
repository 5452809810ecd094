"""Facts of a Shopify checkout or order: currencies, names, items; and signatures."""

import base64
import hashlib
import hmac
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Checkout, Order
from recovery.shops import shopify
from recovery.shops.adapter import Trust
from recovery.shops.events import Cancelled, DataRequest, Emptied, Ignored, Redact, Touched, Unmapped
from recovery.shops.shopify import Shopify
from recovery.shops.values import LONGEST_NAME, MOST_ITEMS
from tests.support.builders import NOON
from tests.support.shopify_bodies import SHOP, checkout, line, order, read


def money(amount, currency="EUR"):
    return {
        "shop_money": {"amount": "1.00", "currency_code": "USD"},
        "presentment_money": {"amount": amount, "currency_code": currency},
    }


def test_the_token_is_the_key_and_the_number_an_alias():
    """Since API version 2026-04 orders name no number; older versions kept checkouts by it."""
    found = shopify.read("checkouts/update", SHOP, checkout(token="t0k3n"))
    assert (found.report.order_id, found.aliases) == ("t0k3n", ("450789469",))
    found = shopify.read("orders/create", SHOP, order(checkout_token="t0k3n"))
    assert (found.report.order_id, found.aliases) == ("t0k3n", ("450789469",))
    found = shopify.read("orders/create", SHOP, order(checkout_token="t0k3n", checkout_id=None))
    assert (found.report.order_id, found.aliases) == ("t0k3n", ())


def test_checkout_is_in_the_customers_currency():
    """A checkout's amounts are in its presentment currency, as Shopify documents."""
    assert read("checkouts/create", SHOP, checkout(presentment_currency="EUR")).currency == "EUR"


def test_order_is_told_as_the_customer_saw_it():
    """If every amount of an order is also given in the customer's currency, those are reported."""
    report = read(
        "orders/create", SHOP, order(total_price_set=money("380.10"), line_items=[line(price_set=money("184.50"))])
    )
    assert (report.total, report.currency, report.items[0].price) == (Decimal("380.10"), "EUR", Decimal("184.50"))


@pytest.mark.parametrize("price_set", [None, money("184.50", "GBP"), {"presentment_money": []}])
def test_currencies_are_never_mixed(price_set):
    """If one amount lacks the customer's currency, all are reported in the shop's."""
    report = read("orders/create", SHOP, order(total_price_set=money("380.10"), line_items=[line(price_set=price_set)]))
    assert (report.total, report.currency, report.items[0].price) == (Decimal("409.94"), "USD", Decimal("199.00"))


def test_long_names_are_cut():
    """A title that is too long to show is cut rather than refused."""
    (item,) = read("checkouts/create", SHOP, checkout(line_items=[line(title="ä" * 5000)])).items
    assert len(item.name) == LONGEST_NAME
    assert item.name.endswith("ä…")


def test_long_lists_are_cut():
    """Of more items than a mail can show, the first are kept; the total still counts them all."""
    report = read("checkouts/create", SHOP, checkout(line_items=[line(title=f"n{i}") for i in range(MOST_ITEMS + 50)]))
    assert [item.name for item in report.items] == [f"n{i}" for i in range(MOST_ITEMS)]


@pytest.mark.parametrize("variant", [None, "", "Default Title", []])
def test_products_without_variants_show_none(variant):
    """Shopify's placeholder for the only variant of a product is not shown to anybody."""
    assert read("checkouts/create", SHOP, checkout(line_items=[line(variant_title=variant)])).items[0].variant is None


def test_titles_are_in_the_customers_language():
    """Where Shopify gives the title that the customer saw, that is the one."""
    seen = line(presentment_title="Vélo", presentment_variant_title="Rouge")
    (item,) = read("checkouts/create", SHOP, checkout(line_items=[seen])).items
    assert (item.name, item.variant) == ("Vélo", "Rouge")


def test_custom_lines_may_lack_fields():
    """A line that a merchant typed has a title and a price, and may have nothing else."""
    (item,) = read("checkouts/create", SHOP, checkout(line_items=[{"title": "Engraving", "price": "5"}])).items
    assert (item.name, item.variant, item.quantity) == ("Engraving", None, 1)


TOPICS = [
    "checkouts/create",
    "checkouts/delete",
    "carts/update",
    "orders/create",
    "orders/cancelled",
    "customers/redact",
    "customers/data_request",
]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=60)
@given(
    st.sampled_from(TOPICS),
    st.dictionaries(st.sampled_from(sorted({**checkout(), **order()})), ANYTHING, max_size=3),
    ANYTHING,
    st.sampled_from(sorted(line())),
)
def test_anything_is_read_ignored_or_unmapped(topic, changes, value, field):
    """Whatever stands where, the answer is a report, a reason to ignore it, or the name of a field."""
    payload = {
        **(order() if topic.startswith("orders") else checkout()),
        "line_items": [line(**{field: value})],
        **changes,
    }
    result = read(topic, SHOP, payload)
    events = Cancelled | Emptied | Touched | Redact | DataRequest
    assert isinstance(result, Checkout | Order | events | Ignored | Unmapped)


BODY = b'{"id": 1}'


def verify(body, signature, *secrets):
    """Return whether Shopify's adapter takes this signature."""
    headers = {} if signature is None else {"x-shopify-hmac-sha256": signature}
    return Shopify().signature_fault(body, headers, Trust(NOON, secrets)) is None


def signed(body, secret="hush"):
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def test_right_signature_is_accepted():
    """The base64 HMAC-SHA256 of the raw body is accepted, by any of the secrets."""
    assert verify(BODY, signed(BODY), "hush")
    assert verify(BODY, signed(BODY), "new", "hush")


def test_signature_is_the_documented_one():
    """The signature is that of RFC 4231's second test case, in base64."""
    expected = base64.b64encode(
        bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    ).decode()
    assert verify(b"what do ya want for nothing?", expected, "Jefe")


@pytest.mark.parametrize(
    "signature", [None, "", "é", signed(BODY, "other"), signed(BODY + b" "), signed(BODY)[:-2], signed(BODY) + "x"]
)
def test_wrong_signature_is_refused(signature):
    """No signature, a foreign one or one of another body is refused, whatever characters it is made of."""
    assert not verify(BODY, signature, "hush")
