"""Stripe Checkout's events: what each field becomes, and which say nothing."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Consent, Customer, Item, Order
from recovery.shops.adapter import WebhookRequest
from recovery.shops.events import Ignored, Reported, Unmapped
from recovery.shops.stripe import Stripe
from tests.support.collected import collected
from tests.support.stripe_events import SESSION, body_of, completed, event

SHOP = "lamps.example"
AT = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
LINK = "https://lamps.example/cart?session={id}"


def read(payload, **options):
    """Return the one event that an event of Stripe's becomes."""
    [found] = Stripe().read(WebhookRequest(SHOP, body_of(payload), **options))
    return found


def test_an_expired_session_is_a_checkout():
    """Each field of the report, with the consent that the session carries and Stripe's link back."""
    assert read(event()) == Reported(
        Checkout(
            shop=SHOP,
            order_id="cs_test_a1B2c3",
            customer=Customer(email="Ada@example.com", name="Ada Lovelace"),
            items=(Item(name="Your order", price=Decimal("39.80")),),
            total=Decimal("44.70"),
            discount=Decimal("0.00"),
            shipping=Decimal("4.90"),
            currency="EUR",
            checkout_url="https://buy.stripe.com/r/live_asAb1724",
            locale="de",
            consent=Consent(given=True, basis="opt-in", at=AT, source="Stripe Checkout, consent_collection"),
            touched_at=AT,
            opened_at=AT - timedelta(days=1),
        )
    )


@pytest.mark.parametrize("kind", ["completed", "async_payment_succeeded"])
def test_a_completed_session_is_an_order(kind):
    """It ends the checkout of this session, and is confirmed only where the settings want that."""
    paid = event(kind, status="complete", payment_status="paid")
    order = Order(
        shop=SHOP,
        order_id="cs_test_a1B2c3",
        customer=Customer(email="Ada@example.com", name="Ada Lovelace"),
        items=(Item(name="Your order", price=Decimal("39.80")),),
        total=Decimal("44.70"),
        discount=Decimal("0.00"),
        shipping=Decimal("4.90"),
        currency="EUR",
        locale="de",
        ordered_at=AT,
    )
    assert read(paid) == Reported(order, confirm_default=False)
    confirmed = order.model_copy(update={"confirm": True})
    assert read(paid, confirm_orders=True) == Reported(confirmed, confirm_default=False)


def test_what_is_not_paid_yet_is_not_confirmed():
    """A debit takes days: the customer has ordered, but the shop has no money. A payment of nothing is paid."""
    unpaid = read(completed(payment_status="unpaid"), confirm_orders=True)
    assert (unpaid.report.confirm, unpaid.confirm_default) == (None, False)
    free = read(completed(payment_status="no_payment_required", amount_total=0), confirm_orders=True)
    assert (free.report.confirm, free.report.total) == (True, 0)


@pytest.mark.parametrize("make", [event, completed])
def test_a_recovered_session_is_the_same_checkout(make):
    """The copy that the link back opens names the session that it was made from: either name finds it."""
    assert read(make(recovered_from="cs_test_first")).aliases == ("cs_test_first",)
    for nothing in (None, "", " ", True, [], "x" * 300, "a\nb"):
        assert read(make(recovered_from=nothing)).aliases == ()


@pytest.mark.parametrize("promotions", [None, "opt_out", "", True, {"opt_in": 1}])
def test_without_consent_to_promotions_there_is_no_checkout(promotions):
    """A refusal, silence, or a session that did not ask: the address is not even kept."""
    assert "has not agreed" in read(event(consent={"promotions": promotions})).reason
    assert isinstance(read(event(consent=None)), Ignored)


def test_consent_may_be_the_shops():
    """Outside of the United States Stripe does not ask: the shop says that it did. Where Stripe asked, that counts."""
    asked = {"metadata": {"recovery_consent": "true"}}
    silent = read(event(consent=None, **asked)).report.consent
    assert (silent.given, silent.at, silent.source) == (True, AT, "Stripe Checkout, metadata recovery_consent")
    assert isinstance(read(event(consent={"promotions": "opt_out"}, **asked)), Ignored)
    for said in ("false", "yes", True, None, 1):
        assert isinstance(read(event(consent=None, metadata={"recovery_consent": said})), Ignored)


def test_without_an_address_there_is_no_checkout():
    """Of whom Stripe does not tell the address, nothing is kept; the address that the shop gave counts as well."""
    for details in (None, {}, [], {"email": None}, {"email": "nobody"}):
        assert "no address" in read(event(customer_details=details)).reason
    given = event(customer_details=None, customer_email="ada@example.com")
    assert read(given).report.customer == Customer(email="ada@example.com")


