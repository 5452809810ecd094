"""Files of reports: lines of JSON, an array, or CSV; and what a report leads to."""

import contextlib
import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recovery import Checkout, Order
from recovery.cli.import_forecast import Prospect, prospect
from recovery.cli.import_reading import Unreadable, records
from recovery.cli.terminal import CommandError
from tests.support.builders import schedule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHECKOUT = {
    "shop": "shop.example",
    "order_id": "1",
    "customer": {"email": "ada@example.com", "name": "Ada"},
    "items": [{"name": "Lamp", "price": "12.50", "quantity": 2}, {"name": "Bulb; warm", "price": "1.00"}],
    "total": "26.00",
    "currency": "EUR",
    "checkout_url": "https://shop.example/1",
    "touched_at": "2026-03-01T11:45:00Z",
}
ORDER = {"shop": "shop.example", "order_id": "2", "ordered_at": "2026-03-01T11:50:00Z"}


def read(text, size=10**6):
    """Return the records of a file that is read in chunks of this size."""
    data = text if isinstance(text, bytes) else text.encode()
    return list(records(data[at : at + size] for at in range(0, len(data), size)))


def told(record):
    """Return a record's line, and its report or why there is none."""
    return record.number, str(record.report) if isinstance(record.report, Unreadable) else record.report


def as_csv(rows, delimiter=","):
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


ROW = {
    "shop": "shop.example",
    "order_id": "1",
    "email": "ada@example.com",
    "name": "Ada",
    "items.0.name": "Lamp",
    "items.0.price": "12.50",
    "items.0.quantity": "2",
    "items.1.name": "Bulb; warm",
    "items.1.price": "1.00",
    "total": "26.00",
    "currency": "EUR",
    "checkout_url": "https://shop.example/1",
    "touched_at": "2026-03-01T11:45:00Z",
}
FILES = {
    "lines": f"{json.dumps(CHECKOUT)}\n\n{json.dumps(ORDER)}\n",
    "an array": json.dumps([CHECKOUT, ORDER]),
    "CSV": as_csv([ROW, ORDER]),
    "CSV of a spreadsheet": "\ufeff" + as_csv([ROW, ORDER], ";"),
    "CSV with items as JSON": as_csv(
        [
            {name: cell for name, cell in ROW.items() if "." not in name} | {"items": json.dumps(CHECKOUT["items"])},
            ORDER,
        ]
    ),
}


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("form", FILES)
def test_checkouts_and_orders_are_read_from_each_form(form, size):
    """The form follows from the beginning of the file, and whether a record is an order from its time."""
    first, second = read(FILES[form], size)
    assert first.report == Checkout(**CHECKOUT)
    assert second.report == Order(**ORDER)
    assert (first.number, second.number) == {"lines": (1, 3), "an array": (1, 2)}.get(form, (2, 3))


@pytest.mark.parametrize("text", ["", "\n \n", "[]", "shop,order_id\n"])
def test_an_empty_file_has_no_records(text):
    """It is no fault."""
    assert read(text) == []


def test_a_row_of_an_order_may_have_the_columns_of_a_checkout():
    """An export of all carts has one header: of those that were ordered, the time of the last activity is left out."""
    (record,) = read(
        as_csv([{**ROW, "ordered_at": "2026-03-01T11:50:00Z", "confirm": "FALSE", "consent.given": "true"}])
    )
    assert isinstance(record.report, Order)
    assert record.report.confirm is False
    assert record.report.customer.email == "ada@example.com"


def test_consent_is_read_from_cells():
    """A yes or no is written as true or false; any other word is refused, and guessed at by nobody."""
    consent = {
        "consent.given": "true",
        "consent.basis": "box",
        "consent.at": ROW["touched_at"],
        "consent.source": "shop",
    }
    yes, no = read(as_csv([{**ROW, **consent}, {**ROW, **consent, "consent.given": "yes"}]))
    assert yes.report.consent.given is True
    assert told(no)[1].startswith("consent.given: ")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"total": "cheap"}, "total"),
        ({"items.0.price": "1,5"}, "items.0.price"),
        ({"email": "nobody"}, "customer.email"),
        ({"touched_at": ""}, "touched_at"),
        ({"shop": ""}, "shop"),
        ({"items.0": "Lamp"}, "items.0"),
    ],
)
def test_a_bad_row_is_refused_alone_by_its_line_and_field(changes, field):
    """The rows around it are read, and the original is kept."""
    bad = {**ROW, **changes}
    first, refused, last = read(as_csv([ROW, bad, ROW]))
    assert first.report == last.report == Checkout(**CHECKOUT)
    assert refused.number == 3
    assert str(refused.report).startswith(field)
    assert refused.original.decode().startswith(bad["shop"] + ",1,")


def test_a_checkout_without_its_time_is_refused():
    """Its customer would be written to as if it had been left just now."""
    checkout = {name: value for name, value in CHECKOUT.items() if name != "touched_at"}
    (record,) = read(json.dumps(checkout))
    assert record.report.field == "touched_at"


@pytest.mark.parametrize(
    "bad",
    [
        b"nope",
        b"[]",
        b"null",
        b'{"shop": "\xff"}',
        b'{"a":' * 10_000,
        b'{"shop": "\\ud800", "order_id": 1}',
        b'{"total": 1e999}',
    ],
)
def test_a_bad_line_is_refused_alone(bad):
    """Whatever it is, those before and after it are read."""
    line = json.dumps(CHECKOUT).encode()
    first, refused, last = read(line + b"\n" + bad + b"\n" + line)
    assert first.report == last.report == Checkout(**CHECKOUT)
    assert (refused.number, refused.original) == (2, bad)
    assert isinstance(refused.report, Unreadable)


