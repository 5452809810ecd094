"""Saleor's webhooks: what each field becomes, which say nothing, and that our query fits Saleor's schema."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files

import graphql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Consent, Customer, Item, Order
from recovery.shops.adapter import Trust, WebhookRequest
from recovery.shops.events import Emptied, Ignored, Reported, Unmapped
from recovery.shops.key_sets import read_key_set
from recovery.shops.saleor import Saleor
from tests.support.builders import NOON
from tests.support.collected import collected
from tests.support.saleor_bodies import CHECKOUT_ID, checkout, order
from tests.support.signatures import KEY, OTHER_KEY, detached, published

SHOP = "lamps.example"
LINK = "https://lamps.example/checkout?checkout={id}"
PICTURE = "https://lamps.saleor.cloud/thumbnail/UHJv/256/"
QUERY = (files("recovery.shops") / "saleor.graphql").read_text()


def read(payload, *, topic="checkout_updated", checkout_url=LINK, **options):
    """Return the one event that a body becomes."""
    body, headers = json.dumps(payload).encode(), {"saleor-event": topic}
    [found] = Saleor().read(WebhookRequest(SHOP, body, headers, checkout_url=checkout_url, **options))
    return found


def test_a_checkout():
    """Each field of the report; the link back is the shop's, with the checkout's id."""
    assert read(checkout()) == Reported(
        Checkout(
            shop=SHOP,
            order_id=CHECKOUT_ID,
            customer=Customer(email="ada@example.com", name="Ada Lovelace"),
            items=(Item(name="Lamp", variant="Red", price=Decimal("19.9"), quantity=2, image_url=PICTURE, sku="L-1"),),
            total=Decimal("44.7"),
            discount_code="SPRING",
            shipping=Decimal("4.9"),
            currency="EUR",
            checkout_url=f"https://lamps.example/checkout?checkout={CHECKOUT_ID.replace('=', '%3D')}",
            locale="de",
            touched_at=datetime(2026, 3, 1, 12, 5, 0, 123456, tzinfo=UTC),
        )
    )


def test_an_order():
    """It ends the checkout that it names; its words are in the customer's language where there are any."""
    report = Order(
        shop=SHOP,
        order_id=CHECKOUT_ID,
        customer=Customer(email="ada@example.com", name="Ada Lovelace"),
        items=(Item(name="Lampe", variant="Red", price=Decimal("19.9"), quantity=2, image_url=PICTURE, sku="L-1"),),
        total=Decimal("44.7"),
        discount_code="SPRING",
        shipping=Decimal("4.9"),
        order_url="https://lamps.example/orders/1",
        currency="EUR",
        locale="de",
        ordered_at=datetime(2026, 3, 1, 13, tzinfo=UTC),
    )
    assert read(order()) == Reported(report, confirm_default=False)


@pytest.mark.parametrize(
    ("changes", "confirm"),
    [
        ({}, True),
        ({"isPaid": False}, None),
        ({"isPaid": None}, None),
        ({"status": "CANCELED"}, False),
        ({"status": "EXPIRED", "isPaid": False}, False),
    ],
)
def test_an_order_is_confirmed_once_it_is_paid(changes, confirm):
    """And only where the settings want it; one that has ended is not."""
    assert read(order(**changes), confirm_orders=True).report.confirm is confirm
    found = read(order(**changes))
    assert (found.report.confirm, found.confirm_default) == (None, False)


@pytest.mark.parametrize(
    "envelope",
    [
        lambda event: event,
        lambda event: {"data": {"checkoutUpdated": event}},
        lambda event: {"data": {"event": event}, "extensions": {}},
    ],
)
def test_both_envelopes_are_read(envelope):
    """A query of `event` is answered bare, one of a single event below `data` and its name."""
    assert read(envelope(checkout())) == read(checkout())
    assert read(envelope(order())) == read(order())


@pytest.mark.parametrize(
    ("code", "locale"),
    [("DE", "de"), ("PT_BR", "pt-BR"), ("ZH_HANS_CN", "zh-HANS-CN"), ("", None), (None, None), (5, None)],
)
def test_languages(code, locale):
    """Saleor's codes become locales."""
    assert read(checkout(languageCode=code)).report.locale == locale


@pytest.mark.parametrize(
    ("people", "language", "name"),
    [
        ({"billingAddress": {"firstName": "花子", "lastName": "佐藤"}}, "JA", "佐藤 花子"),
        ({"billingAddress": {"firstName": "János", "lastName": "Nagy"}}, "HU", "Nagy János"),
        ({"billingAddress": {"firstName": "민준", "lastName": "김"}}, "KO", "김민준"),
        (
            {"billingAddress": {"firstName": "", "lastName": ""}, "shippingAddress": {"firstName": "Al"}},
            "EN",
            "Al",
        ),
        ({"billingAddress": None, "shippingAddress": {"firstName": "Bo", "lastName": "Li"}}, "EN", "Bo Li"),
        ({"billingAddress": []}, "EN", None),
    ],
)
def test_names(people, language, name):
    """The first name that is there, in the order of the customer's language."""
    assert read(checkout(languageCode=language, **people)).report.customer.name == name


