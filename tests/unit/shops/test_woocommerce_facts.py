"""Facts of a WooCommerce order: prices, totals, names, items and times."""

from decimal import Decimal

import pytest

from recovery.domain.checkout import Customer
from tests.support.woocommerce_bodies import line, order, read


@pytest.mark.parametrize(
    ("changes", "quantity", "price"),
    [
        ({"quantity": 2.5, "total": "30.00", "total_tax": "0.00"}, 1, "30.00"),
        ({"quantity": "1.5", "total": "30.00", "total_tax": "0.00"}, 1, "30.00"),
        ({"quantity": 3.0, "total": "10.00", "total_tax": "0"}, 3, "3.33"),
        ({"quantity": "3", "total": "10.00", "total_tax": ""}, 3, "3.33"),
        ({"quantity": 1, "total": 17.647059, "total_tax": 3.352941}, 1, "21.00"),
        ({"quantity": 2, "total": "35.294118", "total_tax": "6.705882", "price": 17.647059}, 2, "21.00"),
        ({"quantity": 1, "total": "0.00", "total_tax": "0.00"}, 1, "0.00"),
    ],
)
def test_the_price_of_a_piece_is_what_is_paid_for_it(changes, quantity, price):
    """After discount and with tax; a length of cloth is one line of its whole price; the shop's number of decimals."""
    (item,) = read("order.created", order(line_items=[line(**changes)])).items
    assert (item.quantity, item.price, str(item.price)) == (quantity, Decimal(price), price)


@pytest.mark.parametrize(("total", "currency", "price"), [("4490", "JPY", "2000"), ("12.345", "KWD", "2000.000")])
def test_amounts_have_the_decimals_of_the_currency(total, currency, price):
    """The order's total shows how many the shop writes: none in yen, three in dinars."""
    told = order(total=total, currency=currency, line_items=[line(total="4000", total_tax="0")])
    report = read("order.created", told)
    assert (str(report.items[0].price), str(report.total)) == (price, total)


@pytest.mark.parametrize(
    ("changes", "shipping", "code"),
    [
        ({"shipping_total": "10.00", "shipping_tax": "1.90"}, "11.90", "HERBST"),
        ({"shipping_total": "0.00", "shipping_tax": "0.00", "coupon_lines": []}, "0.00", None),
        ({"shipping_total": None}, None, "HERBST"),
        ({"shipping_total": "-1"}, None, "HERBST"),
        ({"coupon_lines": [{"code": "a"}, {"code": "b &amp; c"}, None, {"code": ""}]}, "4.90", "a, b & c"),
        ({"coupon_lines": "HERBST"}, "4.90", None),
    ],
)
def test_the_parts_of_a_total(changes, shipping, code):
    """Shipping is with tax, as the prices are; they are after discounts, so of these the code is told alone."""
    report = read("order.created", order(**changes))
    assert (report.shipping, report.discount_code) == (shipping and Decimal(shipping), code)
    assert (report.discount, report.tax) == (None, None)


@pytest.mark.parametrize(
    ("given", "family", "locale", "name"),
    [
        ("花子", "佐藤", "ja", "佐藤 花子"),
        ("小明", "王", "zh_CN", "王小明"),
        ("민준", "김", "ko_KR", "김민준"),
        ("János", "Nagy", "hu_HU", "Nagy János"),
        ("János", "Nagy", "de_DE", "János Nagy"),
        ("Hanako", "Sato", "ja", "Hanako Sato"),
    ],
)
def test_names_are_in_the_order_of_their_language(given, family, locale, name):
    """By the script, or by the language that the plug-in noted in the order, the family name comes first."""
    meta = [{"key": "_recovery_locale", "value": locale}]
    billing = {"first_name": given, "last_name": family, "email": "a@example.com"}
    assert read("order.created", order(billing=billing, meta_data=meta)).customer == Customer(
        email="a@example.com", name=name
    )


@pytest.mark.parametrize(
    ("changes", "name", "variant"),
    [
        ({"name": "Ship Your Idea &ndash; Color: Black", "parent_name": None}, "Ship Your Idea – Color: Black", None),
        ({"name": "<b>Sofa</b><br>red", "parent_name": None}, "Sofa red", None),
        ({"name": "Hoodie", "parent_name": "Hoodie"}, "Hoodie", None),
        ({"name": "Hoodie - Blue, Large", "parent_name": "Hoodie"}, "Hoodie", "Blue, Large"),
        ({"name": "Gift", "parent_name": "Hoodie"}, "Gift", None),
        ({"name": "1 &lt; 2", "parent_name": 7}, "1 < 2", None),
    ],
)
def test_names_are_plain_text(changes, name, variant):
    """WooCommerce writes names as HTML, and the variant behind the name of its product."""
    (item,) = read("order.created", order(line_items=[line(**changes)])).items
    assert (item.name, item.variant) == (name, variant)


def test_a_line_that_cannot_be_shown_spoils_no_other():
    """It is left out, and so is a picture whose address is none."""
    bad = [
        line(name=None, parent_name=None),
        line(total="free"),
        line(quantity="many"),
        "lamp",
        line(total=float("inf")),
    ]
    good = line(image={"src": "javascript:alert(1)"})
    (item,) = read("order.created", order(line_items=[*bad, good])).items
    assert item.image_url is None


@pytest.mark.parametrize("value", [None, "", "yesterday", 7, "2026-11-24T17:05:47+00:00"])
def test_a_time_may_be_missing(value):
    """Without a time of its own a checkout was touched when the report came; a time with a zone is one, too."""
    found = read("order.created", order(date_modified_gmt=value, date_created_gmt=None))
    assert (found.touched_at is None) == (value != "2026-11-24T17:05:47+00:00")
