"""The subscriber for Medusa: what it reports of carts and orders, and what it does when that cannot be delivered."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from recovery.domain.checkout import Checkout, Order
from tests.support.medusa import RecordingApi, compiled, run

AT = "2026-11-24T17:05:47.123Z"
CART = {
    "id": "cart_01K",
    "email": "zoe@example.com",
    "currency_code": "eur",
    "total": 44.9,
    "updated_at": "2026-11-24T17:05:01.000Z",
    "completed_at": None,
    "metadata": None,
    "items": [
        {
            "title": "Messing",
            "product_title": "Stehleuchte „Mond“",
            "variant_title": "Messing",
            "thumbnail": "https://lamps.example/mond.jpg",
            "quantity": 2,
            "unit_price": 25,
            "total": 40,
            "updated_at": "2026-11-24T17:05:02.000Z",
        }
    ],
    "customer": None,
    "shipping_address": {"first_name": "Zoë", "last_name": "Brontë"},
}
ORDER = {
    "id": "order_01K",
    "created_at": "2026-11-24T17:21:31.000Z",
    "email": "zoe@example.com",
    "currency_code": "eur",
    "total": 44.9,
    "items": CART["items"],
    "cart": {"id": "cart_01K"},
}


def event(name, **changes):
    return {"name": name, "data": {"id": "1"}, "metadata": {"created_at": AT}, **changes}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The subscriber, type-checked and compiled."""
    return compiled(tmp_path_factory.mktemp("medusa"))


@pytest.fixture
def api():
    """An API that records."""
    running = RecordingApi()
    yield running
    running.close()


@pytest.fixture
def environment(api):
    """The settings of a shop that is set up."""
    return {
        "RECOVERY_URL": f"{api.url}/",
        "RECOVERY_KEY": "k-1234567890",
        "RECOVERY_SHOP": "lamps.example",
        "RECOVERY_CHECKOUT_URL": "https://lamps.example/checkout?cart={id}",
    }


def only(api, model, path):
    """Return the only report, read as the API reads it."""
    ((method, at, headers, body),) = api.requests
    assert (method, at) == ("POST", path)
    assert headers["Authorization"] == "Bearer k-1234567890"
    assert headers["Content-Type"] == "application/json"
    return model.model_validate_json(body)


@pytest.mark.parametrize("name", ["cart.created", "cart.updated", "cart.customer_updated", "cart.customer_transferred"])
def test_a_cart_with_an_address_is_a_checkout(module, api, environment, name):
    """The API takes the report as it is: the price that is paid for a piece, and the time of the last activity."""
    result = run(module, [event(name)], environment, cart=CART)
    assert (result["results"], result["stderr"]) == ([None], "")
    assert [each["entity"] for each in result["asked"]] == ["cart"]
    assert name in result["config"]["event"]
    assert only(api, Checkout, "/checkout") == Checkout(
        shop="lamps.example",
        order_id="cart_01K",
        customer={"email": "zoe@example.com", "name": "Zoë Brontë"},
        items=[
            {
                "name": "Stehleuchte „Mond“",
                "variant": "Messing",
                "price": "20.00",
                "quantity": 2,
                "image_url": "https://lamps.example/mond.jpg",
            }
        ],
        total="44.90",
        currency="EUR",
        checkout_url="https://lamps.example/checkout?cart=cart_01K",
        touched_at=datetime(2026, 11, 24, 17, 5, 47, 123000, tzinfo=UTC),
    )


@pytest.mark.parametrize(("name", "confirm"), [("order.placed", None), ("order.canceled", False)])
def test_an_order_is_that_of_its_cart(module, api, environment, name, confirm):
    """It stops the reminders of the cart; one that was cancelled is not confirmed."""
    run(module, [event(name)], environment, order=ORDER)
    report = only(api, Order, "/order")
    assert (report.shop, report.order_id, report.confirm) == ("lamps.example", "cart_01K", confirm)
    assert (report.ordered_at, report.total) == (datetime(2026, 11, 24, 17, 21, 31, tzinfo=UTC), Decimal("44.90"))
    assert [item.name for item in report.items] == ["Stehleuchte „Mond“"]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("cart.updated", {}),
        ("cart.updated", {"cart": {**CART, "email": None}}),
        ("cart.updated", {"cart": {**CART, "completed_at": AT}}),
        ("order.placed", {}),
        ("order.placed", {"order": {**ORDER, "cart": None}}),
    ],
)
def test_what_is_no_checkout_is_not_reported(module, api, environment, name, rows):
    """A cart without an address or that was completed, an order without a cart, and what is gone."""
    assert run(module, [event(name)], environment, **rows)["results"] == [None]
    assert api.requests == []