def test_the_link_back_may_be_the_shops():
    """Without Stripe's own, the configured address is used; without either, the shop is told what to do."""
    without = event(after_expiration=None)
    assert read(without, checkout_url=LINK).report.checkout_url == "https://lamps.example/cart?session=cs_test_a1B2c3"
    assert read(without).field == "data.object.after_expiration.recovery.url"
    assert read(event(), checkout_url=LINK).report.checkout_url == "https://buy.stripe.com/r/live_asAb1724"


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("eur", 1234, "12.34"),
        ("jpy", 1234, "1234"),
        ("krw", 1234, "1234"),
        ("mga", 1234, "1234"),
        ("kwd", 1230, "1.230"),
        ("tnd", 1, "0.001"),
        ("huf", 123400, "1234.00"),
        ("twd", 123400, "1234.00"),
        ("isk", 50000, "500.00"),
        ("ugx", 50000, "500.00"),
        ("usd", 0, "0.00"),
    ],
)
def test_amounts_are_in_the_main_unit(currency, amount, expected):
    """Stripe has a list of its own: two decimals where ISO 4217 has none (ISK, UGX), none where that has two (MGA)."""
    report = read(event(currency=currency, amount_total=amount)).report
    assert (str(report.total), report.currency) == (expected, currency.upper())
    assert report.items[0].price == report.total


@pytest.mark.parametrize(
    ("subtotal", "total", "details", "parts"),
    [
        (3980, 4470, (0, 490, 714), ("39.80", "0.00", "4.90", None)),  # the prices include the tax
        (3980, 5184, (0, 490, 714), ("39.80", "0.00", "4.90", "7.14")),  # they do not
        (3980, 4786, (398, 490, 714), ("39.80", "3.98", "4.90", "7.14")),
        (3980, 3582, (398, None, 0), ("39.80", "3.98", None, None)),
        (3980, 9999, (0, 490, 714), ("99.99", None, None, None)),  # another part, which Stripe does not name
        (None, 4470, (0, 490, 714), ("44.70", None, None, None)),
        (3980, 3980, (-5, "x", {}), ("39.80", None, None, None)),
    ],
)
def test_the_parts_of_a_total_are_told_where_they_add_up(subtotal, total, details, parts):
    """The one line is what the goods cost; whether a tax is added to it, only the sum says; else there is no part."""
    names = ("amount_discount", "amount_shipping", "amount_tax")
    given = dict(zip(names, details, strict=True))
    report = read(event(amount_subtotal=subtotal, amount_total=total, total_details=given)).report
    told = (report.items[0].price, report.discount, report.shipping, report.tax)
    assert told == tuple(part and Decimal(part) for part in parts)


@pytest.mark.parametrize("amount", [-1, 10**30, True, 12.5, "1234", {}, []])
def test_an_amount_that_is_none_is_told(amount):
    """A checkout without a total cannot be shown; an order is an order."""
    assert read(event(amount_total=amount)).field == "data.object.amount_total"
    assert isinstance(read(completed(amount_total=amount)).report, Order)


@pytest.mark.parametrize("mode", ["setup", "subscription", "payment"])
def test_what_sells_nothing_is_ignored(mode):
    """A session that only keeps a card has no amount: there is nothing to come back to."""
    assert "sells nothing" in read(event(mode=mode, amount_total=None)).reason
    if mode != "payment":
        assert "sells nothing" in read(completed(mode=mode, amount_total=None)).reason


def test_a_subscription_is_sold():
    """With an amount it is a checkout and an order like any other."""
    assert isinstance(read(event(mode="subscription")).report, Checkout)
    assert isinstance(read(completed(mode="subscription")).report, Order)


def test_items_may_be_in_the_metadata():
    """The shop's own words for what was in it, in the form of a report; what is not readable there is left out."""
    lamp = {"name": "Lamp", "price": "19.90", "quantity": 2, "image_url": "https://lamps.example/1.png", "sku": "L-1"}
    items = [lamp, {"name": 1}]
    found = read(event(metadata={"recovery_items": json.dumps(items)})).report.items
    assert found == (Item.model_validate(lamp),)


@pytest.mark.parametrize("text", ["", "nope", "[]", "{}", "null", "[1]", '[{"name": "Lamp"}]', "[" * 100_000, 5, None])
def test_without_readable_items_there_is_one_line(text):
    """All of it in one line is better than no reminder."""
    assert [item.name for item in read(event(metadata={"recovery_items": text})).report.items] == ["Your order"]
    assert isinstance(read(event(metadata=None)).report, Checkout)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"object": "v2.core.event", "type": "v1.checkout.session.completed"}, "object"),
        ({}, "type"),
        ({**event(), "type": 5}, "type"),
        ({**event(), "data": None}, "data.object"),
        ({**event(), "data": {"object": []}}, "data.object"),
        ({**event(), "data": {"object": {**SESSION, "object": "plan"}}}, "data.object"),
        (event(id=None), "data.object.id"),
        (event(id="x" * 300), "data.object.id"),
        (completed(id=None), "data.object.id"),
        (event(currency=None), "data.object.amount_total"),
        (event(currency="euro"), "data.object.currency"),
        (event(at=None), "created"),
        (event(at=10**20), "created"),
        (event(after_expiration={"recovery": {"url": "javascript:x"}}), "data.object.after_expiration.recovery.url"),
    ],
)
def test_what_cannot_be_read_names_its_field(payload, field):
    """By Stripe's own name, for whoever looks it up in Stripe's log of deliveries."""
    found = read(payload)
    assert (type(found), found.field) == (Unmapped, field)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (event("async_payment_failed"), "payment failed"),
        (event("created"), "neither"),
        ({**event(), "type": "charge.refunded"}, "not about a checkout session"),
    ],
)
def test_other_events_are_ignored(payload, words):
    """Whatever else an endpoint subscribes to does no harm."""
    assert words in read(payload).reason


