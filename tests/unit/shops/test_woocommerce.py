"""WooCommerce webhooks, read as checkouts, orders and cancellations."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Checkout, Customer, Order
from recovery.shops.adapter import NOT_SIGNED, Trust, WebhookRequest
from recovery.shops.events import Cancelled, Emptied, Ignored, Reported, Unmapped
from recovery.shops.woocommerce import TOPICS, WooCommerce
from tests.support.builders import NOON
from tests.support.collected import collected
from tests.support.woocommerce_bodies import SHOP, events, line, order, read

PAY = "https://lamps.example/kasse/order-pay/1042/?pay_for_order=true&key=wc_order_9AbC"
OURS = {"id": 5, "key": "_recovery_checkout", "value": "woo-7f3a"}
LOCALE = {"id": 6, "key": "_recovery_locale", "value": "de_DE"}


def test_an_unpaid_order_is_a_checkout():
    """Every fact arrives: the price of a piece as it is paid, the name without markup, the time as UTC."""
    assert read("order.created", order(meta_data=[LOCALE])) == Checkout(
        shop=SHOP,
        order_id="1042",
        customer={"email": "zoe.bronte@example.com", "name": "Zoë Brontë"},
        items=[
            {
                "name": "Stehleuchte „Mond“",
                "variant": "Messing",
                "price": "20.00",
                "quantity": 2,
                "image_url": "https://lamps.example/mond.jpg",
                "sku": "ST-01-MS",
            }
        ],
        total="44.90",
        discount_code="HERBST",
        shipping="4.90",
        currency="EUR",
        checkout_url=PAY,
        locale="de_DE",
        touched_at=datetime(2026, 11, 24, 17, 5, 47, tzinfo=UTC),
    )


def test_a_paid_order_is_an_order():
    """It is the order of the checkout with the same number, of the time at which it was paid."""
    paid = order("processing", date_paid_gmt="2026-11-24T17:21:31")
    assert read("order.updated", paid, confirm_orders=True) == Order(
        shop=SHOP,
        order_id="1042",
        customer={"email": "zoe.bronte@example.com", "name": "Zoë Brontë"},
        items=read("order.created", order()).items,
        total="44.90",
        discount_code="HERBST",
        shipping="4.90",
        currency="EUR",
        ordered_at=datetime(2026, 11, 24, 17, 21, 31, tzinfo=UTC),
        confirm=True,
    )


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("checkout-draft", Checkout),
        ("pending", Checkout),
        ("failed", Checkout),
        ("processing", Order),
        ("completed", Order),
        ("on-hold", Order),
        ("wc-completed", Order),
        ("cancelled", Cancelled),
        ("refunded", Cancelled),
        ("trash", Cancelled),
        ("shipped", Ignored),
        ("", Ignored),
        (None, Ignored),
        (["pending"], Ignored),
    ],
)
def test_the_status_says_what_it_is(status, event, topic):
    """Whatever the topic, which is not signed: an old body that is sent again as another topic says the same."""
    assert isinstance(read(topic, order(status)), event)


def test_a_paid_order_with_a_status_of_a_plug_in_is_an_order():
    """Shops add statuses such as "shipped"; what is paid is not reminded of."""
    assert isinstance(read("order.updated", order("shipped", date_paid_gmt="2026-11-24T17:21:31")), Order)


@pytest.mark.parametrize("topic", ["", "product.updated", "customer.created", "action.woocommerce_add_to_cart"])
def test_other_topics_are_ignored(topic):
    """A topic that says nothing of an order is ignored, whatever it carries."""
    assert isinstance(read(topic, order()), Ignored)


def test_a_deleted_order_is_told_by_its_number_alone():
    """It ends the reminders of the checkout with that number, which may have another key as well."""
    assert read("order.deleted", {"id": 1042}) == Cancelled(SHOP, ("1042",))


@pytest.mark.parametrize("status", ["pending", "processing", "cancelled"])
def test_an_order_of_a_shop_with_our_plug_in_continues_its_checkout(status):
    """The key that the plug-in reported comes first, the number of the order is an alias of it."""
    (found,) = events("order.updated", order(status, meta_data=[{"key": 7}, OURS, None], created_via="admin"))
    if status == "cancelled":
        assert found == Cancelled(SHOP, ("woo-7f3a", "1042"))
    else:
        assert (found.report.order_id, found.aliases) == ("woo-7f3a", ("1042",))


@pytest.mark.parametrize("created_via", ["admin", "subscription"])
@pytest.mark.parametrize("status", ["pending", "completed", "cancelled"])
def test_what_no_customer_has_left_is_ignored(created_via, status):
    """Orders that the shop types in, and renewals of subscriptions, come from no checkout."""
    assert isinstance(read("order.created", order(status, created_via=created_via)), Ignored)


@pytest.mark.parametrize("status", ["pending", "failed", "completed", "cancelled"])
def test_a_renewal_is_ignored_whatever_it_was_copied_from(status):
    """WooCommerce Subscriptions copies the metadata of the first order into each renewal, our key with it."""
    renewal = order(status, meta_data=[OURS], created_via="subscription")
    assert isinstance(read("order.created", renewal), Ignored)


def test_a_part_of_an_order_is_ignored():
    """Market places split an order by seller; its customer has left one checkout."""
    assert isinstance(read("order.created", order(parent_id=1041)), Ignored)


@pytest.mark.parametrize(
    ("status", "created_via", "wanted", "confirm"),
    [
        ("processing", "checkout", True, True),
        ("completed", "store-api", True, True),
        ("processing", "checkout", False, False),
        ("on-hold", "checkout", True, False),
        ("processing", "rest-api", True, False),
    ],
)
def test_only_paid_orders_of_the_checkout_are_confirmed(status, created_via, wanted, confirm):
    """And only if the settings have this platform's orders confirmed: WooCommerce does it itself."""
    assert read("order.updated", order(status, created_via=created_via), confirm_orders=wanted).confirm == confirm