def test_an_emptied_cart_is_paused(module, api, environment):
    """Nobody is reminded of what is no longer in it, until something is: Medusa goes on with the same cart."""
    run(module, [event("cart.updated")], environment, cart={**CART, "items": []})
    ((method, address, _, body),) = api.requests
    assert (method, urlsplit(address).path, body) == ("DELETE", "/checkouts/lamps.example/cart_01K", "")
    assert parse_qs(urlsplit(address).query) == {"pause_at": [AT]}


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ({"given": True, "at": AT, "source": "box"}, True),
        ({"given": False, "at": AT}, None),
        ({"given": "yes", "at": AT}, None),
        ({"given": True}, "none"),
        ("yes", "none"),
    ],
)
def test_consent_is_what_the_storefront_wrote(module, api, environment, said, given):
    """With its time; anything but a plain yes is none."""
    run(module, [event("cart.updated")], environment, cart={**CART, "metadata": {"recovery_consent": said}})
    consent = only(api, Checkout, "/checkout").consent
    assert (consent.given if consent else "none") == given


@pytest.mark.parametrize(
    ("changes", "price", "total"),
    [
        ({"currency_code": "jpy", "total": 4490, "items": [{**CART["items"][0], "total": 4001}]}, "2001", "4490"),
        ({"currency_code": "kwd", "total": 12.3456}, "20.000", "12.346"),
        ({"items": [{**CART["items"][0], "total": None}]}, "25.00", "44.90"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(module, api, environment, changes, price, total):
    """Medusa's amounts are numbers in the major unit."""
    run(module, [event("cart.updated")], environment, cart={**CART, **changes})
    report = only(api, Checkout, "/checkout")
    assert (str(report.items[0].price), str(report.total)) == (price, total)


def test_a_line_that_cannot_be_shown_spoils_no_other(module, api, environment):
    """A line without a name, or with a part of a piece, is left out; so is a picture without an address."""
    good = {**CART["items"][0], "thumbnail": "javascript:alert(1)", "product_title": None}
    bad = [None, {"quantity": 1}, {**good, "title": ""}, {**good, "quantity": 1.5}, {**good, "quantity": 0}]
    run(module, [event("cart.updated")], environment, cart={**CART, "items": [*bad, good]})
    (item,) = only(api, Checkout, "/checkout").items
    assert (item.name, item.variant, item.image_url) == ("Messing", None, None)


@pytest.mark.parametrize(
    ("given", "family", "name"),
    [("花子", "佐藤", "佐藤 花子"), ("민수", "김", "김민수"), ("Zoë", None, "Zoë"), (" ", "", None)],
)
def test_a_family_name_is_first_where_it_is_written_first(module, api, environment, given, family, name):
    """By the script."""
    cart = {**CART, "customer": {"first_name": given, "last_name": family}, "shipping_address": None}
    run(module, [event("cart.updated")], environment, cart=cart)
    assert only(api, Checkout, "/checkout").customer.name == name


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_cannot_be_delivered_is_thrown(module, api, environment, status):
    """So that an event bus that repeats sends it again; the error names nobody."""
    api.status = status
    result = run(module, [event("cart.updated")], environment, cart=CART)
    assert result["results"] == [f"Error: Recovery answered with {status}: it is to be asked again"]
    assert result["waited"] == [1000, 5000, 25000]
    assert len({body for *_, body in api.requests}) == 1


def test_a_moment_without_an_answer_costs_nothing(module, api, environment):
    """An event bus in memory does not repeat: an order that was lost would be reminded of."""
    api.failures = 2
    result = run(module, [event("order.placed")], environment, order=ORDER)
    assert (result["results"], len(api.requests), result["waited"]) == ([None], 3, [1000, 5000])


def test_a_daemon_that_is_not_there_is_thrown(module, api, environment):
    """Without its address, and without anybody's data."""
    api.close()
    (fault,) = run(module, [event("cart.updated")], environment, cart=CART)["results"]
    assert fault == "TypeError: fetch failed"


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_refusal_is_logged_and_not_repeated(module, api, environment, status):
    """With what to compare, and without anybody's data."""
    api.status = status
    result = run(module, [event("cart.updated")], environment, cart=CART)
    assert result["results"] == [None]
    assert f"refused a report with {status}" in result["stderr"]
    assert "zoe" not in result["stderr"]


@pytest.mark.parametrize("missing", ["RECOVERY_URL", "RECOVERY_KEY", "RECOVERY_SHOP", "RECOVERY_CHECKOUT_URL"])
def test_a_missing_setting_is_named(module, api, environment, missing):
    """Whoever sets it up reads in the log what is missing."""
    environment.pop(missing)
    (fault,) = run(module, [event("cart.updated")], environment, cart=CART)["results"]
    assert "is not set up" in fault
    assert missing in fault
    assert api.requests == []
    assert "zoe" not in json.dumps(fault)
