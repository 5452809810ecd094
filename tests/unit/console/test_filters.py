"""The filters of the list of checkouts, as they are typed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from recovery.console.filters import read
from recovery.console.forms import Form
from recovery.domain.state import Status
from recovery.mongo.listing import Filters

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SHOPS = ["a.example", "b.example"]


def _viewer(*shops):
    return SimpleNamespace(shops=shops, sees=lambda shop: not shops or shop in shops)


def _read(viewer=None, shops=SHOPS, **fields):
    return read(Form(fields.items()), viewer or _viewer(), shops, NOW)


def test_without_a_filter_it_is_all_shops_that_one_list_can_have():
    """Where there are more, nothing is listed."""
    assert _read().filters == Filters(("a.example", "b.example"))
    assert _read(shops=[f"{number}.example" for number in range(51)]).filters is None
    assert _read(shops=[]).filters is None


def test_an_address_is_looked_for_at_all_shops_and_by_a_key_for_some_at_these():
    """However many there are."""
    many = [f"{number}.example" for number in range(51)]
    assert _read(shops=many, email="ada@example.com").filters == Filters(email="ada@example.com")
    own = _read(_viewer("a.example"), ["a.example"], email="ada@example.com")
    assert own.filters == Filters(("a.example",), email="ada@example.com")


def test_a_key_for_more_shops_than_one_list_has_must_name_one_with_an_address_too():
    """Without a shop the list would be of all shops, those of others among them."""
    own = [f"{number}.example" for number in range(51)]
    asked = _read(_viewer(*own), own, email="ada@example.com")
    assert asked.filters is None
    assert "shop" in asked.faults
    named = _read(_viewer(*own), own, email="ada@example.com", shop="3.example")
    assert named.filters == Filters(("3.example",), email="ada@example.com")


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T14:05", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("2026-03-01T14:05:00+01:00", datetime(2026, 3, 1, 13, 5, tzinfo=UTC)),
        ("1d 12h", NOW - timedelta(hours=36)),
    ],
)
def test_a_time_is_a_day_a_time_or_how_long_ago(typed, at):
    """Without a zone it is in UTC."""
    assert _read(since=typed).filters.since == at


@pytest.mark.parametrize("typed", ["yesterday", "9999-99-99", "0001-01-01T00:00:00+14:00", "3651d", "30"])
def test_what_is_no_time_is_a_fault_of_its_field(typed):
    """And nothing is listed."""
    asked = _read(until=typed)
    assert asked.filters is None
    assert list(asked.faults) == ["until"]


def test_all_faults_are_told_at_once_and_what_was_typed_stays():
    """So that it can be corrected."""
    asked = _read(status="lost", email="x", shop="b.example")
    assert sorted(asked.faults) == ["email", "status"]
    assert asked.pairs == [("shop", "b.example"), ("status", "lost"), ("email", "x")]
    assert _read(status="open").filters.status is Status.OPEN


def test_a_shop_that_the_key_is_not_for_does_not_exist():
    """Whether it does or not."""
    asked = _read(_viewer("a.example"), ["a.example"], shop="b.example")
    assert asked.faults == {"shop": "there is no such shop"}
    assert asked.filters is None