@pytest.mark.parametrize(
    ("status", "payment_url", "configured", "link"),
    [
        ("pending", PAY, None, PAY),
        ("failed", PAY, "https://lamps.example/?cart={id}", PAY),
        ("pending", None, "https://lamps.example/?cart={id}", "https://lamps.example/?cart=1042"),
        ("checkout-draft", PAY, None, "https://lamps.example/kasse/"),
        ("checkout-draft", PAY, "https://lamps.example/?cart={id}", "https://lamps.example/?cart=1042"),
        (
            "checkout-draft",
            "https://lamps.example/blog/?page_id=7&order-pay=1042&pay_for_order=true&key=wc_order_9AbC",
            None,
            "https://lamps.example/blog/?page_id=7",
        ),
    ],
)
def test_the_link_back_leads_to_where_the_order_is_paid(status, payment_url, configured, link):
    """A draft cannot be paid yet: its link is the shop's checkout page, or the configured one."""
    found = read("order.updated", order(status, payment_url=payment_url), checkout_url=configured)
    assert found.checkout_url == link


@pytest.mark.parametrize("source", ["https://evil.example/", ""])
def test_the_link_back_is_not_made_of_what_is_not_signed(source):
    """The header with the shop's address is not signed: a link made of it could lead anywhere."""
    body = json.dumps(order("checkout-draft", payment_url=None)).encode()
    headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-source": source}
    (found,) = WooCommerce().read(WebhookRequest(SHOP, body, headers))
    assert isinstance(found, Unmapped)
    assert found.field == "payment_url"


@pytest.mark.parametrize("email", [None, "", "nobody", 7, [], "a@b.example\r\nBcc: eve@example.com"])
def test_a_checkout_without_an_address_is_ignored(email):
    """WooCommerce sends an empty text for no address; the customer may yet type one."""
    assert isinstance(read("order.updated", order(billing={"email": email})), Ignored)
    assert isinstance(read("order.updated", order(billing=None)), Ignored)


@pytest.mark.parametrize(
    "lines", [None, {}, "none", [None], [line(quantity=0)], [line(quantity=-1)], [line(total=None)]]
)
def test_a_checkout_that_shows_nothing_is_ignored(lines):
    """There is no list of lines, or no line that can be shown."""
    assert isinstance(read("order.updated", order(line_items=lines)), Ignored)


def test_an_emptied_checkout_is_told_by_all_its_names():
    """It causes no reminder of what was in it, and nothing is cancelled for good."""
    at = datetime(2026, 11, 24, 17, 5, 47, tzinfo=UTC)
    emptied = order(line_items=[], meta_data=[OURS])
    assert read("order.updated", emptied) == Emptied(SHOP, ("woo-7f3a", "1042"), at)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": True}, "id"),
        ({"id": {"n": 1}}, "id"),
        ({"id": "9" * 500}, "id"),
        ({"total": None}, "total"),
        ({"total": "much"}, "total"),
        ({"currency": None}, "currency"),
        ({"currency": "euro"}, "currency"),
        ({"payment_url": None}, "payment_url"),
        ({"payment_url": "javascript:alert(1)"}, "payment_url"),
    ],
)
def test_an_unreadable_checkout_names_the_field(changes, field):
    """A checkout that cannot become a reminder is unmapped, with WooCommerce's own name of the field at fault."""
    found = read("order.created", order(**changes))
    assert isinstance(found, Unmapped)
    assert found.field == field


