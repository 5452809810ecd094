"""Courses of kept checkouts on a real mongod: whose belong together, and which are left out."""

from datetime import timedelta

import pytest

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import KeptConsent, Message, Pause
from recovery.domain.suppression import SuppressionReason
from recovery.errors import Refused
from recovery.mongo.collections import BY_ADDRESS, CHECKOUTS
from recovery.mongo.courses import CANCELLED, DAMAGED, DEAD, ORDER, Which, courses, query
from recovery.mongo.marks import marks_of
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import NOON, minutes, report, state

DAY = timedelta(days=1)


def document(order_id, *, shop="shop.example", email="ada@example.com", messages=None, **changes):
    """Return a checkout as it is stored, opened at noon."""
    changes = {"opened_at": NOON, "touched_at": NOON} | changes
    kept = state(order_id, id=f"{shop}/{order_id}", messages=messages or {}, **changes)
    marks = {"settled": marks} if (marks := marks_of(kept.messages)) else {}
    facts = report(customer={"email": email}).facts() if email else {}
    found = kept.model_dump(by_alias=True, exclude_none=True) | {"facts": facts, "shop": shop} | marks
    return found | ({"address": email} if email else {})


@pytest.fixture
def suppressions(database):
    return Suppressions(database, Pseudonyms(["not-a-secret"]))


@pytest.fixture
def read(database, suppressions):
    async def read(*documents, **which):
        if documents:
            await database[CHECKOUTS].insert_many(documents)
        which = {"since": NOON - DAY, "until": NOON + DAY} | which
        return [each async for each in courses(database, suppressions, Which(**which))]

    return read


def groups(batches):
    """Return the ids of the courses of each group, by shop."""
    return [(shop, [each.id for each in group]) for batch in batches for shop, group in batch.groups]


async def test_checkouts_of_one_person_at_one_shop_come_together(read):
    """However many are read at a time; who has no address is nobody else."""
    batches = await read(
        *(document(f"a{number}") for number in range(3)),
        *(document(f"b{number}", email="bea@example.com") for number in range(2)),
        *(document(f"n{number}", email=None, status="ordered", ordered_at=NOON) for number in range(2)),
        document("a9", shop="lamps.example"),
        batch=1,
    )
    assert sorted(groups(batches)) == [
        ("lamps.example", ["lamps.example/a9"]),
        ("shop.example", ["shop.example/a0", "shop.example/a1", "shop.example/a2"]),
        ("shop.example", ["shop.example/b0", "shop.example/b1"]),
        ("shop.example", ["shop.example/n0"]),
        ("shop.example", ["shop.example/n1"]),
    ]
    assert sum(batch.count for batch in batches) == 8


async def test_shop_and_time_narrow_what_is_read(read):
    """By the time at which a checkout was opened: `until` itself is not included."""
    batches = await read(
        document("old", opened_at=NOON - 2 * DAY),
        document("first", opened_at=NOON - DAY),
        document("late", opened_at=NOON + DAY),
        document("other", shop="shop.example2"),
        shop="shop.example",
    )
    assert groups(batches) == [("shop.example", ["shop.example/first"])]


async def test_a_course_has_what_is_known(read, suppressions):
    """Activity in the cart, order, consent, pause, zone and suppression; items only where they matter."""
    await suppressions.add(
        "ada@example.com", SuppressionReason.UNSUBSCRIBED, shop="shop.example", source="link", at=NOON
    )
    consent = KeptConsent(given=True, basis="a box", at=NOON, source="checkout")
    ordered = document("1", status="ordered", ordered_at=NOON + minutes(9), active_at=NOON + minutes(5), confirm=False)
    paused = document("2", paused=Pause(at=NOON + minutes(1), reason="paid"), consent=consent, email="bea@example.com")
    paused["facts"]["time_zone"] = "Europe/Berlin"
    batches = await read(ordered, paused)
    [one], [two] = [group for batch in batches for _, group in batch.groups]
    assert (one.left_at, one.ordered_at, one.confirm) == (NOON + minutes(5), NOON + minutes(9), False)
    assert one.suppression.reason is SuppressionReason.UNSUBSCRIBED
    assert (two.consent, two.paused.reason, two.facts.time_zone) == (consent, "paid", "Europe/Berlin")
    assert two.suppression is None
    assert two.facts.customer.email == "bea@example.com"
    assert two.facts.items == ()
    [[_, with_items]] = [[group[0] for _, group in batch.groups] for batch in await read(items=True)]
    assert [each.name for each in with_items.facts.items] == ["Lamp"]


async def test_what_cannot_be_simulated_is_left_out_and_counted(read):
    """Cancelled checkouts, those with a dead letter, and what cannot be read."""
    damaged = document("damaged")
    damaged["touched_at"] = "noon"
    batches = await read(
        document("fine", messages={"reminder-1": Message(state="sent"), "reminder-2": Message(state="skipped")}),
        document("cancelled", status="cancelled"),
        document("dead", messages={"reminder-1": Message(state="dead", reason="dead address")}),
        {**document("newer"), "schema": 99},
    )
    assert groups(batches) == [("shop.example", ["shop.example/fine"])]
    assert batches[0].left_out == {CANCELLED: 1, DEAD: 1, DAMAGED: 1}


async def test_an_index_serves_the_reading_and_its_lack_is_told(database, read):
    """No sort in memory, and no document is read that does not match."""
    await read(document("1"), document("2", opened_at=NOON - 9 * DAY))
    find = {
        "find": CHECKOUTS,
        "filter": query(Which(NOON - DAY, NOON + DAY, "shop.example")),
        "sort": dict(ORDER),
        "hint": BY_ADDRESS,
    }
    told = await database.command("explain", find, verbosity="executionStats")
    assert "SORT" not in str(told["queryPlanner"]["winningPlan"])
    assert told["executionStats"]["totalDocsExamined"] == 1
    await database[CHECKOUTS].drop_index(BY_ADDRESS)
    with pytest.raises(Refused, match="recovery init"):
        await read()
