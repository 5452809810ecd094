"""The definition of each document against what is stored, on a real mongod."""

import time
from collections import Counter
from datetime import timedelta

import pytest
from bson.decimal128 import Decimal128
from pymongo.errors import WriteError

from recovery import Consent, Customer, Item, Order, Recovery
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.share import Ability, Share
from recovery.domain.activity import Entry, Fate, Lateness, ShopHour
from recovery.domain.channels import Answer, Heard
from recovery.domain.edits import Edit
from recovery.domain.experiments import Assignment
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.rate import Rate
from recovery.domain.state import Cause, Message
from recovery.domain.suppression import SuppressionReason
from recovery.domain.warmup import Warmup
from recovery.engine.receivers import Count, Slowed
from recovery.engine.writes import DeadLetter, Plan
from recovery.mongo import collections
from recovery.mongo.activity import Activity
from recovery.mongo.allowances import MongoAllowance
from recovery.mongo.channels import Channels
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import COLLECTIONS
from recovery.mongo.daemons import Daemons
from recovery.mongo.data_requests import DataRequests
from recovery.mongo.dead_letters import DeadLetters, Filter
from recovery.mongo.pauses import Pauses
from recovery.mongo.positions import Positions
from recovery.mongo.queues import ALL
from recovery.mongo.receivers import MongoReceivers
from recovery.mongo.results import MongoResults
from recovery.mongo.results_pipelines import AMOUNTS, COUNTS
from recovery.mongo.returns import Returns
from recovery.mongo.selections import Selections
from recovery.mongo.suppressions import Suppressions
from recovery.mongo.warmups import MongoWarmupRecords
from recovery.mongo.words import EditedWords
from tests.support.builders import NOON, minutes, report
from tests.support.field_names import paths, stored
from tests.support.stores import bury

LAMP = {
    "variant": "red",
    "url": "https://shop.example/lamp",
    "image_url": "https://shop.example/lamp.png",
    "sku": "L-1",
}
PARTS = {
    "discount": "2.00",
    "discount_code": "SPRING",
    "shipping": "1.00",
    "tax": "1.00",
    "order_url": "https://shop.example/orders/1",
    "metadata": {"gift": "yes"},
}
SAID = Consent(basis="opt-in", at=NOON, source="box")


class Seen:
    """The fields of all documents of a database, collected whenever it is looked at."""

    def __init__(self, database):
        self.database = database
        self.of = {name: set() for name in COLLECTIONS}
        self.wrong = set()

    async def look(self):
        for name, collection in COLLECTIONS.items():
            async for document in self.database[name].find():
                for path, kind, field in stored(document, collection.fields):
                    self.of[name].add(path)
                    if field is None or kind not in field.types.split():
                        self.wrong.add((name, path, kind))


async def _one(id_):
    yield id_


async def tell(database):
    """Report a checkout with all that a report may have."""
    recovery = Recovery(database.client, database=database.name)
    checkout = report(
        customer=Customer(email="ada@example.com", name="Ada"),
        items=(Item(name="Lamp", price="12.50", quantity=2, **LAMP),),
        locale="de",
        time_zone="Europe/Berlin",
        consent=SAID,
        **PARTS,
    )
    await recovery.checkout(checkout, aliases=["17"], cart="c1")
    return recovery


async def test_what_is_stored_is_what_is_defined(engine_world, database):
    """Each stored field is defined with its type, and each that is defined is stored by somebody."""
    seen = Seen(database)
    recovery = await tell(database)
    await seen.look()

    (kept,), _ = await engine_world.checkouts.load(["shop.example/1"])
    engine_world.clock.time = due = kept.touched_at + minutes(30)
    engine_world.relay.before = lambda _: seen.look()
    await engine_world.engine.look([kept.id], "due")
    await engine_world.quiet()
    await seen.look()

    (kept,), _ = await engine_world.checkouts.load([kept.id])
    every = {"due_at": due, "retry_at": due, "replayed_at": due, "deferred_to": due, "sent_at": due}
    texts = {"reason": "r", "message_id": "<m@shop.example>", "reply": "250 ok", "coupon": "TEN"}
    full = Message(attempts=1, ambiguous=1, handed_over=True, **every, **texts)
    arms = Assignment((("quiet-12345678", "reminded"),), due)
    await engine_world.checkouts.plan([Plan(kept, kept.status, due, None, {"reminder-2": full}, (), assigned=arms)])
    await Returns(database).record(kept.id, "reminder-1")
    await MongoResults(database, timedelta(days=5), timedelta(days=30)).count(due)
    letter = DeadLetter(kept.id, "reminder-2", Cause.ATTEMPTS, "450 busy", NOON, 3, "ada@example.com")
    await bury(database, [letter])
    letters = DeadLetters(database)
    await letters.replay(await letters.find(Filter()), NOON)
    await recovery.order(Order(shop="shop.example", order_id="1"))
    await recovery.checkout(report("2"))
    assert (await recovery.touch("shop.example", ["2"]), await recovery.pause("shop.example", ["2"])) == (1, 1)

    await recovery.suppress("ada@example.com")
    suppressions, pseudonyms = Suppressions(database, Pseudonyms([])), Pseudonyms([])
    await suppressions.bounced(pseudonyms.of("ben@example.com"), "report 1", NOON)
    await suppressions.add("cai@example.com", SuppressionReason.SOFT_BOUNCES, source="import")
    await recovery.request_data("shop.example", "42", "ada@example.com", orders=["1"])
    await seen.look()
    await DataRequests(database).done("shop.example/42")
    await Positions(database, "me").save("gone", {"_data": "82"}, NOON)
    ability = Ability(frozenset({"a.example"}), frozenset({"b.example"}), expires=False)
    times = {"interval": timedelta(seconds=1), "expiry": timedelta(seconds=9)}
    beating = Heartbeat(
        Daemons(database),
        Share("me"),
        lambda: None,
        MongoClock(database, time.monotonic),
        ability=lambda: ability,
        **times,
    )
    await beating.beat()
    await beating.beat()  # a fault counts from the second beat on
    warmup = Warmup(NOON.date(), 50, 1.5, 50_000, 0.003)
    allowance = MongoAllowance(database, "relay.example:25", [Rate(1, timedelta(hours=1))], warmup)
    await seen.look()
    await allowance.take(1, limit=50)
    await MongoWarmupRecords(database, "relay.example:25", warmup, ALL).halt(NOON.date())
    await allowance.take(1)
    slowed = Slowed("google", 2.0, NOON, "421 4.7.28 gsmtp", 4.0, NOON, capped=True)
    await MongoReceivers(database).add("relay.example:25", {("google", Count.ACCEPTED): 1}, [slowed])
    heard = [Heard("shop.example", "shopify", Answer.IGNORED, 1, "nothing follows")]
    await Selections(database).keep(_one("shop.example/1"), "olga", NOON)
    await Channels(database).add(heard)
    late = {"reminder-1": Lateness(Counter({0.5: 1}))}
    shop_hour = ShopHour(Counter({("reminder-1", Fate.SENT, ""): 1}), late)
    await Activity(database).put("me", [Entry(NOON, "shop.example", shop_hour)])
    await Pauses(database).pause("shop.example", "ada", "wrong prices", NOON)
    await EditedWords(database).save(Edit("*", "", ((("", "foot"), "Bye"),)), "olga", NOON, after=0)
    await seen.look()

    assert seen.wrong == set()
    never = {name: {*paths(each.fields)} - seen.of[name] for name, each in COLLECTIONS.items()}
    assert {name: paths for name, paths in never.items() if paths} == {"checkouts": {"schema"}}


