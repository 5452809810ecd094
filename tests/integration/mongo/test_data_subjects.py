"""Export and erasure of a person's data, on a real mongod."""

import json

import pytest

from recovery import Customer, Recovery
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Cause, Message, MessageState, Past
from recovery.domain.suppression import SuppressionReason
from recovery.engine.writes import DeadLetter, Plan
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, SHADOWS, SUPPRESSIONS
from recovery.mongo.shadows import MongoShadows
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report, state
from tests.support.stores import bury

ADA = "ada@example.com"
KEYS = ["a key of the suppressions"]


class PersonWorld:
    """A database in which Ada has data in every collection, and Ben as well."""

    def __init__(self, database):
        self.database = database
        self.recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
        self.suppressions = Suppressions(database, Pseudonyms(KEYS))

    async def settle(self):
        """Store the data."""
        ada, ben = Customer(email="Ada@Example.com", name="Ada Lovelace"), Customer(email="ben@example.com", name="Ben")
        await self.recovery.checkout(report("1", customer=ada))
        await self.recovery.checkout(report("2", customer=ada, shop="other.example"))
        await self.recovery.checkout(report("3", customer=ben))
        checkouts = MongoCheckouts(self.database)
        (seen,), _ = await checkouts.load(["shop.example/1"])
        sent = {"reminder-1": Message(state=MessageState.SENT, reply="250 ok for ada@example.com")}
        history = (Past(at=NOON, decision="sent reminder-1", reason="250 ok for ada@example.com"),)
        await checkouts.plan([Plan(seen, seen.status, NOON + minutes(9), None, sent, history)])
        await MongoShadows(self.database).set({f"shop.example/{number}": NOON for number in (1, 3)})
        letters = [
            DeadLetter("shop.example/1", "reminder-2", Cause.ATTEMPTS, "450 busy", NOON),
            DeadLetter(
                "shop.example/purged", "reminder-1", Cause.DEAD_ADDRESS, "550 <ADA@example.com> is no user", NOON
            ),
            DeadLetter("shop.example/3", "reminder-1", Cause.ATTEMPTS, "450 busy", NOON),
        ]
        await bury(self.database, letters)

    async def traces(self, word):
        """Return the collections in which a word still occurs, in any field."""
        return [
            (name, document["_id"])
            for name in await self.database.list_collection_names()
            async for document in self.database[name].find()
            if word in json.dumps(document, default=str).lower()
        ]


@pytest.fixture
async def person_world(database):
    person_world = PersonWorld(database)
    await person_world.settle()
    return person_world


async def test_nothing_of_an_erased_person_is_left_but_a_pseudonym(person_world):
    """After erasure no collection has the address or name; the receipt lists what was found; Ben's data stays."""
    assert {name for name, _ in await person_world.traces("ada")} == {CHECKOUTS, DEAD_LETTERS}
    bens = await person_world.traces("ben")
    receipt = await person_world.recovery.erase("ADA@example.com")
    assert set(receipt.checkouts) == {"shop.example/1", "other.example/2"}
    assert set(receipt.dead_letters) == {"shop.example/1#reminder-2", "shop.example/purged#reminder-1"}
    assert receipt.shadows == 1
    assert await person_world.traces("ada") == []
    assert await person_world.traces("ben") == bens
    assert await person_world.database[SHADOWS].count_documents({}) == 1
    assert await person_world.database[SUPPRESSIONS].count_documents({}) == 1


async def test_an_erased_person_is_not_written_to_when_reported_again(person_world):
    """The address stays suppressed after the erasure, for every shop that reports it."""
    await person_world.recovery.erase(ADA)
    found = await person_world.suppressions.of([("shop.example", ADA), ("other.example", ADA)])
    assert {each.reason for each in found.values()} == {SuppressionReason.ERASED}
    assert len(found) == 2


async def test_a_person_may_be_erased_at_one_shop_alone(person_world):
    """The other shop keeps its data, and may send mails."""
    receipt = await person_world.recovery.erase(ADA, shop="other.example")
    assert (receipt.checkouts, receipt.dead_letters) == (("other.example/2",), ())
    assert await person_world.recovery.get("shop.example", "1") is not None
    assert set(await person_world.suppressions.of([("shop.example", ADA), ("other.example", ADA)])) == {
        ("other.example", ADA)
    }


async def test_erasing_again_finds_nothing(person_world):
    """Erasure is idempotent, and the second receipt is empty."""
    await person_world.recovery.erase(ADA)
    receipt = await person_world.recovery.erase(ADA)
    assert (receipt.checkouts, receipt.dead_letters, receipt.shadows) == ((), (), 0)


