"""`recovery deliverability` on a real MongoDB."""

import asyncio
import json
from datetime import UTC, datetime

from pymongo import AsyncMongoClient

from recovery.engine.receivers import Count, Slowed
from recovery.mongo.receivers import MongoReceivers

RELAY = "relay.example:25"
SLOWED = Slowed("google", 3.0, datetime(2026, 3, 5, 14, 5, tzinfo=UTC), "421 4.7.28 an unusual rate - gsmtp")


def stored(mongodb, database_name, *args):
    async def store():
        async with AsyncMongoClient(mongodb) as client:
            await MongoReceivers(client[database_name]).add(RELAY, *args)

    asyncio.run(store())


def test_nothing_to_tell_is_said(call, at):
    assert call("deliverability", **at) == (0, "No mail was sent within the last day.\n", "")
    code, out, _ = call("deliverability", "--json")
    assert (code, json.loads(out)) == (0, [])


def test_what_was_said_and_who_is_slowed(call, at, mongodb, database_name):
    stored(mongodb, database_name, {("google", Count.ACCEPTED): 23, ("google", Count.DEFERRED): 2}, [SLOWED])
    code, out, complaint = call("deliverability", **at)
    assert (code, complaint) == (0, "")
    assert "92 %" in out
    assert "google: slowed since 2026-03-05 14:05 UTC to 3/s: 421 4.7.28" in out
    (row,) = json.loads(call("deliverability", "--json")[1])
    assert (row["receiver"], row["sent"], row["accepted_percent"]) == ("google", 25, 92.0)
    assert row["slowed"] == {"since": "2026-03-05T14:05:00Z", "rate": 3.0, "reply": SLOWED.reply}
