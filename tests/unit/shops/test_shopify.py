"""Shopify webhooks, read as checkouts and orders."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from recovery.domain.checkout import Checkout, Order
from recovery.shops import shopify
from recovery.shops.events import Emptied, Ignored, Touched, Unmapped
from tests.support.collected import collected
from tests.support.paths import TESTS
from tests.support.shopify_bodies import SHOP, checkout, line, order, read

OWN_SAMPLES = TESTS / "data" / "shopify"


def sample(name, key):
    return json.loads(collected("shopify", name).read_text())[key]


def test_a_whole_checkout_and_the_order_that_ends_it_are_read():
    """Of two whole bodies of today's webhooks, every fact arrives, and the order names the checkout by its token."""
    left, ordered = (json.loads((OWN_SAMPLES / name).read_text()) for name in ("checkout.json", "order.json"))
    items = [
        {"name": "Stehleuchte „Mond“", "variant": "Messing", "price": "189.90", "quantity": 1, "sku": "ST-01-MS"},
        {"name": "Leuchtmittel E27", "price": "5.00", "quantity": 2, "sku": "LM-E27"},
    ]
    report = read("checkouts/update", SHOP, left)
    assert report.model_copy(update={"consent": None}) == Checkout(
        shop=SHOP,
        order_id="Z2NwLWV1cm9wZS13ZXN0NDowMUtCMkhZ",
        customer={"email": "zoe.bronte@example.com", "name": "Zoë Brontë"},
        items=items,
        total="194.80",
        discount="10.00",
        discount_code="HERBST",
        currency="EUR",
        checkout_url=left["abandoned_checkout_url"],
        locale="de-DE",
        touched_at=datetime(2026, 11, 24, 17, 5, 47, tzinfo=UTC),
    )
    assert report.consent is not None
    assert report.consent.given
    order_report = read("orders/create", SHOP, ordered)
    assert (order_report.order_id, order_report.ordered_at) == (
        report.order_id,
        datetime(2026, 11, 24, 17, 21, 31, tzinfo=UTC),
    )
    assert [(item.name, item.quantity, item.price) for item in order_report.items] == [
        ("Stehleuchte „Mond“", 1, Decimal("189.90")),
        ("Leuchtmittel E27", 2, Decimal("5.00")),
    ]


def test_checkout_is_read():
    """Every fact of a checkout arrives in the words of Recovery."""
    assert read("checkouts/update", SHOP, checkout()) == Checkout(
        shop=SHOP,
        order_id="450789469",
        customer={"email": "bob@example.com", "name": "Bob Norman"},
        items=[{"name": "Nano", "variant": "Red", "price": "199.00", "quantity": 1}],
        total="409.94",
        currency="USD",
        checkout_url="https://apple.example/recover?key=1",
        locale="en-CA",
        touched_at=datetime(2024, 5, 1, 14, tzinfo=UTC),
    )


def test_order_is_read():
    """Every fact of an order arrives in the words of Recovery, under the key of its checkout."""
    assert read("orders/create", SHOP, order(processed_at="2024-05-01T10:59:00-04:00")) == Order(
        shop=SHOP,
        order_id="450789469",
        customer={"email": "bob@example.com"},
        items=[{"name": "Nano", "variant": "Red", "price": "199.00", "quantity": 1}],
        total="409.94",
        currency="USD",
        ordered_at=datetime(2024, 5, 1, 14, 59, tzinfo=UTC),
        confirm=False,
    )


def test_sample_checkout_is_read():
    """The abandoned checkout that Shopify documents is read with both items and the total."""
    (payload,) = sample("checkouts.json", "checkouts")
    report = read("checkouts/create", SHOP, payload)
    assert isinstance(report, Checkout)
    assert [(item.name, item.variant, item.price) for item in report.items] == [
        ("IPod Nano - 8GB", "Red", Decimal("199.00")),
        ("IPod Nano - 8GB", "Pink", Decimal("199.00")),
    ]
    assert (report.total, report.currency, report.customer.name) == (Decimal("409.94"), "USD", "Bob Norman")


