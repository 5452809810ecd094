"""The ingestion API on a real MongoDB, with every client that a service may use."""

import asyncio
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta

import mongomock
import pytest
from bson.datetime_ms import DatetimeMS
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient

from recovery import Consent, Customer, Damaged, Item, Order, Recovery, RecoveryError, SyncRecovery, Unavailable
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Status
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report
from tests.support.commands import Commands

LONG_AGO = datetime(2020, 3, 5, 12, tzinfo=UTC)
ORDER = Order(shop="shop.example", order_id="1")


class Awaited:
    """A synchronous client with an asynchronous interface, so that one suite covers both."""

    def __init__(self, recovery):
        self._recovery = recovery

    def __getattr__(self, name):
        async def call(*args, **options):
            return await asyncio.to_thread(getattr(self._recovery, name), *args, **options)

        return call


@pytest.fixture(params=["uri", "pymongo", "motor", "sync uri", "sync pymongo"])
async def recovery(request, mongodb, database_name, database):
    """The API, opened in each possible way."""
    match request.param:
        case "uri":
            async with Recovery(mongodb, database=database_name) as api:
                yield api
        case "pymongo":
            async with Recovery(database.client, database=database_name) as api:
                yield api
        case "motor":
            with closing(AsyncIOMotorClient(mongodb)) as client:
                yield Recovery(client, database=database_name)
        case "sync uri":
            with SyncRecovery(mongodb, database=database_name) as api:
                yield Awaited(api)
        case "sync pymongo":
            with MongoClient(mongodb) as client:
                yield Awaited(SyncRecovery(client, database=database_name))


async def get(recovery, order_id="1"):
    return await recovery.get("shop.example", order_id)


async def test_a_checkout_is_kept_as_reported(recovery):
    """A reported checkout reads back as open and due for a look now."""
    await recovery.checkout(report(locale="de"))
    kept = await get(recovery)
    assert (kept.id, kept.status, kept.revision) == ("shop.example/1", Status.OPEN, 1)
    assert kept.facts.customer == Customer(email="ada@example.com", name="Ada")
    assert kept.facts.items == (Item(name="Lamp", price="12.50", quantity=2),)
    assert (str(kept.facts.total), kept.facts.currency, kept.facts.locale) == ("25.00", "EUR", "de")
    assert kept.opened_at == kept.touched_at == kept.next_at


async def test_the_same_report_twice_changes_nothing(recovery):
    """Reports are idempotent: a repeated one leaves the document unchanged."""
    await recovery.checkout(report())
    before = await get(recovery)
    await recovery.checkout(report())
    assert await get(recovery) == before


async def test_an_address_is_suppressed_and_no_more(recovery, database):
    """A service suppresses an address for a shop or for all, and lifts it again; calls without effect return False."""
    list_ = Suppressions(database, Pseudonyms([]))
    assert await recovery.suppress("Ada@example.com", shop="shop.example")
    assert not await recovery.suppress("ada@example.com", shop="shop.example")
    assert await recovery.suppress("ben@example.com")
    asked = [(shop, email) for shop in ("shop.example", "other") for email in ("ada@example.com", "ben@example.com")]
    found = await list_.of(asked)
    assert set(found) == {asked[0], asked[1], asked[3]}
    assert {each.reason for each in found.values()} == {SuppressionReason.SHOP}
    assert not await recovery.unsuppress("ada@example.com")
    assert await recovery.unsuppress("ada@example.com", shop="shop.example")
    assert await recovery.unsuppress("ben@example.com")
    assert await list_.of(asked) == {}
    with pytest.raises(ValueError, match="invalid e-mail address or shop: value is not a valid email"):
        await recovery.suppress("nobody")
    with pytest.raises(ValueError, match="invalid e-mail address or shop"):
        await recovery.unsuppress("ada@example.com", shop="a/b")


async def test_a_person_is_exported_and_erased(recovery):
    """With each client: a person's data is exported, then erased, and the receipt lists it."""
    await recovery.checkout(report())
    assert [each["_id"] for each in (await recovery.export("ADA@example.com"))["checkouts"]] == ["shop.example/1"]
    assert (await recovery.erase("ada@example.com")).checkouts == ("shop.example/1",)
    assert await get(recovery) is None


@pytest.mark.parametrize("api", [Recovery, SyncRecovery])
async def test_suppressions_are_by_the_keys_of_the_daemon(mongodb, database, database_name, api):
    """A service with the daemon's keys writes suppressions that the daemon finds."""
    keys = ["a key of the suppressions"]
    recovery = api(mongodb, database=database_name, suppression_keys=keys)
    if api is SyncRecovery:
        recovery = Awaited(recovery)
    await recovery.suppress("ada@example.com")
    assert await Suppressions(database, Pseudonyms(keys)).of([("shop.example", "ada@example.com")])
    assert not await Suppressions(database, Pseudonyms([])).of([("shop.example", "ada@example.com")])
    await recovery.close()


