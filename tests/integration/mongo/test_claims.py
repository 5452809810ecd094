"""Claims with a lost acknowledgement, on a real MongoDB."""

from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import state
from tests.support.stores import Real, only, request


async def test_a_claim_that_was_not_acknowledged_is_known_all_the_same(database):
    """Claims that succeeded during an election are ours: their messages need not wait for the end of the lease."""
    store = Real(database)
    seen = [state(str(number)) for number in range(3)]
    for each in seen:
        await store.put(each)
    told = {"failCommands": ["update"], "writeConcernError": {"code": 91, "errmsg": "shutting down"}}
    told["namespace"] = f"{database.name}.{CHECKOUTS}"
    await database.client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=told)
    claims = [request(each, "ours") for each in seen]
    assert await MongoCheckouts(database).claim(claims) == {each.id for each in seen}
    assert [(await only(store, each)).claim.token for each in seen] == ["ours"] * 3