def test_sample_order_ends_the_sample_checkout():
    """The order that Shopify documents names the documented checkout by its number, which is an alias of that."""
    (left,) = sample("checkouts.json", "checkouts")
    ordered = sample("order.json", "order")
    assert read("orders/create", SHOP, ordered).order_id in shopify.read("checkouts/create", SHOP, left).aliases


def test_sample_order_without_checkout_is_read():
    """The order that Shopify documents with a token alone is read under that, without items."""
    (payload,) = sample("orders.json", "orders")
    report = read("orders/create", SHOP, payload)
    assert (report.order_id, report.items, report.total) == (
        "bd5a8aa1ecd019dd3520ff791ee3a24c",
        (),
        Decimal("598.94"),
    )


def test_completed_checkout_is_an_order():
    """A checkout that is completed is reported as an order of that moment."""
    report = read("checkouts/update", SHOP, checkout(completed_at="2024-05-01T10:30:00-04:00"))
    assert isinstance(report, Order)
    assert (report.order_id, report.ordered_at) == ("450789469", datetime(2024, 5, 1, 14, 30, tzinfo=UTC))


def test_order_without_a_checkout_stands_alone():
    """An order that came from no checkout is keyed by its own number, apart from any checkout's."""
    assert read("orders/create", SHOP, order(checkout_id=None)).order_id == "order-820982911946154508"


@pytest.mark.parametrize("topic", ["", "products/create", "orders/updated"])
def test_other_topics_are_ignored(topic):
    """A topic that says nothing of a checkout is ignored, whatever it carries."""
    assert isinstance(read(topic, SHOP, checkout()), Ignored)


@pytest.mark.parametrize("email", [None, "", "nobody", "a@b", "bob@example.com\r\nBcc: eve@example.com", 7, ["x"], {}])
def test_checkout_without_an_address_is_ignored(email):
    """Without an address there is nobody to remind; that is no fault, the customer may yet type one."""
    assert isinstance(read("checkouts/create", SHOP, checkout(email=email)), Ignored)


@pytest.mark.parametrize("lines", [[], [line(quantity=0)]])
def test_an_emptied_checkout_is_told_by_all_its_names(lines):
    """A checkout that nothing is left in causes no reminder of what was in it; address or none."""
    at = datetime(2024, 5, 1, 14, tzinfo=UTC)
    emptied = checkout(token="t0k3n", line_items=lines)
    assert read("checkouts/update", SHOP, emptied) == Emptied(SHOP, ("t0k3n", "450789469"), at)
    assert read("checkouts/update", SHOP, {**emptied, "email": None}) == Emptied(SHOP, ("t0k3n", "450789469"), at)


@pytest.mark.parametrize("lines", [None, {}, "none"])
def test_a_checkout_that_says_nothing_of_its_lines_is_ignored(lines):
    """It is not known to be empty."""
    assert isinstance(read("checkouts/update", SHOP, checkout(line_items=lines)), Ignored)


CART = {"id": "49801807", "token": "49801807", "note": None, "updated_at": "2024-05-01T10:00:00-04:00"}


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({}, Touched(SHOP, "49801807", datetime(2024, 5, 1, 14, tzinfo=UTC))),
        ({"updated_at": None}, Touched(SHOP, "49801807")),
        ({"line_items": []}, Emptied(SHOP, ("49801807",), datetime(2024, 5, 1, 14, tzinfo=UTC))),
        ({"token": None}, Unmapped("token", "names no cart")),
    ],
)
def test_a_cart_is_activity_and_no_checkout(changes, event):
    """A cart names no person: it moves the reminders of the checkouts made from it, or stops them if it is empty."""
    assert read("carts/update", SHOP, {**CART, "line_items": [line()], **changes}) == event


@pytest.mark.parametrize("body", [checkout(), order(checkout_token="t"), {"customer": {"id": 1}, "token": "t"}])
def test_the_body_of_another_topic_is_no_cart(body):
    """Only the body is signed: what was captured as something else empties no cart."""
    assert isinstance(read("carts/update", SHOP, {**body, "line_items": []}), Unmapped)


