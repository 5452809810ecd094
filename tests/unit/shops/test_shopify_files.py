"""Every collected body of Shopify's, beside what it means: written by hand, field by field."""

import json
from datetime import UTC, datetime

import pytest

from recovery.domain.checkout import Checkout, Consent, Order
from recovery.shops import shopify
from recovery.shops.events import DataRequest, Ignored, Redact, Reported, Touched
from tests.support.collected import collected

SHOP = "apple.myshopify.com"
PRIVACY_SHOP = "{shop}.myshopify.com"
"""As the collected bodies have it."""

BOB = {"email": "bob.norman@hostmail.com", "name": "Bob Norman"}
BOB_OF_2026 = {"email": "bob.norman@mail.example.com", "name": "Bob Norman"}
TOKEN, CART = "2a1ace52255252df566af0faaedfbfa7", "68778783ad298f1c80c3bafcddeea02f"
LEFT_AT, ORDERED_AT = datetime(2012, 10, 12, 11, 5, 27, tzinfo=UTC), datetime(2008, 1, 10, 16, tzinfo=UTC)


def nano(variant, name="IPod Nano - 8gb"):
    """Return one of the lines, all of which cost the same."""
    return {
        "name": name,
        "variant": variant,
        "price": "199.00",
        "quantity": 1,
        "sku": f"IPOD2008{variant.upper()}",
    }


STATUS_PATH = "/orders/b1946ac92492d2347c6235b4d2611184/authenticate?key="
BASKET = [nano("Red", "IPod Nano - 8GB"), nano("Pink", "IPod Nano - 8GB")]
BOUGHT = [nano("green"), nano("red"), nano("black")]
UNTICKED = {"given": None, "basis": "neither yes nor no", "source": "Shopify"}


def left(aliases, cart, **facts):
    """Return a reported checkout."""
    common = {"shop": SHOP, "order_id": TOKEN, "items": BASKET, "currency": "USD", "touched_at": LEFT_AT}
    consent = Consent(at=LEFT_AT, **UNTICKED)
    return Reported(Checkout.model_validate(common | {"consent": consent} | facts), aliases, cart)


def ordered(aliases, cart, **facts):
    """Return a reported order, which nobody is to confirm."""
    return Reported(Order.model_validate({"shop": SHOP, "confirm": False} | facts), aliases, cart, False)


TABLE = {
    "app-js-2026-07-abandoned_checkouts-1.json": (
        "checkouts/create",
        left(
            ("450789469",),
            CART,
            customer=BOB_OF_2026,
            total="379.69",
            discount="39.80",
            discount_code="TENOFF",
            shipping="0.00",
            tax="21.49",
            checkout_url=f"https://checkout.local/548380009/checkouts/{TOKEN}/recover",
            locale="en",
        ),
    ),
    "checkouts.json": (
        "checkouts/update",
        left(
            ("450789469",),
            CART,
            customer=BOB,
            total="409.94",
            discount="0.00",
            discount_code="TENOFF",
            shipping="0.00",
            tax="11.94",
            checkout_url=f"https://checkout.local/orders/690933842/{TOKEN}?recovered=1",
        ),
    ),
    "app-js-2026-07-order-1.json": ("orders/create", ordered((), None, order_id="order-450789469", items=BOUGHT)),
    "app-js-2026-07-order-2.json": (
        "orders/paid",
        ordered(
            ("901414060",),
            CART,
            order_id="bd5a8aa1ecd019dd3520ff791ee3a24c",
            customer=BOB_OF_2026,
            items=BOUGHT,
            total="598.94",
            discount="10.00",
            discount_code="TENOFF",
            shipping="0.00",
            tax="11.94",
            currency="USD",
            order_url=f"https://jsmith.myshopify.com/548380009{STATUS_PATH}imasecretipod",
            ordered_at=ORDERED_AT,
        ),
    ),
    "order.json": (
        "orders/create",
        ordered(
            (),
            CART,
            order_id="450789469",
            customer=BOB,
            items=BOUGHT,
            total="409.94",
            discount="0.00",
            discount_code="TENOFF",
            shipping="0.00",
            tax="11.94",
            currency="USD",
            ordered_at=ORDERED_AT,
        ),
    ),
    "orders.json": (
        "orders/cancelled",
        ordered(
            (),
            CART,
            order_id="bd5a8aa1ecd019dd3520ff791ee3a24c",
            customer=BOB,
            total="598.94",
            discount="10.00",
            shipping="0.00",
            tax="11.94",
            currency="USD",
            order_url=f"https://apple.myshopify.com/690933842{STATUS_PATH}ccde591a93123786bd8d257abd970200",
            ordered_at=ORDERED_AT,
        ),
    ),
    "python_api-carts.json": (
        "carts/update",
        Touched(SHOP, "3eed8183d4281db6ea82ee2b8f23e9cc", datetime(2012, 2, 13, 19, 39, 37, tzinfo=UTC)),
    ),
    "python_api-customer.json": ("customers/update", Ignored("says nothing of consent")),
    "python_api-draft_order.json": ("draft_orders/update", Ignored("this topic says nothing of a checkout")),
    "privacy-customers-data_request.json": (
        "customers/data_request",
        DataRequest(PRIVACY_SHOP, "9999", "john@example.com", ("299938", "280263", "220458")),
    ),
    "privacy-customers-redact.json": ("customers/redact", Redact(PRIVACY_SHOP, "john@example.com")),
    "privacy-shop-redact.json": ("shop/redact", Redact(PRIVACY_SHOP)),
}


def payload_of(name):
    """Return the object in a file, without the name and the list that some have around it."""
    payload = json.loads(collected("shopify", name).read_text())
    [*inner] = payload.values()
    if len(inner) == 1 and isinstance(inner[0], dict | list):
        payload = inner[0]
    return payload[0] if isinstance(payload, list) else payload


@pytest.mark.parametrize("name", TABLE)
def test_the_file_is_what_the_table_says(name):
    """Every field of what it becomes."""
    topic, expected = TABLE[name]
    shop = PRIVACY_SHOP if name.startswith("privacy") else SHOP
    assert shopify.read(topic, shop, payload_of(name), confirms=False) == expected


def test_every_collected_file_is_in_the_table():
    """No file of the folder is passed over."""
    assert {path.name for path in collected("shopify").glob("*.json")} == set(TABLE)
