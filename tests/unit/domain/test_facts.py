"""The facts of a checkout beside its items: the parts of its total, and what is for templates alone."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from recovery import Order
from recovery.client.reports import CheckoutReport, read_report, to_json
from recovery.mongo.documents import read
from recovery.mongo.intake import CheckoutWrite
from tests.support.builders import NOON, report

PARTS = {
    "discount": "5.00",
    "discount_code": "SPRING",
    "shipping": "4.90",
    "tax": "19.00",
    "order_url": "https://shop.example/orders/1",
    "metadata": {"gift": "yes", "branch": "Köln"},
}


def order(**facts):
    return Order(shop="shop.example", order_id="1", **facts)


def test_they_are_stored_where_they_are_given():
    """Each is stored as it was reported, amounts as texts; a report without them stores none, not even empty ones."""
    assert order(**PARTS).facts() == PARTS
    assert order().facts() == {}
    item = {"name": "Lamp", "price": "1.00", "sku": "L-1"}
    assert order(items=[item]).facts() == {"items": [item]}


def test_they_are_read_from_a_document_that_has_them_and_from_one_that_has_not():
    """The documents of former versions read as before."""
    document = CheckoutWrite(report("1", **PARTS)).document(NOON)
    assert read(document).facts.discount == Decimal("5.00")
    assert read(document).facts.metadata == PARTS["metadata"]
    without = {**document, "facts": {name: each for name, each in document["facts"].items() if name not in PARTS}}
    assert read(without).facts.metadata == {}
    assert read(without).facts.tax is None


def test_the_order_of_metadata_makes_no_other_report():
    """The same values in another order are the same facts, down to the order in which they are stored."""
    there, back = order(metadata={"b": "1", "a": "2"}), order(metadata={"a": "2", "b": "1"})
    assert list(there.facts()["metadata"]) == list(back.facts()["metadata"])


def test_an_outbox_keeps_them():
    """A report that waits in an outbox has them when it is delivered."""
    waiting = CheckoutReport(report=report("1", **PARTS))
    assert read_report(to_json(waiting)) == waiting


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"discount": "-5.00"}, "discount"),
        ({"shipping": "4,90"}, "shipping"),
        ({"tax": "1.23456"}, "tax"),
        ({"discount_code": ""}, "discount_code"),
        ({"order_url": "javascript:alert(1)"}, "order_url"),
        ({"metadata": {"a b": "1"}}, "metadata"),
        ({"metadata": {"$where": "1"}}, "metadata"),
        ({"metadata": {"a.b": "1"}}, "metadata"),
        ({"metadata": {"a" * 51: "1"}}, "metadata"),
        ({"metadata": {"a\nb": "1"}}, "metadata"),
        ({"metadata": {"a": "1" * 501}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"a": None}}, "metadata"),
        ({"metadata": {f"a{number}": "1" for number in range(21)}}, "metadata"),
        ({"metadata": ["a"]}, "metadata"),
        ({"items": [{"name": "Lamp", "price": "1", "sku": ""}]}, "items"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(facts, field):
    """A value that none can be is an error at its field."""
    with pytest.raises(ValidationError) as refused:
        order(**facts)
    assert refused.value.errors()[0]["loc"][0] == field