@pytest.mark.parametrize(
    ("number", "token", "at"),
    [
        (0, "3eed8183d4281db6ea82ee2b8f23e9cc", datetime(2012, 2, 13, 19, 39, 37, tzinfo=UTC)),
        (1, "49801807939c296be1e9a4bf6783a705", datetime(2012, 2, 13, 19, 39, 12, tzinfo=UTC)),
    ],
)
def test_sample_carts_are_activity(number, token, at):
    """The carts that Shopify documents name themselves and their time, and nobody."""
    payload = sample("python_api-carts.json", "carts")[number]
    assert read("carts/update", SHOP, payload) == Touched(SHOP, token, at)


@pytest.mark.parametrize(
    ("payload", "email"),
    [
        (checkout(), "bob@example.com"),
        (checkout(email=None, customer={"email": "ann@example.com"}), "ann@example.com"),
        (checkout(email="broken", contact_email="cat@example.com"), "cat@example.com"),
    ],
)
def test_first_usable_address_is_taken(payload, email):
    """Of the places where Shopify puts an address, the first that holds one counts."""
    assert read("checkouts/create", SHOP, payload).customer.email == email


@pytest.mark.parametrize(
    ("people", "name"),
    [
        ({"customer": {"first_name": "Ann", "last_name": "Lee"}}, "Ann Lee"),
        ({"customer": {"first_name": None, "last_name": "Lee"}}, "Lee"),
        ({"customer": [], "shipping_address": {"name": " Cat\n\tLee "}}, "Cat Lee"),
        ({"billing_address": [], "customer": None}, None),
    ],
)
def test_name_is_found(people, name):
    """The name comes from the customer, the billing or the shipping address, on one line; or there is none."""
    payload = checkout(**{"billing_address": None, **people})
    assert read("checkouts/create", SHOP, payload).customer.name == name


@pytest.mark.parametrize(
    ("locale", "given", "family", "name"),
    [
        ("ja-JP", "花子", "佐藤", "佐藤 花子"),
        ("en", "花子", "佐藤", "佐藤 花子"),
        ("zh-CN", "小明", "王", "王小明"),
        ("ko", "민수", "김", "김민수"),
        ("hu", "Béla", "Bartók", "Bartók Béla"),
        ("ja", "Hanako", "Sato", "Hanako Sato"),
        ("de", "Béla", "Bartók", "Béla Bartók"),
    ],
)
@pytest.mark.parametrize("where", ["customer", "billing_address"])
def test_a_family_name_is_first_where_it_is_written_first(locale, given, family, name, where):
    """Japanese, Chinese, Korean and Hungarian names are not turned round, though Shopify's `name` is."""
    person = {"first_name": given, "last_name": family, "name": f"{given} {family}"}
    payload = checkout(**{"customer": None, "billing_address": None, where: person, "customer_locale": locale})
    assert read("checkouts/create", SHOP, payload).customer.name == name


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "token"),
        ({"id": True}, "token"),
        ({"id": {"gid": 1}}, "token"),
        ({"id": "9" * 500}, "token"),
        ({"abandoned_checkout_url": None}, "abandoned_checkout_url"),
        ({"abandoned_checkout_url": "javascript:alert(1)"}, "abandoned_checkout_url"),
        ({"total_price": None}, "total_price"),
        ({"total_price": float("nan")}, "total_price"),
        ({"total_price": "1e400"}, "total_price"),
        ({"currency": None}, "currency"),
        ({"updated_at": "yesterday"}, "updated_at"),
        ({"updated_at": "0001-01-01T00:00:00+23:59"}, "updated_at"),
        ({"updated_at": "2024-05-01T10:00:00"}, "updated_at"),
    ],
)
def test_unreadable_checkout_names_the_field(changes, field):
    """A checkout that cannot become a reminder is unmapped, with Shopify's own name of the field at fault."""
    found = read("checkouts/create", SHOP, checkout(**changes))
    assert isinstance(found, Unmapped)
    assert found.field == field


