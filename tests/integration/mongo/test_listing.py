"""Lists of checkouts on a real mongod: every filter by its index, and pages that hold while documents change."""

from datetime import timedelta

import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, MongoClient

from recovery import Order, Recovery, SyncRecovery
from recovery.domain.state import Cause, Message, MessageState, Status
from recovery.engine.writes import DeadLetter
from recovery.mongo import collections, listing
from recovery.mongo.collections import BY_ADDRESS, BY_MARK, BY_STATUS, CHECKOUTS
from recovery.mongo.dead_letters import DeadLetters, Filter
from recovery.mongo.listing import LISTED, BadFilter, Filters
from recovery.mongo.marks import marks_of
from tests.support.builders import NOON, minutes, report, state
from tests.support.commands import Commands
from tests.support.stores import bury

LATE = "too late to be of use"
SENT, SKIPPED, DEAD = Message(state="sent"), Message(state="skipped", reason=LATE), Message(state="dead", reason="lost")


def document(order_id, *, shop="shop.example", email="ada@example.com", at=0, messages=None, **changes):
    """Return a checkout as it is stored that was opened `at` minutes after noon."""
    kept = state(
        str(order_id), id=f"{shop}/{order_id}", opened_at=NOON + minutes(at), messages=messages or {}, **changes
    )
    found = kept.model_dump(by_alias=True, exclude_none=True)
    marks = {"settled": marks} if (marks := marks_of(kept.messages)) else {}
    return found | {"facts": report().facts(), "shop": shop, "address": email} | marks


class World:
    """A database with checkouts of three shops, and the API on it."""

    def __init__(self, database):
        self.checkouts = database[CHECKOUTS]
        self.database = database
        self.recovery = Recovery(database.client, database=database.name)

    async def fill(self):
        """Insert checkouts of each kind, ten at each minute."""
        kinds = [
            {"status": "open"},
            {"status": "open", "messages": {"reminder-1": SENT}},
            {"status": "finished", "messages": {"reminder-1": SENT, "reminder-2": SKIPPED}},
            {"status": "ordered", "messages": {"reminder-1": DEAD}},
            {"status": "cancelled", "messages": {"reminder-1": Message(state="waiting", attempts=1)}},
        ]
        made = [
            document(
                number, shop=shop, email=f"customer{number % 50}@example.com", at=number // 10, **kinds[number % 5]
            )
            for shop in ("a.example", "b.example", "shop.example")
            for number in range(400)
        ]
        await self.checkouts.insert_many(made)
        return made

    async def explained(self, filters, ranges=None, limit=51):
        """Return the stages of the plan for a page, and what it cost."""
        ranges = ranges or list(listing._ranges(filters, None))
        options = LISTED["codec_options"]
        find = {
            "find": CHECKOUTS,
            "filter": filters.query() | ranges[-1],
            "sort": dict(listing._order(ranges[-1])),
            "limit": limit,
            "hint": filters.index,
        }
        told = await self.database.command("explain", find, verbosity="executionStats", codec_options=options)
        return set(stages(told["queryPlanner"]["winningPlan"])), told["executionStats"]

    async def ids(self, **filters):
        """Return the ids of all pages."""
        return [id_ async for id_ in self.pages(**filters)]

    async def pages(self, **filters):
        page = await self.recovery.list(**filters)
        while True:
            for each in page.checkouts:
                yield each.id
            if page.next is None:
                return
            page = await self.recovery.list(**filters, after=page.next)


def stages(plan):
    yield plan["stage"]
    for below in [*plan.get("inputStages", ()), *filter(None, [plan.get("inputStage")])]:
        yield from stages(below)


@pytest.fixture
def listed(database):
    return World(database)


