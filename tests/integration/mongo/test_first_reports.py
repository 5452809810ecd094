"""First reports by insert, on a real MongoDB: the same documents as by updates, and the same results for callers."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError, WriteError

from recovery import Consent, Order
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.first_reports import MOST_ERROR, FirstReports
from recovery.mongo.group_commit import GroupCommit
from recovery.mongo.intake import CheckoutWrite, order_write
from tests.support.builders import report
from tests.support.commands import Commands

PAST = datetime(2026, 3, 1, 12, tzinfo=UTC)

times = st.none() | st.integers(0, 3).map(lambda minute: PAST + timedelta(minutes=minute))
consents = st.none() | st.builds(
    Consent,
    given=st.sampled_from([True, False, None]),
    basis=st.just("soft opt-in"),
    at=times.filter(bool),
    source=st.sampled_from(["box", "till"]),
)
checkouts = st.builds(
    lambda number, total, touched_at, consent, known_as: (
        lambda ids: CheckoutWrite(report(ids[number], total=total, touched_at=touched_at, consent=consent), known_as)
    ),
    st.integers(0, 2),
    st.sampled_from(["25.00", "30.00"]),
    times,
    consents,
    st.sampled_from([(), ("cart", "alias", "alias"), ("Ä", "z", "😀", "Z")]),
)
orders = st.builds(
    lambda number, ordered_at, confirm: (
        lambda ids: order_write(
            Order(shop="shop.example", order_id=ids[number], ordered_at=ordered_at, confirm=confirm)
        )
    ),
    st.integers(0, 2),
    times,
    st.sampled_from([None, True, False]),
)
groups = st.lists(st.lists(checkouts | checkouts | orders, min_size=2, max_size=5), min_size=1, max_size=4)


def writes(name, command):
    """Note the writes of checkouts, as the command's name and its number of documents."""
    documents = {"insert": "documents", "update": "updates"}.get(name)
    return (name, len(command[documents])) if documents and command[name] == CHECKOUTS else None


@pytest.fixture
def commands():
    return Commands(writes)


@pytest.fixture
async def kept(mongodb, database, database_name, commands):
    """The collection, by a client whose commands are recorded."""
    async with AsyncMongoClient(mongodb, tz_aware=True, event_listeners=[commands]) as client:
        yield client[database_name].get_collection(
            CHECKOUTS, write_concern=database.write_concern, codec_options=database.codec_options
        )


@pytest.fixture
async def clock(database):
    clock = MongoClock(database, time.monotonic)
    await clock.measure()
    return clock


@pytest.fixture
def group(kept, clock):
    return GroupCommit(kept, FirstReports(clock))


def write(order_id, **changes):
    return CheckoutWrite(report(order_id, **changes))


async def fail(database, *, times, command="insert", **how):
    data = {"failCommands": [command], "namespace": f"{database.name}.{CHECKOUTS}"} | how
    await database.client.admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=data)


async def server_time(database):
    return (await database.command("hello"))["localTime"].replace(tzinfo=UTC)


def timeless(document, ids, begun, ended):
    """Return a document without its time of writing, once that is proven to be the server's within the bound."""

    def same(value):
        if isinstance(value, datetime) and value > PAST + timedelta(days=1):
            assert begun - timedelta(seconds=2 * MOST_ERROR) <= value <= ended
            return "now"
        if isinstance(value, dict):
            return [(key, same(each)) for key, each in value.items()]
        if isinstance(value, str):
            for number, id_ in enumerate(ids):
                value = value.replace(id_, str(number))
        return value

    return same(document)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=groups)
async def test_inserts_and_updates_make_the_same_documents(database, kept, clock, commands, groups):
    """Any sequence of reports gives the same documents by inserts and by updates alone, down to the order of fields."""
    found = []
    for firsts in (None, FirstReports(clock)):
        ids = [uuid4().hex for _ in range(3)]
        begun = await server_time(database)
        await clock.measure()
        writer = GroupCommit(kept, firsts)
        for each in groups:
            await asyncio.gather(*(writer.write(write(ids)) for write in each))
        ended = await server_time(database)
        stored = [await kept.find_one({"_id": f"shop.example/{id_}"}) for id_ in ids]
        found.append([timeless(each, ids, begun, ended) for each in stored])
    assert found[0] == found[1]


