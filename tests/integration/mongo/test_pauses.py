"""The stored pauses of sending, on a real mongod."""

import pytest

from recovery.domain.pauses import EVERYTHING
from recovery.domain.pseudonyms import Pseudonyms
from recovery.engine.writes import RecipientQuery
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.collections import PAUSES
from recovery.mongo.pauses import KeptPause, Pauses
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report, state

QUERY = RecipientQuery(written_since=NOON - minutes(60), imminent_until=NOON, orders=True)
SHOP = "shop.example"


@pytest.fixture
def pauses(database):
    return Pauses(database)


async def paused(database, *checkouts):
    """Return the pauses that a claim of these checkouts finds."""
    addresses = MongoAddresses(database, Suppressions(database, Pseudonyms([])))
    found = await addresses.histories(checkouts, QUERY)
    return {id_: history.paused for id_, history in found.items()}


async def test_a_pause_says_since_when_by_whom_and_why(pauses):
    """That of all sending comes first."""
    await pauses.pause(SHOP, "ada", "wrong prices", NOON)
    await pauses.pause(None, "ben", "", NOON + minutes(1))
    assert await pauses.all() == [
        KeptPause(None, NOON + minutes(1), "ben", ""),
        KeptPause(SHOP, NOON, "ada", "wrong prices"),
    ]
    assert await pauses.names() == {EVERYTHING, SHOP}


async def test_what_is_paused_twice_is_resumed_once(pauses):
    """A second pause has the last reason, and the first time; whether there was one is said."""
    await pauses.pause(SHOP, "ada", "wrong prices", NOON)
    await pauses.pause(SHOP, "ben", "still wrong", NOON + minutes(1))
    assert await pauses.all() == [KeptPause(SHOP, NOON, "ben", "still wrong")]
    assert await pauses.resume(None) is False
    assert await pauses.resume(SHOP) is True
    assert await pauses.resume(SHOP) is False
    assert await pauses.all() == []


@pytest.mark.parametrize("shop", ["", "*", "a/b"])
async def test_a_name_that_is_no_shop_s_is_refused(pauses, shop):
    """So nobody pauses all sending by a name."""
    with pytest.raises(ValueError, match="not the name of a shop"):
        await pauses.pause(shop, "ada", "", NOON)
    assert await pauses.all() == []


async def test_a_claim_finds_the_pause_of_its_shop_or_of_all(database, pauses):
    """Each claim asks, also for a checkout without an address; another shop's pause is none of its business."""
    nobody = state("2", facts=report("2").facts() | {"customer": None})
    other = state("3").model_copy(update={"id": "other.example/3"})
    assert await paused(database, state(), nobody, other) == {}
    await pauses.pause(SHOP, "ada", "", NOON)
    assert await paused(database, state(), nobody, other) == {"shop.example/1": SHOP, "shop.example/2": SHOP}
    assert await paused(database, other) == {}
    await pauses.pause(None, "ada", "", NOON)
    assert set((await paused(database, state(), other)).values()) == {EVERYTHING}


async def test_a_pause_that_was_made_by_hand_counts(database, pauses):
    """In an emergency somebody inserts a document with an `_id` alone."""
    await database[PAUSES].insert_one({"_id": "*"})
    assert await pauses.all() == [KeptPause(None, None)]
    assert await paused(database, state()) == {"shop.example/1": EVERYTHING}


async def test_a_text_without_end_is_cut(pauses):
    """A reason is a sentence, and no place to keep things."""
    await pauses.pause(None, "b" * 1000, "r" * 10_000, NOON)
    (kept,) = await pauses.all()
    assert (len(kept.by), len(kept.reason)) == (100, 500)