def test_a_row_that_is_not_utf_8_is_refused_with_its_bytes():
    """A name in another encoding harms no other row."""
    text = as_csv([ROW, {**ROW, "name": "J\u00fcrgen"}, ROW]).encode().replace("J\u00fcrgen".encode(), b"J\xfcrgen")
    first, refused, last = read(text)
    assert first.report == last.report == Checkout(**CHECKOUT)
    assert "customer.name" in str(refused.report)
    assert b"J\xfcrgen" in refused.original


def test_a_cell_may_have_several_lines():
    """The record has the number of its first line, and the next one that of its own."""
    name = "Lamp\n\n with two shades"
    first, second = read(as_csv([{**ROW, "items.0.name": name}, ROW]).replace("\r\n", "\n"))
    assert first.report.items[0].name == name
    assert (first.number, second.number) == (2, 5)
    assert first.original.decode().count("\n") == 2


def test_a_row_with_more_cells_than_the_header_is_refused():
    """A comma that was not quoted moves all cells after it."""
    _, refused = read(as_csv([ROW, ROW]).rstrip() + ",1")
    assert "14 cells, and the header 13" in str(refused.report)


def test_a_quote_without_end_is_refused():
    """It does not take all that follows into memory."""
    assert isinstance(read(as_csv([ROW]) + '"' + "x,\n" * 100_000)[1].report, Unreadable)


def test_an_unknown_column_ends_the_import_before_anything_is_read():
    """The error names it, and those that there are."""
    with pytest.raises(CommandError, match=r"unknown columns: phone, fax\. Known are .*, touched_at, email and name"):
        read("shop,phone,order_id,fax\n")


def test_a_header_with_a_bare_carriage_return_is_refused():
    """Old Macintosh files end their lines so: what is read is one line that CSV does not know."""
    with pytest.raises(CommandError, match="The header is not a valid line of CSV"):
        read(b"shop,order_id\rbikes.example,1042\n")


def test_a_line_without_end_is_not_read_into_memory():
    """A file of another form says so."""
    with pytest.raises(CommandError, match="line 2 is longer than 262144 bytes"):
        read("shop\n" + "x" * 300_000, 1000)


@given(st.binary(max_size=80) | st.text('ab,;"\r\n', max_size=12).map(str.encode))
@example(b"0\r0")
def test_any_file_is_read_to_its_end_or_refused_with_a_sentence(data):
    """No bytes are met with a traceback."""
    with contextlib.suppress(CommandError):
        assert all(isinstance(each.report, Unreadable) for each in read(data))


@pytest.mark.parametrize(
    ("changes", "rules", "expected"),
    [
        ({}, {}, Prospect.MAIL),
        ({"touched_at": NOW - timedelta(days=2)}, {}, Prospect.MAIL),
        ({"touched_at": NOW - timedelta(days=60)}, {}, Prospect.PAST_USE),
        ({"touched_at": NOW + timedelta(days=60)}, {}, Prospect.MAIL),
        ({}, {"require_consent": True}, Prospect.NO_MAIL),
        ({"consent": {"given": False, "basis": "b", "source": "s", "at": NOW}}, {}, Prospect.NO_MAIL),
    ],
)
def test_what_a_checkout_leads_to(changes, rules, expected):
    """A reminder if one is still to come; else none, since it would be too late, or for want of consent."""
    assert prospect(Checkout(**CHECKOUT | changes), schedule(**rules), NOW) is expected


@pytest.mark.parametrize(
    ("changes", "rules", "expected"),
    [
        ({"customer": CHECKOUT["customer"]}, {}, Prospect.MAIL),
        ({"customer": CHECKOUT["customer"], "ordered_at": NOW - timedelta(days=9)}, {}, Prospect.PAST_USE),
        ({"customer": CHECKOUT["customer"], "confirm": False}, {}, Prospect.NO_MAIL),
        ({"customer": CHECKOUT["customer"]}, {"confirmation": None}, Prospect.NO_MAIL),
        ({}, {}, Prospect.NO_MAIL),
    ],
)
def test_what_an_order_leads_to(changes, rules, expected):
    """A confirmation, unless it is late, unwanted, or to nobody known."""
    assert prospect(Order(**ORDER | changes), schedule(**rules), NOW) is expected


@pytest.mark.parametrize(
    "metadata", [{"metadata.gift": "yes", "metadata.branch": "Köln"}, {"metadata": '{"gift": "yes", "branch": "Köln"}'}]
)
def test_all_facts_have_columns(metadata):
    """The parts of a total, an order's link and metadata can be imported from CSV, metadata as columns or as JSON."""
    parts = {
        "discount": "1.00",
        "discount_code": "SPRING",
        "shipping": "4.90",
        "tax": "0.10",
        "order_url": "https://shop.example/o",
        "items.0.sku": "L-1",
    }
    (record,) = read(as_csv([ROW | parts | metadata]))
    facts = record.report.facts()
    assert {name: facts.get(name) for name in parts if name != "items.0.sku"} == {
        name: each for name, each in parts.items() if name != "items.0.sku"
    }
    assert facts["items"][0]["sku"] == "L-1"
    assert facts["metadata"] == {"branch": "Köln", "gift": "yes"}


def test_metadata_that_is_no_json_is_refused_by_its_name():
    """A cell that is no object is an error that names the column."""
    (record,) = read(as_csv([ROW | {"metadata": "gift"}]))
    assert str(record.report) == "metadata: the cell is not valid JSON"
