"""The history of addresses, on a real mongod."""

from datetime import timedelta

import pytest

from recovery import Customer, Item
from recovery.client import Recovery
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.recipient import Other
from recovery.domain.state import Claim
from recovery.domain.suppression import SuppressionReason
from recovery.engine.writes import RecipientQuery
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report, state

EVERYTHING = RecipientQuery(written_since=NOON - timedelta(hours=12), imminent_until=NOON + minutes(1), orders=True)
SUPPRESSIONS_ALONE = RecipientQuery(written_since=None, imminent_until=NOON + minutes(1), orders=False)


class AddressWorld:
    """A database and its `MongoAddresses`."""

    def __init__(self, database):
        self.kept = database[CHECKOUTS]
        self.suppressions = Suppressions(database, Pseudonyms(["a key"]))
        self.addresses = MongoAddresses(database, self.suppressions)
        self.recovery = Recovery(database.client, database=database.name)

    async def put(self, order_id, email="ada@example.com", shop="shop.example", **fields):
        customer = Customer(email=email)
        await self.recovery.checkout(report(order_id, shop=shop, customer=customer))
        resting = {"next_at": None} | fields
        await self.kept.update_one({"_id": f"{shop}/{order_id}"}, {"$set": resting})

    async def history(self, order_id="1", email="ada@example.com", query=EVERYTHING):
        asked = state(order_id, facts=report(customer=Customer(email=email)).facts())
        return (await self.addresses.histories([asked], query)).get(asked.id)


@pytest.fixture
def address_world(database):
    return AddressWorld(database)


async def test_of_an_address_with_one_checkout_nothing_is_known(address_world):
    """A checkout is not its own rival, whatever its state."""
    await address_world.put("1", written_at=NOON, next_at=NOON)
    assert await address_world.history() is None


async def test_what_another_checkout_was_sent_is_known_under_any_spelling(address_world):
    """Spelling in other case, or an IDN domain in its other form, is the same address."""
    await address_world.put("2", email="Ada@EXAMPLE.com", written_at=NOON - minutes(5))
    await address_world.put("3", email="ada@bücher.example", written_at=NOON - minutes(6))
    assert (await address_world.history()).others == [Other(written_at=NOON - minutes(5))]
    assert (await address_world.history(email="ADA@xn--bcher-kva.example")).others == [
        Other(written_at=NOON - minutes(6))
    ]


async def test_what_was_sent_before_the_gap_or_by_another_shop_does_not_matter(address_world):
    """Only mails of the same shop and of the last hours count."""
    await address_world.put("2", written_at=NOON - timedelta(hours=13))
    await address_world.put("3", shop="other.example", written_at=NOON)
    assert await address_world.history() is None


async def test_a_checkout_that_is_claimed_or_due_soon_is_a_rival(address_world):
    """Claimed and imminent rivals both require a second look; only a claim makes one step back."""
    await address_world.put("2", next_at=NOON + minutes(0.5))
    assert (await address_world.history()).others == [Other(imminent=True)]
    claim = Claim(token="t", owner="o", until=NOON + minutes(1)).model_dump()
    await address_world.kept.update_one({"_id": "shop.example/2"}, {"$set": {"claim": claim}})
    assert (await address_world.history()).others == [Other(claimed=True, imminent=True)]


async def test_a_claim_whose_lease_ends_later_than_ours_would_is_seen(address_world):
    """Another daemon may have decided later and claimed sooner."""
    claim = Claim(token="t", owner="o", until=NOON + minutes(2)).model_dump()
    await address_world.put("2", next_at=NOON + minutes(2), claim=claim)
    assert (await address_world.history()).others == [Other(claimed=True)]


async def test_what_was_ordered_under_another_checkout_is_told_with_its_lines(address_world):
    """The result has the order's time and items, which decide whether an item was bought."""
    await address_world.put("2", status="ordered", ordered_at=NOON)
    [other] = (await address_world.history()).others
    assert (other.ordered_at, other.bought) == (NOON, (Item(name="Lamp", price="12.50", quantity=2),))


async def test_a_suppression_of_the_shop_or_of_all_is_found(address_world):
    """Suppressions are in the same query, even if no other checkouts are asked for."""
    await address_world.suppressions.add(
        "ADA@example.com", SuppressionReason.UNSUBSCRIBED, shop="shop.example", source="link"
    )
    assert (await address_world.history(query=SUPPRESSIONS_ALONE)).suppression.reason is SuppressionReason.UNSUBSCRIBED
    assert await address_world.history(email="ben@example.com", query=SUPPRESSIONS_ALONE) is None


async def test_those_that_are_asked_about_together_are_rivals_too(address_world):
    """Within a batch, an order and a reminder of one person see each other, and none sees itself."""
    await address_world.put("1", status="ordered", ordered_at=NOON, written_at=NOON - minutes(5), next_at=NOON)
    await address_world.put("2", next_at=NOON)
    asked = [state(order_id, facts=report().facts()) for order_id in ("1", "2")]
    histories = await address_world.addresses.histories(asked, EVERYTHING)
    (order,) = histories["shop.example/2"].others
    assert (order.ordered_at, order.written_at) == (NOON, NOON - minutes(5))
    assert order.bought == report().items
    assert histories["shop.example/1"].others == [Other(imminent=True)]


async def test_an_address_that_the_relay_found_dead_is_suppressed_everywhere(address_world):
    """The next checkout of that address, at any shop, gets no mail."""
    await address_world.addresses.found_dead([(state(), "550 5.1.1 unknown")], NOON)
    history = await address_world.history(query=SUPPRESSIONS_ALONE)
    assert history.suppression.dead


async def test_a_document_changed_by_another_hand_spoils_no_answer(address_world):
    """Invalid items and times are ignored, and do not affect others."""
    await address_world.put("2", ordered_at=NOON, status="ordered")
    await address_world.kept.update_one(
        {"_id": "shop.example/2"},
        {"$set": {"facts.items": "junk", "written_at": "junk"}},
        bypass_document_validation=True,
    )
    assert (await address_world.history()).others == [Other(ordered_at=NOON)]


async def test_an_address_is_found_by_its_index(address_world):
    """The query reads only the checkouts of the given addresses."""
    for number in range(20):
        await address_world.put(str(number), email=f"person{number}@example.com")
    query = {
        "address": {"$in": ["person7@example.com"]},
        "$or": [{"written_at": {"$gt": NOON}}, {"next_at": {"$lte": NOON}}, {"claim.token": {"$exists": True}}],
    }
    plan = await address_world.kept.find(query).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1