async def test_an_export_tells_all_there_is(person_world):
    """The export has facts, messages, history, dead letters and suppressions, as values for JSON."""
    await person_world.recovery.suppress(ADA, shop="shop.example")
    found = json.loads(json.dumps(await person_world.recovery.export(ADA)))
    assert {each["_id"] for each in found["checkouts"]} == {"shop.example/1", "other.example/2"}
    [first] = [each for each in found["checkouts"] if each["_id"] == "shop.example/1"]
    assert first["facts"]["customer"] == {"email": "Ada@example.com", "name": "Ada Lovelace"}
    assert first["messages"]["reminder-1"]["state"] == "sent"
    assert first["history"][-1]["reason"] == "250 ok for ada@example.com"
    assert len(found["dead_letters"]) == 2
    assert [each["reason"] for each in found["suppressions"]] == ["shop"]
    assert "ben" not in json.dumps(found)


async def test_what_is_no_address_is_refused(person_world):
    """An address is not a pattern: only one person's data is ever found or erased."""
    for what in ("", "nobody", ".*@example.com, ben@example.com"):
        with pytest.raises(ValueError, match="invalid e-mail address"):
            await person_world.recovery.erase(what)
    await person_world.recovery.erase("a.a@example.com")
    assert await person_world.traces("ada") != []


async def test_what_was_on_its_way_when_a_person_was_erased_does_not_come_back(person_world, database):
    """A record or a report written between the passes is found by the next one."""
    assert state().facts.customer.email == ADA
    original = person_world.recovery._persons._checkouts.delete_many

    class Racing:
        """A collection into which a checkout is inserted during a deletion, once."""

        raced = False

        def __getattr__(self, name):
            return getattr(database[CHECKOUTS], name)

        async def delete_many(self, query):
            if not self.raced:
                self.raced = True
                await person_world.recovery.checkout(report("late", customer=Customer(email=ADA)))
            return await original(query)

    person_world.recovery._persons._checkouts = Racing()
    receipt = await person_world.recovery.erase(ADA)
    assert "shop.example/late" in receipt.checkouts
    assert await person_world.traces("ada") == []


async def test_another_s_address_that_ends_or_begins_alike_is_not_theirs(database):
    """Export and erasure match whole addresses, also in letters that have them only in a reply."""
    recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
    others = ("maria@x.example", "ria@x.example.org", "ria@x.example-shop.org", "m.ria@x.example", "o'ria@x.example")
    letters = [
        DeadLetter(f"shop.example/{number}", "reminder-1", Cause.DEAD_ADDRESS, f"550 <{address}>: unknown", NOON)
        for number, address in enumerate([*others, "RIA@x.example"])
    ]
    await bury(database, letters)
    theirs = f"shop.example/{len(others)}#reminder-1"
    assert [each["_id"] for each in (await recovery.export("ria@x.example"))["dead_letters"]] == [theirs]
    assert (await recovery.erase("ria@x.example")).dead_letters == (theirs,)
    assert await database[DEAD_LETTERS].count_documents({}) == len(others)


async def test_a_letter_is_found_by_whom_its_message_was_to(database):
    """If the checkout is purged and the relay's reply has no address, the letter's own address is used."""
    recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
    await bury(database, [DeadLetter("shop.example/9", "reminder-1", Cause.ATTEMPTS, "450 no", NOON, 5, ADA)])
    assert len((await recovery.export("ADA@Example.com"))["dead_letters"]) == 1
    assert (await recovery.erase(ADA)).dead_letters == ("shop.example/9#reminder-1",)


async def test_an_export_finds_suppressions_of_shops_whose_checkouts_are_gone(person_world):
    """An unsubscription is exported, even if it is all that is left at that shop."""
    await person_world.suppressions.add(ADA, SuppressionReason.UNSUBSCRIBED, shop="closed.example", source="link")
    await person_world.suppressions.add(
        "ben@example.com", SuppressionReason.UNSUBSCRIBED, shop="closed.example", source="link"
    )
    (found,) = (await person_world.recovery.export(ADA))["suppressions"]
    assert found["_id"].startswith("closed.example/")
    assert (await person_world.recovery.export(ADA, shop="shop.example"))["suppressions"] == []