def test_consent_is_what_the_storefront_noted():
    """A yes has its time and place; a box unticked again takes it back; anything else says nothing."""
    at = datetime(2026, 3, 1, 12, 5, 0, 123456, tzinfo=UTC)
    yes = Consent(given=True, basis="opt-in", at=at, source="Saleor, metadata recovery_consent")
    assert read(checkout(consent="true")).report.consent == yes
    assert read(checkout(consent="false")).report.consent.given is None
    for said in (None, "", "yes", True, 1, [], {}):
        assert read(checkout(consent=said)).report.consent is None


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(40, "40"), (0.1 + 0.2, "0.3"), (1234.5, "1234.5"), ("19.90", "19.9"), (0, "0"), (1e-9, "0")],
)
def test_amounts_are_decimal(amount, expected):
    """Saleor sends binary fractions."""
    report = read(checkout(totalPrice={"gross": {"amount": amount, "currency": "EUR"}})).report
    assert str(report.total) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": None}, "no address"),
        ({"email": ""}, "no address"),
        ({"lines": [None, {"quantity": 1}]}, "nothing is in it"),
        ({"lines": None}, "nothing is in it"),
    ],
)
def test_a_checkout_without_address_or_items_is_ignored(changes, words):
    """It may have both later: Saleor reports each change."""
    assert words in read(checkout(**changes)).reason


@pytest.mark.parametrize("lines", [[], [{**checkout()["checkout"]["lines"][0], "quantity": 0}]])
@pytest.mark.parametrize("email", ["ada@example.com", None])
def test_an_emptied_checkout_is_not_reminded(lines, email):
    """What is no longer in it is not offered again; it goes on once something is."""
    at = datetime(2026, 3, 1, 12, 5, 0, 123456, tzinfo=UTC)
    assert read(checkout(lines=lines, email=email)) == Emptied(SHOP, (CHECKOUT_ID,), at)


def test_an_order_without_a_checkout_is_ignored():
    """One that the merchant made, or imported, ends nothing."""
    assert read(order(checkoutId=None)) == Ignored("this order was not made from a checkout")


def without(event, field):
    """Return an event whose query did not ask for a field."""
    [(kind, values)] = event.items()
    return {kind: {name: value for name, value in values.items() if name != field}}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (without(order(), "checkoutId"), "order.checkoutId"),
        (without(checkout(), "email"), "checkout.email"),
        (without(checkout(), "updatedAt"), "checkout.updatedAt"),
        (without(checkout(), "totalPrice"), "checkout.totalPrice"),
        (checkout(id=None), "checkout.id"),
        (checkout(updatedAt=None), None),
        (checkout(updatedAt="yesterday"), "checkout.updatedAt"),
        (checkout(totalPrice=None), "checkout.totalPrice.gross.amount"),
        (checkout(totalPrice={"gross": {"amount": 1, "currency": "euro"}}), "checkout.totalPrice.gross.currency"),
        (checkout(totalPrice={"gross": {"amount": 1e300, "currency": "EUR"}}), "checkout.totalPrice.gross.amount"),
        (order(checkoutId=5), "order.checkoutId"),
        ({"errors": [{"message": "no"}]}, "errors"),
        ({}, "body"),
        ({"data": {}}, "body"),
        ({"data": {"checkoutUpdated": None}}, "body"),
        ({"checkout": [], "order": 1}, "body"),
    ],
)
def test_what_cannot_be_read_names_its_field(payload, field):
    """A query that is not ours is told, since a missed order would mean a reminder after it."""
    found = read(payload)
    if field is None:
        assert found.report.touched_at is None  # the time of the report, then
    else:
        assert (type(found), found.field) == (Unmapped, field)


def test_another_event_is_ignored():
    """A webhook that is subscribed to more than is needed does no harm."""
    assert isinstance(read({"product": {"id": "1"}}, topic="product_updated"), Ignored)
    assert read(order(), topic="product_updated") == read(order())  # the header is not signed


def test_without_a_link_back_the_setting_is_named():
    """Saleor knows no address of a checkout."""
    assert read(checkout(), checkout_url=None).field == "webhooks.checkout_urls"


def test_a_line_that_cannot_be_shown_spoils_no_other():
    """An invalid price, and a picture whose address is invalid."""
    good = checkout()["checkout"]["lines"][0]
    product = {"name": "Lamp", "thumbnail": {"url": "no address"}}
    lines = [good, {**good, "unitPrice": None}, None, {**good, "variant": {"name": "", "product": product}}]
    items = read(checkout(lines=lines)).report.items
    assert [(item.name, item.variant, item.image_url) for item in items] == [
        ("Lamp", "Red", PICTURE),
        ("Lamp", None, None),
    ]