async def test_first_reports_of_a_group_are_one_insert(group, commands):
    """First reports share an insert, and repeats share an update at the same time."""
    await asyncio.gather(*(group.write(write(str(number))) for number in range(4)))
    await asyncio.gather(*(group.write(write(str(number), total="30.00")) for number in range(6)))
    assert sorted(commands.noted) == [("insert", 2), ("insert", 4), ("update", 4)]


async def test_a_checkout_that_another_process_reported_is_updated(kept, clock, group, commands):
    """An insert that finds its checkout stored becomes an update, and the others of its group stay inserts."""
    await GroupCommit(kept).write(write("1"))
    await asyncio.gather(group.write(write("1", total="30.00")), group.write(write("2")))
    assert commands.noted == [("update", 1), ("insert", 2), ("update", 1)]
    changed = await kept.find_one({"_id": "shop.example/1"})
    assert (changed["facts"]["total"], changed["revision"]) == ("30.00", 2)


async def test_two_reports_of_one_checkout_keep_their_order(kept, group):
    """Of two reports in one group the second wins, whether or not the checkout is stored already."""
    await GroupCommit(kept).write(write("1", total="1.00"))
    totals = [(order_id, total) for order_id in ("1", "2") for total in ("2.00", "3.00")]
    await asyncio.gather(*(group.write(write(order_id, total=total)) for order_id, total in totals))
    assert [each["facts"]["total"] async for each in kept.find().sort("_id")] == ["3.00", "3.00"]


async def test_a_report_whose_acknowledgement_was_lost_may_be_repeated(database, kept, group):
    """An insert that was made and not acknowledged is found by the repeat, which changes nothing."""
    lost = {"writeConcernError": {"code": 91, "errmsg": "shutting down"}}
    await fail(database, times=2, **lost)
    first = await asyncio.gather(*(group.write(write(each)) for each in "12"), return_exceptions=True)
    assert [isinstance(each, PyMongoError) for each in first] == [True, True]
    stored = await kept.find().sort("_id").to_list()
    assert len(stored) == 2
    await asyncio.gather(*(group.write(write(each)) for each in "12"))
    assert await kept.find().sort("_id").to_list() == stored


async def test_a_primary_that_steps_down_in_an_insert_costs_no_report(database, kept, group):
    """The driver repeats an insert whose connection broke, once for all of the group."""
    await fail(database, times=1, closeConnection=True)
    await asyncio.gather(*(group.write(write(each)) for each in "123"))
    assert [each["revision"] async for each in kept.find()] == [1, 1, 1]


async def test_a_report_that_the_server_refuses_fails_alone(group, kept):
    """A document that the validator refuses is an error of its caller alone."""

    class Refused(CheckoutWrite):
        def document(self, now):
            return super().document(now) | {"status": "unheard of"}

    writes = [write("1"), Refused(report("2")), write("3")]
    first, refused, third = await asyncio.gather(*map(group.write, writes), return_exceptions=True)
    assert (first, third) == (None, None)
    assert isinstance(refused, WriteError)
    assert await kept.count_documents({}) == 2


async def test_a_document_that_the_driver_refuses_is_found_by_the_updates(group, kept):
    """If a document cannot be encoded, the group's reports are updates."""

    class Refused(CheckoutWrite):
        def document(self, now):
            return super().document(now) | {"status": object()}

    await asyncio.gather(*map(group.write, [write("1"), Refused(report("2"))]))
    assert await kept.count_documents({}) == 2


async def test_a_lone_report_is_an_update(group, commands):
    """A report by itself is an update: little would be saved, and its time is the server's own."""
    await group.write(write("1"))
    assert commands.noted == [("update", 1)]