A = ("a.example",)
ALLOWED = [
    Filters(A),
    Filters(("a.example", "b.example")),
    Filters(tuple(f"{letter}{number}.example" for letter in "abcde" for number in range(10))[:49] + A),
    Filters(A, status=Status.OPEN),
    Filters(("a.example", "b.example"), status=Status.ORDERED),
    Filters(A, since=NOON + minutes(10), until=NOON + minutes(20)),
    Filters(A, status=Status.FINISHED, until=NOON + minutes(20)),
    Filters(A, step="reminder-1", state=MessageState.SENT),
    Filters(("a.example", "b.example"), step="reminder-1", state=MessageState.DEAD, reason="lost"),
    Filters(A, step="reminder-2", state=MessageState.SKIPPED, reason=LATE, since=NOON + minutes(10)),
    Filters(email="c2@example.com"),
    Filters(email="c2@example.com", until=NOON + minutes(20)),
    Filters(A, email="c2@example.com", status=Status.FINISHED, step="reminder-1", state=MessageState.SENT),
]


@pytest.mark.parametrize("filters", ALLOWED, ids=lambda each: str(each)[8:90])
async def test_every_filter_is_read_from_its_index(listed, filters):
    """No list reads the collection, or sorts; it examines about as many keys as it returns documents."""
    await listed.fill()
    for after in (None, listing.Position(listing._ms(NOON + minutes(30)), "a.example/300")):
        ranges = list(listing._ranges(filters, after))
        plan, cost = await listed.explained(filters, ranges)
        assert "IXSCAN" in plan
        assert not plan & {"COLLSCAN", "SORT"}
        ranges_read = max(len(filters.shops), 1) * len(Status)
        of_a_person = 24 if filters.email else 0  # all their checkouts, which are few, may be compared
        assert cost["totalKeysExamined"] <= 1.2 * cost["nReturned"] + 2 * ranges_read + of_a_person
        assert cost["totalDocsExamined"] <= cost["nReturned"] + ranges_read + of_a_person


async def test_the_rest_of_a_millisecond_costs_no_more_than_it_returns(listed):
    """Many checkouts of one moment, as an import leaves them, are not read again for each page."""
    await listed.checkouts.insert_many([document(f"{number:04}") for number in range(1000)])
    filters = Filters(("shop.example",))
    after = listing.Position(listing._ms(NOON), "shop.example/0500")
    rest, older = listing._ranges(filters, after)
    plan, cost = await listed.explained(filters, [rest])
    assert (cost["nReturned"], "SORT" in plan) == (51, False)
    assert cost["totalKeysExamined"] <= 51 + 2 * len(Status)
    assert (await listed.explained(filters, [older]))[1]["totalKeysExamined"] <= 2 * len(Status)
    assert await listed.ids(shop="shop.example") == [f"shop.example/{number:04}" for number in reversed(range(1000))]


@pytest.mark.parametrize("limit", [1, 7, 50, 500])
async def test_filters_find_what_matches_and_nothing_else(listed, limit):
    """Pages of any size have what a program would select, the newest first."""
    made = await listed.fill()
    newest_first = sorted(made, key=lambda each: (each["opened_at"], each["_id"]), reverse=True)

    def expected(matches):
        return [each["_id"] for each in newest_first if matches(each)]

    def is_in(each, step, state_):
        return each.get("messages", {}).get(step, {}).get("state") == state_

    asked = {"shop": "a.example", "limit": limit}
    if limit > 5:
        assert await listed.ids(**asked) == expected(lambda each: each["shop"] == "a.example")
    soon = {"since": NOON + minutes(10), "until": NOON + minutes(12)}
    assert await listed.ids(**asked, **soon) == expected(
        lambda each: each["shop"] == "a.example" and soon["since"] <= each["opened_at"] < soon["until"]
    )
    assert await listed.ids(**asked, **soon, status=Status.ORDERED) == expected(
        lambda each: (
            each["shop"] == "a.example"
            and soon["since"] <= each["opened_at"] < soon["until"]
            and each["status"] == "ordered"
        )
    )
    assert await listed.ids(**asked, **soon, step="reminder-2", state=MessageState.SKIPPED, reason=LATE) == expected(
        lambda each: (
            each["shop"] == "a.example"
            and soon["since"] <= each["opened_at"] < soon["until"]
            and is_in(each, "reminder-2", "skipped")
        )
    )
    assert await listed.ids(
        email="Customer4@example.com", step="reminder-1", state=MessageState.WAITING, limit=limit
    ) == (expected(lambda each: each["address"] == "customer4@example.com" and is_in(each, "reminder-1", "waiting")))
    assert await listed.ids(shop="a.example", step="reminder-2", state=MessageState.SKIPPED, reason="other") == []


