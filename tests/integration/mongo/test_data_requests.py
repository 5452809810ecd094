"""Requests for data, on a real mongod."""

from recovery import Recovery
from recovery.mongo.data_requests import DataRequests


async def test_open_and_answered_requests_are_told_apart_by_shop(database):
    """Who answered one is kept with it."""
    recovery = Recovery(database.client, database=database.name)
    for shop, id_ in (("lamps.example", "1"), ("lamps.example", "2"), ("shop.example", "1")):
        await recovery.request_data(shop, id_, "ada@example.com", ["17"])
    requests = DataRequests(database)
    assert await requests.done("lamps.example/1", "olga in the console")
    assert [each.id for each in await requests.open(("lamps.example",), 9)] == ["lamps.example/2"]
    assert [each.id for each in await requests.open((), 9)] == ["lamps.example/2", "shop.example/1"]
    assert await requests.answered(("shop.example",), 9) == []
    (answered,) = await requests.answered((), 9)
    assert (answered.id, answered.done_by, answered.shop) == ("lamps.example/1", "olga in the console", "lamps.example")
    assert answered.done_at is not None
    assert (await requests.get("shop.example/1")).orders == ("17",)
    assert await requests.get("shop.example/9") is None