def test_an_error_in_place_of_an_order_is_explained():
    """A webhook whose user may not read orders carries WooCommerce's own error, signed."""
    error = {"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": {"status": 401}}
    found = read("order.updated", error)
    assert (found.field, "choose a user who may read orders" in found.reason) == ("code", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": "none"},
        {"total": {}},
        {"currency": "euro"},
        {"billing": []},
        {"meta_data": {"a": 1}},
        {"date_created_gmt": "9999-12-31T23:59:59-23:59", "date_paid_gmt": []},
    ],
)
def test_an_order_is_never_refused_for_a_fact(changes):
    """Whatever is wrong with an order's facts is left out, and the order still stops the reminders."""
    found = read("order.updated", order("processing", **changes))
    assert isinstance(found, Order)
    assert found.order_id == "1042"
    assert (found.total is None) == (found.currency is None)


ITEMS_OF_THE_SAMPLE = [
    ("Woo Single #1", None, 2, Decimal("3.23")),  # (6.00 + 0.45) / 2 = 3.225
    ("Ship Your Idea – Color: Black, Size: M Test", None, 1, Decimal("12.90")),
]


@pytest.mark.parametrize("name", ["rest-docs-order-1.json", "rest-docs-order-3.json"])
def test_sample_orders_are_read(name):
    """The orders that WooCommerce documents, paid and completed, end the reminders of number 727."""
    payload = json.loads(collected("woocommerce", name).read_text())
    found = read("order.updated", payload)
    assert (found.shop, found.order_id, found.confirm) == (SHOP, "727", False)
    assert found.customer == Customer(email="john.doe@example.com", name="John Doe")
    assert [(each.name, each.variant, each.quantity, each.price) for each in found.items] == ITEMS_OF_THE_SAMPLE
    assert (found.total, found.currency) == (Decimal("29.35"), "USD")
    assert (found.shipping, found.discount, found.tax, found.discount_code) == (Decimal("10.00"), None, None, None)
    assert [each.sku for each in found.items] == [None, "Bar3"]
    assert found.ordered_at == datetime(2017, 3, 22, 19, 28, 8, tzinfo=UTC)
    assert (found.locale, found.checkout_url, found.time_zone) == (None, None, None)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=100)
@given(
    st.sampled_from(["checkout-draft", "pending", "processing", "cancelled", "shipped"]),
    st.dictionaries(st.sampled_from(sorted(order())), ANYTHING, max_size=3),
    st.dictionaries(st.sampled_from(sorted(line())), ANYTHING, max_size=3),
)
def test_anything_is_read_ignored_or_unmapped(status, changes, of_line):
    """Whatever stands where, the answer is an event, a reason to ignore it, or the name of a field."""
    (found,) = events("order.updated", {**order(status, line_items=[line(**of_line)]), **changes})
    assert isinstance(found, Reported | Cancelled | Emptied | Ignored | Unmapped)


BODY = b'{"id": 1}'


def signed(body, secret="hush"):
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize("name", ["x-wc-webhook-signature", "wc-webhook-signature"])
def test_a_signature_by_any_of_the_secrets_is_accepted(name):
    """It is base64 of the HMAC-SHA256 of the raw body."""
    trust = Trust(NOON, ("new", "hush"))
    assert WooCommerce().signature_fault(BODY, {name: signed(BODY)}, trust) is None
    for wrong in (signed(BODY, "other"), signed(BODY + b" "), signed(BODY).lower(), "", "é"):
        assert WooCommerce().signature_fault(BODY, {name: wrong}, trust) == NOT_SIGNED


@pytest.mark.parametrize(
    ("body", "is_ping"),
    [(b"webhook_id=7", True), (b"webhook_id=", False), (b"webhook_id=7&a=1", False), (b"{}", False), (b"", False)],
)
def test_the_question_whether_the_address_works_is_known(body, is_ping):
    """It is a form with the number of the webhook and nothing else."""
    assert WooCommerce().is_ping(body, {}) == is_ping