@pytest.mark.parametrize(
    "bad",
    [
        line(price=None),
        line(price="-1"),
        line(price=float("inf")),
        line(title=None),
        line(quantity="many"),
        "Nano",
    ],
)
def test_a_line_that_cannot_be_shown_spoils_no_other(bad):
    """It is left out; where there is no other, nothing is in the checkout."""
    assert len(read("checkouts/create", SHOP, checkout(line_items=[line(), bad])).items) == 1
    assert isinstance(read("checkouts/create", SHOP, checkout(line_items=[bad])), Ignored)


def test_shop_must_be_named():
    """A webhook that does not name its shop is refused with the name of the header."""
    assert read("checkouts/create", "", checkout()).field == "X-Shopify-Shop-Domain"


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": [line(price="free")]},
        {"line_items": None},
        {"total_price": {}},
        {"currency": "dollars"},
        {"email": "broken"},
        {"customer_locale": 7},
        {"created_at": "yesterday"},
        {"created_at": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_order_is_never_refused_for_a_fact(changes):
    """Whatever is wrong with an order's facts is left out, and the order still stops the reminders."""
    report = read("orders/create", SHOP, order(**changes))
    assert isinstance(report, Order)
    assert report.order_id == "450789469"


@pytest.mark.parametrize("changes", [{"total_price": "much"}, {"currency": "dollars"}])
def test_amount_and_currency_go_together(changes):
    """An order whose total or currency cannot be read tells neither: the checkout may know another currency."""
    report = read("orders/create", SHOP, order(**changes))
    assert (report.total, report.currency) == (None, None)


def test_order_without_a_key_is_told():
    """An order without any id cannot be stored."""
    assert read("orders/create", SHOP, order(checkout_id=None, id=None)) == Unmapped("id", "names no order")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"total_discounts": "10.00", "total_tax": "19.00"}, ("10.00", None, None, None)),
        ({"total_tax": "19.00", "taxes_included": False}, (None, None, None, "19.00")),
        ({"total_tax": "19.00", "taxes_included": True}, (None, None, None, None)),
        ({"shipping_lines": [{"price": "4.90"}, {"price": "1.10"}]}, (None, None, "6.00", None)),
        ({"shipping_lines": [{"price": "4.90"}, {"price": None}]}, (None, None, None, None)),
        ({"shipping_lines": []}, (None, None, None, None)),
        ({"discount_codes": [{"code": "A"}, {"code": "B"}, {"code": ""}, None]}, (None, "A, B", None, None)),
        ({"total_discounts": "-1", "discount_codes": "A", "shipping_lines": "B"}, (None, None, None, None)),
    ],
)
@pytest.mark.parametrize(("topic", "make"), [("checkouts/update", checkout), ("orders/create", order)])
def test_the_parts_of_a_total(topic, make, changes, parts):
    """Each is told where Shopify says it, the tax only where the prices are without it; a bad one spoils no other."""
    report = read(topic, SHOP, make(**changes))
    told = (report.discount, report.discount_code, report.shipping, report.tax)
    assert tuple(part and str(part) for part in told) == parts
    assert str(report.total) == "409.94"


def test_the_parts_are_in_the_currency_of_the_total():
    """Of an order in the customer's currency, parts in the shop's are left out; without its total, all of them are."""

    def both(amount, presented):
        return {"shop_money": money(amount, "USD"), "presentment_money": money(presented, "EUR")}

    def money(amount, currency):
        return {"amount": amount, "currency_code": currency}

    foreign = order(
        line_items=[line(price_set=both("199.00", "180.00"))],
        total_price_set=both("409.94", "370.00"),
        total_shipping_price_set=both("5.00", "4.50"),
        total_discounts="10.00",
    )
    report = read("orders/create", SHOP, foreign)
    assert (report.total, report.currency, report.shipping) == (Decimal("370.00"), "EUR", Decimal("4.50"))
    assert report.discount is None
    without = read("orders/create", SHOP, order(total_price=None, total_discounts="10.00"))
    assert (without.total, without.discount) == (None, None)