async def test_a_changed_report_updates_and_moves_the_timer(recovery):
    """New facts replace the old ones and touched_at moves; opened_at stays."""
    await recovery.checkout(report())
    before = await get(recovery)
    await recovery.checkout(report(items=(Item(name="Bulb", price="3"),)))
    after = await get(recovery)
    assert after.facts.items[0].name == "Bulb"
    assert after.touched_at > before.touched_at
    assert (after.opened_at, after.revision) == (before.opened_at, before.revision + 1)


async def test_reports_may_arrive_in_any_order(recovery):
    """With reported times, the newest facts win, in whatever order they arrive."""
    newer = report(total="30", touched_at=LONG_AGO + minutes(2))
    older = report(total="20", touched_at=LONG_AGO + minutes(1))
    for each in (older, newer, older):
        await recovery.checkout(each)
    kept = await get(recovery)
    assert (str(kept.facts.total), kept.touched_at, kept.revision) == ("30", LONG_AGO + minutes(2), 2)


async def test_a_later_touch_moves_the_timer_of_the_same_facts(recovery):
    """The same items with a later reported time move touched_at."""
    await recovery.checkout(report(touched_at=LONG_AGO + minutes(1)))
    await recovery.checkout(report(touched_at=LONG_AGO + minutes(2)))
    assert (await get(recovery)).touched_at == LONG_AGO + minutes(2)


async def test_a_fact_cannot_lie_in_the_future(recovery):
    """A caller whose clock is ahead gets the server's time."""
    await recovery.checkout(report(touched_at=NOON + timedelta(days=36500)))
    kept = await get(recovery)
    assert kept.touched_at == kept.next_at < NOON + timedelta(days=3650)


async def test_a_cart_is_a_name_also_without_aliases(recovery):
    """With two checkouts of one cart, the order of one ends the other."""
    for order_id in "12":
        await recovery.checkout(report(order_id), cart="a cart")
    await recovery.order(Order(shop=report().shop, order_id="2"), cart="a cart")
    assert [(await get(recovery, order_id)).status for order_id in "12"] == ["ordered", "ordered"]


async def test_the_latest_word_on_consent_counts_whatever_report_brings_it(recovery):
    """Consent has its own time: an old report may bring the latest consent, and a new one may bring none."""

    def consent(minute, *, given=True):
        at = datetime(2026, 3, 5, 12, minute, tzinfo=UTC)
        return Consent(given=given, basis="opt-in", at=at, source="the checkout's $box")

    await recovery.checkout(report(consent=consent(2)))
    await recovery.checkout(report(consent=consent(3, given=False), touched_at="2026-03-01T00:00:00Z"))
    await recovery.checkout(report(consent=consent(1)))
    await recovery.checkout(report(total="30.00"))
    kept = await get(recovery)
    assert (kept.consent.given, kept.consent.at) == (False, consent(3).at)
    assert kept.consent.source == "the checkout's $box"
    await recovery.checkout(report(total="30.00", consent=consent(4)))
    assert (await get(recovery)).consent.given


async def test_a_withdrawal_wins_over_consent_of_the_same_moment(recovery):
    """With consent and withdrawal at the same moment, the withdrawal wins, in either order."""
    at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    words = {given: Consent(given=given, basis="opt-in", at=at, source="box") for given in (True, False)}
    for order_id, order in (("1", (True, False, True)), ("2", (False, True))):
        for given in order:
            await recovery.checkout(report(order_id, consent=words[given]))
        assert not (await get(recovery, order_id)).consent.given


async def test_a_withdrawal_of_consent_is_looked_at_at_once(recovery):
    """A withdrawal of consent with known facts changes the revision, so that no claim can miss it."""
    at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    await recovery.checkout(report(touched_at=at, consent=Consent(basis="opt-in", at=at, source="box")))
    before = await get(recovery)
    await recovery.checkout(report(touched_at=at, consent=Consent(given=False, basis="opt-in", at=at, source="box")))
    assert (await get(recovery)).revision > before.revision


async def test_an_order_after_the_checkout_wins(recovery):
    """An ordered checkout keeps its facts and does not reopen."""
    await recovery.checkout(report())
    await recovery.order(ORDER)
    await recovery.checkout(report(total="99"))
    kept = await get(recovery)
    assert (kept.status, str(kept.facts.total)) == (Status.ORDERED, "25.00")


async def test_an_order_before_the_checkout_wins_and_learns_who_ordered(recovery):
    """The order is kept as a tombstone; the late checkout only adds the customer."""
    await recovery.order(ORDER)
    assert (await get(recovery)).facts.customer is None
    await recovery.checkout(report())
    kept = await get(recovery)
    assert (kept.status, kept.facts.customer.email) == (Status.ORDERED, "ada@example.com")


async def test_an_order_says_what_was_ordered(recovery):
    """Facts of the order replace those of the checkout; the rest stays."""
    await recovery.checkout(report())
    await recovery.order(Order(shop="shop.example", order_id="1", total="20", ordered_at=LONG_AGO + minutes(5)))
    kept = await get(recovery)
    assert (str(kept.facts.total), kept.facts.items[0].name) == ("20", "Lamp")
    assert kept.ordered_at == LONG_AGO + minutes(5)