def test_the_signature():
    """A detached JWS by a key of the shop; the deprecated HMAC by a secret is refused with what to do."""
    body = json.dumps(checkout()).encode()
    trust = Trust(NOON, keys=read_key_set(published("1", KEY)))

    def fault(signature):
        return Saleor().signature_fault(body, {"saleor-signature": signature}, trust)

    assert fault(detached(body)) is None
    assert "is not the signature" in fault(detached(body, OTHER_KEY))
    assert "is not the signature" in fault(detached(body + b" "))
    assert "secretKey" in fault("5f" * 32)
    assert Saleor().key_id({"saleor-signature": detached(body)}) == "1"
    assert Saleor().key_id({"saleor-signature": "5f" * 32}) == ""


def test_the_query_fits_the_schema():
    """Saleor's published schema has every field that is asked for."""
    schema = graphql.build_schema(collected("saleor", "schema.graphql").read_text(), assume_valid=True)
    assert graphql.validate(schema, graphql.parse(QUERY)) == []
    assert graphql.validate(schema, graphql.parse(QUERY.replace("checkoutId", "checkoutID"))) != []


def leaves(selections, fragments, path=()):
    """Yield the path of each value that a selection asks for, without the kind of event."""
    for each in selections:
        match each:
            case graphql.FragmentSpreadNode():
                yield from leaves(fragments[each.name.value], fragments, path)
            case graphql.InlineFragmentNode():
                yield from leaves(each.selection_set.selections, fragments, path)
            case graphql.FieldNode():
                name = (each.alias or each.name).value
                inner = each.selection_set.selections if each.selection_set else None
                here = (*path, name)
                yield from leaves(inner, fragments, here) if inner else [here]


def values(sample, path=()):
    """Yield the path of each value of a sample; of one that is null, its beginning."""
    if isinstance(sample, dict):
        for name, value in sample.items():
            yield from values(value, (*path, name))
    elif isinstance(sample, list):
        for value in sample:
            yield from values(value, path)
    else:
        yield path


def test_the_samples_are_what_the_query_asks_for():
    """So that what the adapter reads in these tests is what Saleor would send."""
    document = graphql.parse(QUERY)
    fragments = {
        each.name.value: each.selection_set.selections
        for each in document.definitions
        if isinstance(each, graphql.FragmentDefinitionNode)
    }
    [operation] = [each for each in document.definitions if isinstance(each, graphql.OperationDefinitionNode)]
    asked = {path[1:] for path in leaves(operation.selection_set.selections, fragments)}
    full = checkout(shippingAddress={"firstName": "", "lastName": ""})
    assert {*values(full), *values(order())} == asked


def test_the_order_of_saleors_own_app():
    """Its query asks for no checkout, which is told; with that and ours it is the order, field by field."""
    given = json.loads(collected("saleor", "apps-smtp-orderCreatedPayload.json").read_text())
    assert read(given).field == "order.checkoutId"
    full = {"order": given["order"] | {"checkoutId": CHECKOUT_ID, "isPaid": True, "origin": "CHECKOUT"}}
    mug = "Limited Edition Anniversary Collection Ceramic Mug with Gold Trim"
    assert read(full, confirm_orders=True) == Reported(
        Order.model_validate(
            {
                "shop": SHOP,
                "order_id": CHECKOUT_ID,
                "customer": {"email": "adrian.king@example.com", "name": "Adrian King"},
                "items": [
                    item("Organic Cotton T-Shirt", "Navy / Large", 2, 40, "tshirt", "OCT-NVY-L"),
                    item(mug, None, 1, 25, "mug", "MUG-ANNIVERSARY-GOLD"),
                    item("Wireless Earbuds Pro", "Matte Black", 1, 96, "earbuds", "WEP-BLK-001"),
                ],
                "total": 213,
                "shipping": 12,
                "order_url": "https://example.com/order/57b50a40-c4fb-4b43-b188-3bafde1770d9",
                "currency": "USD",
                "locale": "en",
                "ordered_at": "2024-01-15T14:32:00+00:00",
                "confirm": True,
            }
        ),
        confirm_default=False,
    )


def item(name, variant, quantity, price, seed, sku):
    """Return a line of that order."""
    picture = f"https://picsum.photos/seed/{seed}/150/150"
    facts = {"name": name, "variant": variant, "quantity": quantity, "price": price, "sku": sku}
    return facts | {"image_url": picture}


def test_the_answer_of_the_documentation():
    """A mutation's answer is no webhook: it was asked for an address of the post, and not for that of the mail."""
    given = json.loads(collected("saleor", "docs-graphql-checkout-1.json").read_text())
    assert read(given) == Unmapped("checkout.email", "was not asked for: give the webhook the query of docs/shops.md")


def test_every_collected_file_is_in_a_test():
    """No file of the folder is passed over."""
    names = {path.name for path in collected("saleor").iterdir()}
    assert names == {"schema.graphql", "docs-graphql-checkout-1.json", "apps-smtp-orderCreatedPayload.json"}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({*checkout()["checkout"], *order()["order"]})


@given(st.sampled_from([checkout, order]), st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_an_event_has_is_read_or_told(make, changes):
    """Null everywhere, arrays for objects: an event, or a reason."""
    try:
        found = read(make(**changes))
    except ValidationError:
        return  # no JSON, such as an infinite number
    assert isinstance(found, Reported | Emptied | Ignored | Unmapped)