async def test_an_erasure_leaves_no_words_of_a_report_with_the_suppression(person_world):
    """Ids of reports and replies stored by older versions are erased; a stronger reason stays."""
    reason = SuppressionReason.HARD_BOUNCE
    await person_world.suppressions.add(ADA, reason, source="5.1.1, report <bounce-ada@example.com>")
    await person_world.suppressions.bounced(Pseudonyms(KEYS).of(ADA), "<bounce-ada@example.com>")
    await person_world.suppressions.add(ADA, SuppressionReason.UNSUBSCRIBED, shop="shop.example", source="told by Ada")
    await person_world.suppressions.add("ben@example.com", reason, source="5.1.1")
    await person_world.recovery.erase(ADA)
    assert await person_world.traces("ada") == []
    kept = {
        each.reason: each.source
        async for each in person_world.suppressions.each()
        if each.pseudonym != _pseudonym_of_ben()
    }
    assert kept == {reason: "erased", SuppressionReason.UNSUBSCRIBED: "erased"}
    assert "5.1.1" in {each.source async for each in person_world.suppressions.each()}


def _pseudonym_of_ben():
    return Pseudonyms(KEYS).of("ben@example.com")


ALIKE = [("groß@example.com", "gross@example.com"), ("ſam@example.com", "sam@example.com")]


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *((other, one) for one, other in ALIKE)])
async def test_another_person_s_address_that_only_looks_alike_is_not_theirs(database, one, other):
    """Addresses that only case folding makes equal are two people: neither sees or erases the other's data."""
    recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
    for number, email in enumerate((one, other)):
        await recovery.checkout(report(str(number), customer=Customer(email=email)))
        await recovery.suppress(email, shop="shop.example")
        await bury(database, [DeadLetter(f"shop.example/{number}", "s", Cause.ATTEMPTS, f"550 <{email}>", NOON)])
    exported = await recovery.export(one)
    assert [len(exported[name]) for name in ("checkouts", "dead_letters", "suppressions")] == [1, 1, 1]
    receipt = await recovery.erase(one)
    assert (receipt.checkouts, receipt.dead_letters) == (("shop.example/0",), ("shop.example/0#s",))
    assert await recovery.get("shop.example", "1") is not None


async def test_what_an_older_version_kept_is_found_and_told_apart(database):
    """An older version stored `groß` as `gross`: the customer's address decides whose checkout it is."""
    recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
    for number, email in enumerate(("groß@example.com", "gross@example.com")):
        await recovery.checkout(report(str(number), customer=Customer(email=email)))
    await database[CHECKOUTS].update_many({}, {"$set": {"address": "gross@example.com"}})
    assert (await recovery.erase("gross@example.com")).checkouts == ("shop.example/1",)
    assert (await recovery.erase("GROß@example.com")).checkouts == ("shop.example/0",)


@pytest.mark.parametrize("written", ["ada@bücher.example", "ADA@XN--BCHER-KVA.example"])
async def test_a_letter_is_found_by_either_form_of_a_domain(database, written):
    """A reply has an internationalised domain in A-labels or in Unicode: both are found."""
    recovery = Recovery(database.client, database=database.name, suppression_keys=KEYS)
    for number, named in enumerate(("Ada@xn--bcher-kva.example", "ada@Bücher.example")):
        await bury(database, [DeadLetter(f"shop.example/{number}", "s", Cause.ATTEMPTS, f"550 <{named}> no", NOON)])
    assert len((await recovery.export(written))["dead_letters"]) == 2
    assert len((await recovery.erase(written)).dead_letters) == 2


@pytest.mark.parametrize("facts", [None, "text", {"customer": []}, {"customer": {"email": 5}}])
async def test_a_damaged_checkout_is_found_by_the_address_it_is_kept_by(person_world, facts):
    """An unreadable checkout may have personal data too: it is exported, and erased."""
    await person_world.database[CHECKOUTS].update_one(
        {"_id": "shop.example/1"}, {"$set": {"facts": facts}}, bypass_document_validation=True
    )
    assert len((await person_world.recovery.export(ADA))["checkouts"]) == 2
    assert "shop.example/1" in (await person_world.recovery.erase(ADA)).checkouts


async def test_a_letter_that_is_written_after_an_erasure_names_nobody(person_world, database):
    """A message in flight may die after the erasure: its letter is taken back with the checkout."""
    checkouts = MongoCheckouts(database)
    (seen,), _ = await checkouts.load(["shop.example/1"])
    await person_world.recovery.erase(ADA)
    dead = Message(state=MessageState.DEAD, reason=Cause.ATTEMPTS, attempts=5)
    letter = DeadLetter("shop.example/1", "reminder-2", Cause.ATTEMPTS, "450 no", NOON, 5, ADA)
    await checkouts.plan([Plan(seen, seen.status, None, None, {"reminder-2": dead}, (), (letter,))])
    assert await person_world.traces("ada") == []