async def test_an_order_twice_changes_nothing(recovery):
    """A repeated order report changes neither time nor revision."""
    await recovery.order(ORDER)
    before = await get(recovery)
    await recovery.order(ORDER)
    assert await get(recovery) == before


async def test_a_cancelled_checkout_stays_cancelled_but_can_be_ordered(recovery):
    """A late report does not undo a cancellation; an order does."""
    await recovery.checkout(report())
    assert await recovery.cancel("shop.example", "1") is True
    await recovery.checkout(report(total="99"))
    assert (await get(recovery)).status is Status.CANCELLED
    await recovery.order(ORDER)
    assert await recovery.cancel("shop.example", "1") is True
    assert (await get(recovery)).status is Status.ORDERED


async def test_what_is_unknown_cannot_be_cancelled(recovery):
    """Cancelling an unknown checkout returns False and stores nothing."""
    assert await recovery.cancel("shop.example", "unknown") is False
    assert await get(recovery, "unknown") is None


async def test_whatever_the_order_of_calls_an_order_wins(mongodb, database_name, database):
    """Concurrent checkouts, changes and orders of the same id always end as ordered."""
    async with Recovery(database.client, database=database_name) as recovery:
        calls = []
        for number in range(100):
            key = str(number)
            calls += [
                recovery.checkout(report(key)),
                recovery.checkout(report(key, total="30")),
                recovery.order(Order(shop="shop.example", order_id=key)),
            ]
        random.Random(2).shuffle(calls)
        await asyncio.gather(*calls)
        assert {(await get(recovery, str(number))).status for number in range(100)} == {Status.ORDERED}


async def test_each_call_is_one_write_kept_by_the_majority_and_journaled(mongodb, database_name, database):
    """A report is a single update of one document on the wire, with the strongest write concern."""
    commands = Commands(lambda name, command: command if name == "update" else None)
    async with (
        AsyncMongoClient(mongodb, event_listeners=[commands]) as client,
        Recovery(client, database=database_name) as recovery,
    ):
        await recovery.checkout(report())
        await recovery.order(ORDER)
        await recovery.cancel("shop.example", "1")
    assert len(commands.noted) == 3
    for update in commands.noted:
        assert len(update["updates"]) == 1
        assert update["writeConcern"]["w"] == "majority"
        assert update["writeConcern"]["j"] is True


async def test_a_database_that_is_away_is_said_to_be():
    """A call to an unreachable server fails with an error that says to call again."""
    client = AsyncMongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=50)
    async with client, Recovery(client) as recovery:
        with pytest.raises(Unavailable, match="call again later"):
            await recovery.checkout(report())
        for call in (recovery.suppress, recovery.unsuppress):
            with pytest.raises(Unavailable):
                await call("ada@example.com")
        with pytest.raises(Unavailable):
            await recovery.get("shop.example", "1")


@pytest.mark.parametrize("address", ["127.0.0.1:27017/x", "mongodb://:::", "http://shop.example"])
def test_a_wrong_address_is_said_to_be_one(address):
    """An invalid MongoDB URI is rejected at once, with our own message."""
    with pytest.raises(RecoveryError, match="invalid MongoDB URI"):
        SyncRecovery(address)


@pytest.mark.parametrize("password", ["hun/ter2", "hun?ter2", "hun@ter2", "hun:ter2", "hun%zzter2"])
def test_a_password_that_is_not_escaped_is_not_told(password):
    """The message says what to do, and contains no part of the password."""
    with pytest.raises(RecoveryError, match="must be escaped: write %2F for /") as caught:
        SyncRecovery(f"mongodb://shop:{password}@db.example/recovery")
    assert "ter2" not in str(caught.value)


async def test_the_synchronous_twin_refuses_an_asynchronous_client(database):
    """An asynchronous client is rejected when it is passed, not when it is used."""
    with pytest.raises(RecoveryError, match="for an asyncio client, use Recovery"):
        SyncRecovery(database.client)


async def test_a_damaged_document_is_named(database, database_name):
    """A checkout that was edited by hand into something invalid gives an error that names it and the field."""
    async with Recovery(database.client, database=database_name) as recovery:
        await recovery.checkout(report())
        await database[CHECKOUTS].update_one({}, {"$set": {"facts": {"total": "much"}}})
        with pytest.raises(Damaged, match=r"shop.example/1.*facts.total"):
            await recovery.get("shop.example", "1")
        await database[CHECKOUTS].update_one({}, {"$set": {"touched_at": DatetimeMS(10**15)}})
        with pytest.raises(Damaged, match=r"shop\.example/1 cannot be read"):
            await recovery.get("shop.example", "1")


def test_a_kept_document_reads_back_without_a_server():
    """`SyncRecovery` works with any client that has PyMongo's interface: here one in memory."""
    client = mongomock.MongoClient()
    document = {"_id": "s/1", "status": "open", "revision": 1, "opened_at": NOON, "touched_at": NOON}
    client["recovery"][CHECKOUTS].insert_one(document)
    assert SyncRecovery(client).get("s", "1").touched_at == NOON