def test_an_order_without_a_time_is_an_order():
    """It is taken for ordered now."""
    assert read({**completed(), "created": None}).report.ordered_at is None


MOCK = "mock-checkout.session.json"
OF_MOCK = {
    "shop": SHOP,
    "order_id": "cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY",
    "customer": {"email": "example@example.com"},
}
RECIPES = {
    "completed": ("usd", "paid", "stripe@example.com", Decimal("30.00")),
    "async_payment_succeeded": ("eur", "paid", "stripe@example.com", Decimal("30.00")),
    "expired": ("usd", "unpaid", None, None),
    "async_payment_failed": ("eur", "unpaid", "stripe@example.com", None),
}


def of_recipe(kind):
    """Return the event that the recipe of `stripe trigger` makes Stripe send, from the session of stripe-mock."""
    recipe = json.loads(collected("stripe", f"cli-trigger-checkout.session.{kind}.json").read_text())
    steps = {step["name"]: step.get("params", {}) for step in recipe["fixtures"]}
    [line] = steps["checkout_session"]["line_items"]
    billed = steps.get("payment_method", {}).get("billing_details", {})
    session = json.loads(collected("stripe", MOCK).read_text()) | {
        "mode": steps["checkout_session"]["mode"],
        "amount_total": int(steps["price"]["unit_amount"]) * line["quantity"],
        "currency": steps["price"]["currency"],
        "payment_status": RECIPES[kind][1],
        "customer_details": {"email": billed.get("email"), "name": billed.get("name")} if billed else None,
    }
    return event(kind, **session)


def test_the_session_of_stripe_mock():
    """As it is it sells nothing; with an amount, consent and a link, it is a checkout, field by field."""
    session = json.loads(collected("stripe", MOCK).read_text())
    assert read(session).field == "type"
    assert read(event(**session)).reason == "a session without an amount sells nothing"
    sold = session | {"amount_total": 2000, "currency": "usd"}
    assert "has not agreed" in read(event(**sold)).reason
    agreed = sold | {"consent": {"promotions": "opt_in"}}
    assert read(event(**agreed)).field == "data.object.after_expiration.recovery.url"
    recovery = {"enabled": True, "url": "https://buy.stripe.com/r/test_1", "expires_at": 1237159890}
    assert read(event(**agreed | {"after_expiration": {"recovery": recovery}})) == Reported(
        Checkout.model_validate(
            OF_MOCK
            | {
                "items": [{"name": "Your order", "price": "20.00"}],
                "total": "20.00",
                "currency": "USD",
                "checkout_url": "https://buy.stripe.com/r/test_1",
                "touched_at": AT,
                "opened_at": datetime.fromtimestamp(session["created"], UTC),
                "consent": {"basis": "opt-in", "at": AT, "source": "Stripe Checkout, consent_collection"},
            }
        )
    )
    order = Order.model_validate(OF_MOCK | {"ordered_at": AT})
    assert read(event("completed", **session)) == Reported(order, confirm_default=False)


def test_the_event_of_stripe_mock():
    """It is about a plan."""
    assert read(json.loads(collected("stripe", "mock-event.json").read_text())) == Ignored(
        "this event is not about a checkout session"
    )


@pytest.mark.parametrize("kind", RECIPES)
def test_the_recipes_of_stripe_trigger(kind):
    """What `stripe trigger` makes Stripe send to try a webhook: two orders, and two that say nothing."""
    currency, _, email, total = RECIPES[kind]
    found = read(of_recipe(kind))
    if total is None:
        assert isinstance(found, Ignored)
        return
    assert found.report == Order.model_validate(
        OF_MOCK
        | {
            "customer": {"email": email, "name": "Jenny Rosen"},
            "items": [{"name": "Your order", "price": "30.00"}],
            "total": total,
            "currency": currency.upper(),
            "ordered_at": AT,
        }
    )
    recipe = json.loads(collected("stripe", f"cli-trigger-checkout.session.{kind}.json").read_text())
    assert read(recipe).field == "type"


def test_every_collected_file_is_in_a_table():
    """No file of the folder is passed over."""
    names = {path.name for path in collected("stripe").iterdir()}
    assert names == {MOCK, "mock-event.json", *(f"cli-trigger-checkout.session.{kind}.json" for kind in RECIPES)}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["expired", "completed"]), st.dictionaries(st.sampled_from(sorted(SESSION)), ANY, max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_a_session_has_is_read_or_told(kind, changes):
    """Null everywhere, arrays for objects: an event, or a reason."""
    try:
        [found] = Stripe().read(WebhookRequest(SHOP, json.dumps(event(kind, **changes)).encode()))
    except ValidationError:
        return  # no JSON, such as NaN
    assert isinstance(found, Reported | Ignored | Unmapped)
