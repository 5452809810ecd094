"""The database in memory against a real one: the same documents, queries and updates give the same results."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from recovery.testing.documents.client import AsyncMemoryClient
from recovery.testing.documents.store import Server
from recovery.testing.documents.values import NotInMemory

AT = datetime(2026, 3, 5, 12, tzinfo=UTC)

DOCUMENTS = [
    {"_id": "a/1", "shop": "a", "n": 1, "at": AT, "tags": ["x", "y"], "facts": {"items": [{"name": "Lamp", "n": 1}]}},
    {"_id": "a/2", "shop": "a", "n": 2.5, "at": None, "tags": [], "facts": {"customer": {"email": "a@b.c"}}},
    {"_id": "a/3", "shop": None, "n": "2", "at": AT + timedelta(days=1, microseconds=1999), "tags": "x"},
    {"_id": "b/1", "shop": "b", "address": "ada@example.com", "n": True, "facts": {"items": [{"name": "Bulb"}, {}]}},
    {"_id": "b/2", "shop": "b", "address": "ada@example.com", "n": -1, "claim": {"token": "t", "until": AT}},
    {"_id": "b/3", "address": "bea@example.com", "history": [{"at": AT, "reason": "r"}, {"reason": "s"}]},
]

QUERIES = [
    {},
    {"_id": "a/1"},
    {"_id": {"$in": ["b/2", "a/1", "z"]}},
    {"_id": {"$gte": "a/", "$lt": "a0"}},
    {"address": "ada@example.com"},
    {"address": {"$in": ["ada@example.com", "bea@example.com"]}, "_id": {"$gte": "b/2"}},
    {"shop": None},
    {"shop": {"$ne": None}},
    {"shop": {"$nin": ["a", None]}},
    {"n": {"$gt": 0}},
    {"n": {"$lte": 1}},
    {"n": {"$type": "number"}},
    {"n": {"$type": "string"}},
    {"n": {"$not": {"$gt": 1}}},
    {"n": {"$in": [1, "2"]}},
    {"at": {"$lte": AT, "$type": "date"}},
    {"at": {"$type": "date"}},
    {"at": {"$exists": False}},
    {"at": None},
    {"tags": "x"},
    {"tags": {"$in": ["y", "z"]}},
    {"tags": []},
    {"tags": {"$exists": True}},
    {"facts.items.name": "Lamp"},
    {"facts.items.name": {"$regex": "^b", "$options": "i"}},
    {"facts.items.n": None},
    {"facts.customer": {"email": "a@b.c"}},
    {"claim.token": None},
    {"claim.token": {"$exists": True}},
    {"history.reason": "s"},
    {"history": {"$elemMatch": {"reason": "r", "at": AT}}},
    {"$or": [{"n": 1}, {"shop": "b", "n": -1}]},
    {"$and": [{"shop": "b"}, {"n": {"$lt": 0}}]},
    {"$nor": [{"shop": "a"}, {"shop": "b"}]},
    {"$expr": {"$eq": [["$shop", "$n"], ["b", -1]]}},
    {"$expr": {"$gt": ["$facts.customer", None]}},
    {"$expr": {"$lt": ["$shop", "$address"]}},
]


def value(expression):
    """Return the update that stores the value of an expression."""
    return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"value": expression}]}}]


UPDATES = [
    {"$set": {"n": 7, "facts.total": "1", "new.deep.field": None}},
    {"$unset": {"claim.token": "", "at": "", "none": ""}},
    {"$inc": {"count": 2}},
    {"$push": {"history": {"$each": [{"reason": "t"}, {"reason": "u"}], "$slice": -2}}},
    {"$push": {"history": {"reason": "t"}}},
    {"$addToSet": {"names": {"$each": ["x", "y", "x"]}}},
    {"$min": {"low": 3}, "$max": {"high": 3}},
    {"$set": {"n": 7}, "$setOnInsert": {"made": True}},
    value({"$ifNull": ["$at", "$address", "nothing"]}),
    value({"$cond": [{"$gt": ["$claim.until", None]}, "claimed", "$missing"]}),
    value({"$switch": {"branches": [{"case": {"$eq": ["$shop", "a"]}, "then": 1}], "default": "$shop"}}),
    value({"$let": {"vars": {"v": {"a": {"$literal": "$x"}}}, "in": {"$mergeObjects": ["$facts", "$$v", None]}}}),
    value({"$setUnion": [{"$ifNull": ["$names", []]}, {"$literal": ["b", "b"]}]}),
    value({"$slice": [{"$concatArrays": [{"$ifNull": ["$history", []]}, [{"r": 1}, {"r": 2}]]}, -2]}),
    value({"$arrayElemAt": [{"$literal": ["first", "second"]}, {"$indexOfArray": [["a/1", "b/1"], "$_id"]}]}),
    value({"$min": [AT + timedelta(days=9), "$at", "$none"]}),
    value({"$max": [1, "$n"]}),
    value({"$add": [{"$ifNull": ["$count", 0]}, 1]}),
    value({"$add": ["$count", 1]}),
    value({"$in": ["$shop", ["a", None]]}),
    value({"$not": [{"$in": [{"$ifNull": ["$shop", None]}, [None, "a"]]}]}),
    value({"$and": [True, "$claim", {"$or": [False, "$n"]}]}),
    value([{"$lt": ["$shop", "b"]}, {"$lte": ["$n", 1]}, {"$gte": ["$at", AT]}, {"$ne": ["$at", None]}]),
    value({"$eq": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}),
    value(["$facts.items.name", "$none", "$tags"]),
    [{"$set": {"again": "$shop"}}, {"$unset": "shop"}],
]


@pytest.fixture
def memory():
    return AsyncMemoryClient(Server(lambda: AT))["db"]["made"]


@pytest.fixture
async def both(memory, database):
    """Both collections, with the same documents."""
    for collection in (memory, database["made"]):
        await collection.insert_many(DOCUMENTS)
    return memory, database["made"]


@pytest.mark.parametrize("query", QUERIES, ids=str)
async def test_a_query_finds_the_same(both, query):
    """Which documents match does not depend on where they are."""
    ours, theirs = [await each.find(query).sort("_id", 1).to_list() for each in both]
    assert ours == theirs
    ours, theirs = [await each.count_documents(query) for each in both]
    assert ours == theirs


@pytest.mark.parametrize("update", UPDATES, ids=str)
async def test_an_update_makes_the_same(both, update):
    """So do the documents after an update, and the counts of it."""
    ours, theirs = [await each.update_many({}, update) for each in both]
    assert (ours.matched_count, ours.modified_count) == (theirs.matched_count, theirs.modified_count)
    ours, theirs = [await each.find({}).sort("_id", 1).to_list() for each in both]
    assert ours == theirs
    assert [list(each) for each in ours] == [list(each) for each in theirs]  # the order of the fields too
    ours, theirs = [await each.update_one({"_id": "new", "shop": "c"}, update, upsert=True) for each in both]
    assert ours.upserted_id == theirs.upserted_id == "new"
    ours, theirs = [await each.find_one({"_id": "new"}) for each in both]
    assert ours == theirs


@pytest.mark.parametrize(
    "projection",
    [["shop"], {"shop": 1, "_id": 0}, {"_id": 1}, ["facts.items.name"], {"history": {"$slice": -1}}, {"facts": 0}],
    ids=str,
)
async def test_a_projection_returns_the_same(both, projection):
    """A projection leaves the same fields."""
    ours, theirs = [await each.find({}, projection).sort("_id", 1).to_list() for each in both]
    assert ours == theirs


@pytest.mark.parametrize("order", [[("shop", 1), ("_id", -1)], [("n", 1)], [("at", -1), ("_id", 1)]], ids=str)
async def test_the_order_is_the_same(both, order):
    """Types are ordered as in BSON, and a missing field as null."""
    ours, theirs = [await each.find({}, {"_id": 1}, sort=[*order, ("_id", 1)][:2]).to_list() for each in both]
    assert ours == theirs
    ours, theirs = [await each.find({}).sort(order).skip(1).limit(2).to_list() for each in both]
    assert ours == theirs


async def test_a_bulk_write_does_the_same(both):
    """Inserts, updates, replacements and deletions, with their counts and the ids of what was inserted."""
    writes = [
        InsertOne({"_id": "c/1"}),
        UpdateOne({"_id": "c/2"}, {"$set": {"n": 1}}, upsert=True),
        UpdateMany({"shop": "a"}, {"$set": {"n": 1}}),
        ReplaceOne({"_id": "b/1"}, {"shop": "z"}),
        DeleteOne({"_id": "b/2"}),
        DeleteMany({"tags": {"$exists": True}}),
    ]
    ours, theirs = [await each.bulk_write(writes, ordered=True) for each in both]
    names = ("inserted_count", "matched_count", "modified_count", "deleted_count", "upserted_count", "upserted_ids")
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    ours, theirs = [await each.find({}).sort("_id", 1).to_list() for each in both]
    assert ours == theirs


async def test_an_id_is_there_once(both):
    """A second document with the same id is refused, in a batch with its place in it."""
    for collection in both:
        with pytest.raises(DuplicateKeyError):
            await collection.insert_one({"_id": "a/1"})
        with pytest.raises(BulkWriteError) as raised:
            await collection.insert_many([{"_id": "c"}, {"_id": "a/1"}, {"_id": "d"}], ordered=False)
        assert [(each["index"], each["code"]) for each in raised.value.details["writeErrors"]] == [(1, 11000)]
        assert await collection.count_documents({"_id": {"$in": ["c", "d"]}}) == 2


async def test_what_is_unknown_is_said(memory):
    """A query or an update that the database in memory does not know fails, and is never a wrong answer."""
    await memory.insert_one({"_id": 1, "a": 1})
    for query in ({"a": {"$mod": [2, 0]}}, {"$where": "true"}, {"a": {"$type": "objectId"}}):
        with pytest.raises(NotInMemory, match="the database in memory does not know"):
            await memory.find(query).to_list()
    for update in ({"$rename": {"a": "b"}}, [{"$project": {"a": 1}}], value({"$toUpper": "x"}), value("$$USER")):
        with pytest.raises(NotInMemory, match="the database in memory does not know"):
            await memory.update_one({}, update)
    with pytest.raises(NotInMemory, match="the stage"):
        await (await memory.aggregate([{"$group": {"_id": "$a"}}])).to_list()
