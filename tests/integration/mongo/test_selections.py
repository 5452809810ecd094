"""Selections: what is kept between a question and its yes."""

from datetime import UTC, datetime

import pytest

from recovery.mongo import selections
from recovery.mongo.selections import Selections, TooMany

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


async def _ids(count):
    for number in range(count):
        yield f"shop.example/{number}"


async def _kept(database, name, by="olga"):
    return [id_ async for chunk in Selections(database).ids(name, by) for id_ in chunk]


async def test_ids_come_back_in_their_order_in_as_many_documents_as_it_takes(database, monkeypatch):
    monkeypatch.setattr(selections, "CHUNK", 4)
    name, count = await Selections(database).keep(_ids(10), "olga", NOW)
    assert count == 10
    assert await _kept(database, name) == [f"shop.example/{number}" for number in range(10)]
    assert await database["selections"].count_documents({}) == 3


async def test_a_selection_is_its_makers_alone(database):
    name, _ = await Selections(database).keep(_ids(1), "olga", NOW)
    assert await _kept(database, name, by="rudi") == []
    assert await _kept(database, "0" * 32) == []


async def test_nothing_selected_is_nothing(database):
    name, count = await Selections(database).keep(_ids(0), "olga", NOW)
    assert count == 0
    assert await _kept(database, name) == []


async def test_a_selection_is_bounded(database, monkeypatch):
    monkeypatch.setattr(selections, "MOST", 3)
    with pytest.raises(TooMany, match="more than 3 match"):
        await Selections(database).keep(_ids(4), "olga", NOW)