OLD = {
    "checkouts": {
        "_id": "shop.example/1",
        "status": "open",
        "facts": report().facts(),
        "opened_at": NOON,
        "touched_at": NOON,
        "revision": 1,
        "next_at": NOON,
    },
    "shadows": {"_id": "shop.example/1", "expire_at": NOON},
    "dead_letters": {"_id": "shop.example/1#", "checkout": "shop.example/1", "step": None, "cause": "x", "at": NOON},
    "positions": {"_id": "me/gone", "token": {"_data": "82"}, "saved_at": NOON},
    "daemons": {"_id": "me", "beat_at": NOON},
    "allowances": {"_id": "relay.example:25", "at": NOON},
    "pauses": {"_id": "*"},
    "words": {"_id": "*//1", "of": "*/", "version": 1, "by": "olga", "at": NOON, "words": []},
    "activity": {"_id": "2126-03-05T12/me/shop.example", "at": NOON},
    "selections": {"_id": "0f/000000", "by": "olga", "at": NOON, "ids": ["shop.example/1"]},
    "channels": {"_id": "shop.example/api", "shop": "shop.example", "channel": "api", "at": NOON},
    "receivers": {"_id": "relay.example:25 google", "relay": "relay.example:25", "receiver": "google", "at": NOON},
    "results": {
        "_id": {"day": NOON, "shop": "shop.example"},
        **dict.fromkeys(COUNTS, 0),
        **dict.fromkeys(AMOUNTS, Decimal128("0")),
        "at": NOON,
    },
    "data_requests": {"_id": "shop.example/42", "asked_at": NOON},
    "suppressions": {"_id": f"/{'0' * 32}", "reason": "manual", "at": NOON},
}
"""The least that an older version stores."""


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
async def test_an_older_version_may_write_beside_this_one(database, name):
    """The validator accepts documents with the fields that older versions wrote, and with unknown ones."""
    await database[name].insert_one({**OLD[name], "mood": "fine"})
    await database[name].update_one({"_id": OLD[name]["_id"]}, {"$set": {"temper": 1}})


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
async def test_a_field_of_another_type_is_refused(database, name):
    """A wrong type in a required field, or its absence, is refused: TTL would never delete such a document."""
    for field in {name for name, each in COLLECTIONS[name].fields.items() if each.required} - {"_id"}:
        without = {key: value for key, value in OLD[name].items() if key != field}
        for bad in (without, without | {field: [1]}):
            with pytest.raises(WriteError):
                await database[name].insert_one(bad)


async def test_a_claim_of_another_type_is_refused(database):
    """The validator knows the fields that only the daemon writes."""
    for bad in ({"claim": "mine"}, {"consent": True}, {"history": {}}, {"written_at": "noon"}, {"known_as": [1]}):
        with pytest.raises(WriteError):
            await database["checkouts"].insert_one({**OLD["checkouts"], **bad})


async def test_documents_under_the_validators_of_the_last_version_live_on(database):
    """A document that only the validator before this one accepts can still be changed: level moderate."""
    await database.command({"collMod": "checkouts", "validator": {"$jsonSchema": {"title": "recovery 2"}}})
    await database["checkouts"].insert_one({**OLD["checkouts"], "confirm": "no"})
    assert await collections.ensure(database) == ["renewed the validator of checkouts"]
    changed = await database["checkouts"].update_one({"_id": "shop.example/1"}, {"$set": {"next_at": None}})
    assert changed.modified_count == 1