CHANGES = st.lists(st.tuples(st.sampled_from(["new", "order", "delete", "older"]), st.integers(0, 39)), max_size=6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_there_all_the_time_comes_exactly_once(mongodb, database, database_name, data):
    """While others are reported, ordered and purged between the pages, what matches all the while comes once."""
    with MongoClient(mongodb, tz_aware=True) as client, SyncRecovery(client, database=database_name) as recovery:
        checkouts = client[database_name][CHECKOUTS]
        checkouts.delete_many({})
        times = data.draw(st.lists(st.integers(0, 5), min_size=40, max_size=40))
        checkouts.insert_many([document(f"{number:02}", at=at) for number, at in enumerate(times)])
        lasting = {f"shop.example/{number:02}" for number in range(40)}
        seen = []
        filters = data.draw(st.sampled_from([{"shop": "shop.example"}, {"email": "ada@example.com"}]))
        filters |= data.draw(st.sampled_from([{}, {"status": Status.OPEN}]))
        after, limit = None, data.draw(st.integers(1, 15))
        while True:
            page = recovery.list(**filters, limit=limit, after=after)
            seen += [each.id for each in page.checkouts]
            assert len(page.checkouts) <= limit
            if (after := page.next) is None:
                break
            for kind, number in data.draw(CHANGES):
                id_ = f"shop.example/{number:02}"
                if kind == "new":
                    recovery.checkout(report(f"new-{number}"))
                elif kind == "older":
                    checkouts.replace_one(
                        {"_id": f"{id_}-old"}, document(f"{number:02}-old", at=number % 6), upsert=True
                    )
                elif kind == "delete":
                    checkouts.delete_one({"_id": id_})
                    lasting.discard(id_)
                else:
                    recovery.order(Order(shop="shop.example", order_id=f"{number:02}"))
                    lasting -= {id_} if "status" in filters else set()
        assert sorted(id_ for id_ in seen if id_ in lasting) == sorted(lasting)


async def test_a_checkout_is_found_by_what_the_engine_did(engine_world, database):
    """A sent message and a skipped one are found by step, state and reason."""
    recovery = Recovery(database.client, database=database.name)
    await recovery.checkout(report())
    (kept,), _ = await engine_world.checkouts.load(["shop.example/1"])
    engine_world.clock.time = kept.touched_at + minutes(30)
    await engine_world.engine.look([kept.id], "due")
    await engine_world.quiet()
    engine_world.clock.time += timedelta(days=2)
    await engine_world.engine.look([kept.id], "due")
    await engine_world.quiet()
    for step, state_, reason in (("reminder-1", "sent", None), ("reminder-2", "skipped", LATE)):
        filters = {"step": step, "state": MessageState(state_), "reason": reason}
        page = await recovery.list(shop="shop.example", **filters)
        assert [each.id for each in page.checkouts] == ["shop.example/1"]
        (found,) = page.checkouts
        assert found.history == ()
    assert (await recovery.list(shop="shop.example", step="reminder-1", state=MessageState.DEAD)).checkouts == []


async def test_a_replayed_message_is_dead_no_more(listed, database):
    """A replay takes away the marks of its step, and leaves those of others."""
    kept = document("1", messages={"reminder-1": DEAD, "reminder-10": SENT})
    await listed.checkouts.insert_one(kept)
    dead = {"shop": "shop.example", "step": "reminder-1", "state": MessageState.DEAD}
    assert await listed.ids(**dead) == ["shop.example/1"]
    await bury(database, [DeadLetter("shop.example/1", "reminder-1", Cause.LOST, "lost", NOON, 1)])
    letters = DeadLetters(database)
    assert await letters.replay(await letters.find(Filter()), NOON) == 1
    assert await listed.ids(**dead) == []
    assert (await listed.checkouts.find_one())["settled"] == ["reminder-10 sent"]


async def test_a_checkout_that_cannot_be_read_is_named_and_holds_up_no_other(listed):
    """Damaged documents, and those of a newer version, are listed by their ids; a date beyond datetime is passed."""
    await listed.checkouts.insert_many([document(str(number), at=number) for number in range(3)])
    await listed.checkouts.update_one({"_id": "shop.example/1"}, {"$set": {"revision": 0}})
    await listed.checkouts.update_one({"_id": "shop.example/2"}, {"$set": {"schema": 99}})
    page = await listed.recovery.list(shop="shop.example")
    assert [each.id for each in page.checkouts] == ["shop.example/0"]
    assert page.unreadable == ["shop.example/2", "shop.example/1"]
    first = await listed.recovery.list(shop="shop.example", limit=1)
    assert (first.checkouts, first.unreadable) == ([], ["shop.example/2"])
    assert first.next is not None


@pytest.mark.parametrize(
    "filters", [{}, {"status": Status.OPEN}, {"shop": "a", "step": "a.b", "state": MessageState.SENT}, {"email": "x"}]
)
async def test_a_list_without_an_index_is_refused(listed, filters):
    """The API raises `ValueError` before it asks the database."""
    with pytest.raises(ValueError, match=r"needed|not the name|invalid"):
        await listed.recovery.list(**filters)


async def test_limits_and_cursors_are_checked(listed):
    """A limit out of range and a cursor that is none are refused."""
    for wrong in ({"limit": 0}, {"limit": 501}, {"after": "nope"}):
        with pytest.raises(BadFilter):
            await listed.recovery.list(shop="a", **wrong)


async def test_documents_of_former_versions_are_listed_by_shop(listed):
    """What has no marks yet is found by shop, status and address."""
    kept = document("1", messages={"reminder-1": SENT})
    del kept["settled"]
    await listed.checkouts.insert_one(kept)
    assert await listed.ids(shop="shop.example", status=Status.OPEN) == ["shop.example/1"]
    assert await listed.ids(email="ada@example.com", step="reminder-1", state=MessageState.SENT) == ["shop.example/1"]


async def test_a_page_ends_at_a_time_that_datetime_cannot_hold(listed):
    """A checkout that was opened in a year beyond 9999 is named, and the next page goes on behind it."""
    far = document("far") | {"opened_at": DatetimeMS(2**60)}
    await listed.checkouts.insert_many([document("1"), far])
    first = await listed.recovery.list(shop="shop.example", limit=1)
    assert (first.checkouts, first.unreadable) == ([], ["shop.example/far"])
    second = await listed.recovery.list(shop="shop.example", limit=1, after=first.next)
    assert ([each.id for each in second.checkouts], second.next) == (["shop.example/1"], None)


async def test_a_page_is_of_one_moment(mongodb, database):
    """Pages are read from a snapshot: no status changes between the ranges that are merged."""
    queries = Commands(lambda name, command: command.get("readConcern", {}) if name in ("aggregate", "find") else None)
    async with AsyncMongoClient(mongodb, event_listeners=[queries]) as client:
        await Recovery(client, database=database.name).list(shop="a.example")
    assert [each.get("level") for each in queries.noted] == ["snapshot"]


async def test_a_database_of_the_last_version_gets_the_indexes(database):
    """The index of addresses is replaced: the former one is dropped once the new one is there."""
    for name in (BY_STATUS, BY_MARK, BY_ADDRESS):
        await database[CHECKOUTS].drop_index(name)
    await database[CHECKOUTS].create_index("address", name="address")
    made = [f"made index checkouts.{name}" for name in (BY_STATUS, BY_MARK, BY_ADDRESS)]
    assert await collections.ensure(database) == [*made, "dropped index checkouts.address"]
    assert await collections.ensure(database) == []
