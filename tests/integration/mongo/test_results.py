"""The sums of what reminders bring, on a real mongod, against a recount of the documents."""

import asyncio
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from types import SimpleNamespace

import pytest

from recovery import Recovery
from recovery.domain.results import Cell, Sums
from recovery.errors import Unavailable
from recovery.mongo.collections import CHECKOUTS, RESULTS
from recovery.mongo.results import MongoResults, ResultsReader
from recovery.mongo.returns import Returns
from tests.support.paths import ROOT

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
WINDOW, RETENTION = timedelta(days=5), timedelta(days=30)
QUIET = "quiet-12345678"


def ago(days=0.0, minutes=0.0):
    return NOW - timedelta(days=days, minutes=minutes)


def stored(number, *, shop="a", sent=(), ordered_at=None, total="10.00", **changes):
    """A checkout as it is stored: `sent` are the times of its reminders, in order."""
    messages = {f"reminder-{n}": {"state": "sent", "sent_at": at, "attempts": 1} for n, at in enumerate(sent, 1)}
    document = {
        "_id": f"{shop}/{number}",
        "shop": shop,
        "status": "open" if ordered_at is None else "ordered",
        "facts": {"total": total, "currency": "EUR", "locale": "de-DE"},
        "opened_at": ago(20),
        "touched_at": ago(20),
        "revision": 1,
        "messages": messages,
        "address": f"p{number}@example.com",
    }
    if sent:
        document["written_at"] = max(sent)
    if ordered_at is not None:
        document["ordered_at"] = ordered_at
    return document | changes


def counter(database, **changes):
    return MongoResults(database, WINDOW, RETENTION, **changes)


async def cells_of(database):
    """The sums of all days, without those that are zero."""
    found = await ResultsReader(database).cells(ago(40).date(), NOW.date() + timedelta(days=1))
    return [cell for cell in found if cell.sums != Sums()]


async def counted(database, *documents, **changes):
    await database[CHECKOUTS].insert_many(documents)
    await counter(database, **changes).count(NOW)
    return await cells_of(database)


async def test_an_order_counts_for_the_last_mail_before_it(database):
    """Of two mails the second has the order and its money; the checkout is counted with the first."""
    first, second = sorted(await counted(database, stored(1, sent=[ago(2), ago(1)], ordered_at=ago(0.5))), key=day_of)
    assert (first.step, first.day, first.language, first.currency) == ("reminder-1", ago(2).date(), "de", "EUR")
    assert first.sums == Sums(mails=1, checkouts=1)
    assert second.sums == Sums(mails=1, ordered=1, money=Decimal("10.00"), squares=Decimal("100.0000"))


def day_of(cell):
    return cell.day


@pytest.mark.parametrize(
    ("after", "orders"),
    [
        (timedelta(seconds=59), 0),
        (timedelta(minutes=1), 1),
        (WINDOW, 1),
        (WINDOW + timedelta(milliseconds=1), 0),
        (timedelta(minutes=-5), 0),
    ],
    ids=["under way before", "a minute", "the last moment", "too late", "before the mail"],
)
async def test_the_window_of_an_order(database, after, orders):
    """It begins a minute after the mail, since who orders sooner was about to."""
    (cell,) = await counted(database, stored(1, sent=[ago(5.5)], ordered_at=ago(5.5) + after))
    assert cell.sums.ordered == orders


async def test_who_came_back_counts_for_the_mail_that_brought_them(database):
    """Both ways back are counted, and the order for the last before it."""
    back = {"returned": {"reminder-1": ago(1.9), "reminder-2": ago(0.9)}}
    cells = await counted(
        database,
        stored(1, sent=[ago(2), ago(1)], ordered_at=ago(0.5), **back),
        stored(2, sent=[ago(2)], returned={"reminder-1": ago(1.9)}),
    )
    sums = {cell.step: cell.sums for cell in cells}
    assert (sums["reminder-1"].returned, sums["reminder-1"].returned_orders) == (2, 0)
    assert (sums["reminder-2"].returned, sums["reminder-2"].returned_orders) == (1, 1)
    assert sums["reminder-2"].returned_money == 10


async def test_arms_have_the_same_window(database):
    """It begins when the first reminder was due, whether one was sent or not."""
    held = {"experiments": {QUIET: "held out"}, "assigned_at": ago(2)}
    reminded = {"experiments": {QUIET: "reminded"}, "assigned_at": ago(2)}
    cells = await counted(
        database,
        stored(1, ordered_at=ago(1), **held),
        stored(2, **held),
        stored(3, sent=[ago(2)], ordered_at=ago(1), total="4", **reminded),
        stored(4, ordered_at=ago(2.1), **reminded),
    )
    sums = {cell.arm: cell.sums for cell in cells if cell.experiment}
    amounts = {"money": Decimal(10), "squares": Decimal(100)}
    assert sums["held out"] == Sums(checkouts=2, ordered=1, open=1, **amounts)
    assert sums["reminded"] == Sums(checkouts=2, ordered=1, money=Decimal(4), squares=Decimal(16))


async def test_test_recipients_do_not_count(database):
    """Neither an address of the shop's own nor a domain."""
    documents = [
        stored(1, sent=[ago(1)]),
        stored(2, sent=[ago(1)], address="me@shop.example"),
        stored(3, sent=[ago(1)], address="any@own.example"),
        stored(4, sent=[ago(1)], address="any@now-own.example"),
    ]
    (cell,) = await counted(database, *documents, left_out=["me@shop.example", "@own.example"])
    assert cell.sums.mails == 2


async def test_a_damaged_document_fails_no_count(database):
    """What somebody wrote by hand counts as absent, and the others count."""
    damaged = [
        {"messages": [1, 2]},
        {"messages": {"reminder-1": 3, "reminder-2": {"sent_at": "soon"}}},
        {"facts": {"total": "NaN", "currency": 5, "locale": {"x": 1}}, "status": "ordered", "ordered_at": ago(0.5)},
        {"facts": {"total": "much"}, "status": "ordered", "ordered_at": "later", "returned": "yes"},
        {"experiments": "all", "assigned_at": ago(1)},
        {"experiments": {QUIET: 7}, "assigned_at": ago(1)},
        {"shop": 5},
    ]
    documents = [stored(number, sent=[ago(1)]) | each for number, each in enumerate(damaged)]
    await database[CHECKOUTS].insert_many(documents, bypass_document_validation=True)
    cells = await counted(database, stored(99, sent=[ago(1)]))
    assert sum(cell.sums.mails for cell in cells) == 5
    assert sum(cell.sums.money for cell in cells) == 0


async def test_sums_outlive_their_checkouts(database):
    """A day that is over keeps its sums when its checkouts are purged; one that can still change loses what is gone."""
    await counted(database, stored(1, sent=[ago(20)]), stored(2, sent=[ago(1)]))
    assert {cell.day for cell in await cells_of(database)} == {ago(20).date(), ago(1).date()}
    await database[CHECKOUTS].delete_many({})
    await counter(database).count(NOW)
    assert [cell.day for cell in await cells_of(database)] == [ago(20).date()]


async def test_a_first_count_that_was_broken_off_begins_again(database, monkeypatch):
    """The first count goes back as far as anything is kept: half of it is none."""
    await database[CHECKOUTS].insert_one(
        stored(1, sent=[ago(20)], experiments={QUIET: "reminded"}, assigned_at=ago(20))
    )

    async def killed(*_):
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr("recovery.mongo.results.ARMS", SimpleNamespace(run=killed))
        with pytest.raises(Unavailable):
            await counter(database).count(NOW)
    await counter(database).count(NOW)
    assert len(await cells_of(database)) == 2


async def test_a_changed_language_leaves_no_sum_behind(database):
    """A report that changes what a mail is counted under moves it; nothing is counted twice."""
    await counted(database, stored(1, sent=[ago(1)]))
    await database[CHECKOUTS].update_one({}, {"$set": {"facts.locale": "fr_FR"}})
    await counter(database).count(NOW)
    (cell,) = await cells_of(database)
    assert (cell.language, cell.sums.mails) == ("fr", 1)


async def test_nobody_is_in_the_sums(database):
    """They hold counts and money, and no address, name or order."""
    await counted(database, stored("order-7", sent=[ago(1)], ordered_at=ago(0.5)))
    text = str(await database[RESULTS].find().to_list())
    assert "order-7" not in text
    assert "example.com" not in text


async def test_a_way_back_is_recorded_once_and_is_no_report(database):
    """The first time for each step, by the database's clock; the revision stays as it is."""
    await database[CHECKOUTS].insert_one(stored(1, sent=[ago(1)]))
    before = await database[CHECKOUTS].find_one({})
    returns = Returns(database)
    await returns.record("a/1", "reminder-1")
    first = (await database[CHECKOUTS].find_one({}))["returned"]
    await returns.record("a/1", "reminder-1")
    await returns.record("a/none", "reminder-1")
    after = await database[CHECKOUTS].find_one({})
    assert after == before | {"returned": first}
    assert list(first) == ["reminder-1"]
    assert await database[CHECKOUTS].count_documents({}) == 1


# Whatever happens to a count, the sums are those of the documents.


def drawn(random, number, oldest=25):
    """A checkout with any number of mails, ways back and arms, and perhaps an order."""
    begun = ago(random.uniform(0.2, oldest))
    sent = [begun + timedelta(hours=random.uniform(0, 5) + 7 * n) for n in range(random.randint(0, 3))]
    sent = [at.replace(microsecond=0) for at in sent if at < NOW]
    ordered_at = (begun + timedelta(hours=random.uniform(0, 200))).replace(microsecond=0)
    changes = {}
    if random.random() < 0.5:
        arm = random.choice(["held out", "reminded"])
        changes = {"experiments": {QUIET: arm}, "assigned_at": begun.replace(microsecond=0)}
    if sent and random.random() < 0.4:
        came = random.choice(range(len(sent)))
        changes["returned"] = {f"reminder-{came + 1}": sent[came] + timedelta(hours=random.randint(0, 150))}
    facts = {"total": f"{random.randint(0, 9999)}.{random.randint(10, 99)}", "currency": random.choice(["EUR", "USD"])}
    facts |= random.choice([{}, {"locale": "de"}, {"locale": "en-GB"}])
    shop = random.choice("ab")
    bought = ordered_at if ordered_at < NOW and random.random() < 0.4 else None
    return stored(number, shop=shop, sent=sent, ordered_at=bought, **changes) | {"facts": facts}


def recounted(documents):
    """The sums, counted in Python."""
    found = defaultdict(Counter)
    for each in documents:
        facts, bought = each["facts"], each.get("ordered_at")
        where = (each["shop"], facts["currency"], facts.get("locale", "")[:2])
        total = Decimal(facts["total"])
        sent = {step: message["sent_at"] for step, message in each["messages"].items()}
        back = each.get("returned", {})
        before = [at for at in sent.values() if bought and at <= bought]
        brought = max((at for at in back.values() if bought and at <= bought), default=None)
        for step, at in sent.items():
            cell = found[at.date(), *where, step, "", ""]
            ordered = bool(before) and at == max(before) and timedelta(minutes=1) <= bought - at <= WINDOW
            came = step in back and back[step] - at <= WINDOW
            led = came and brought == back[step] and bought - brought <= WINDOW
            cell += Counter(mails=1, checkouts=at == min(sent.values()), returned=came, returned_orders=led)
            cell += Counter(ordered=ordered, money=total * ordered, squares=total**2 * ordered)
            cell += Counter(returned_money=total * led)
        for experiment, arm in each.get("experiments", {}).items():
            at = each["assigned_at"]
            cell = found[at.date(), *where, "", experiment, arm]
            ordered = bool(bought) and timedelta() <= bought - at <= WINDOW
            first = min(back.values(), default=None)
            came = first is not None and timedelta() <= first - at <= WINDOW
            led = bool(came and bought and timedelta() <= bought - first <= WINDOW)
            cell += Counter(checkouts=1, returned=came, returned_orders=led, ordered=ordered)
            cell += Counter(money=total * ordered, squares=total**2 * ordered, returned_money=total * led)
    return {key: {name: value for name, value in cell.items() if value} for key, cell in found.items()}


def keyed(cells):
    """The same of stored sums, without what is still open: that depends on the server's clock."""
    return {
        (cell.day, cell.shop, cell.currency, cell.language, cell.step, cell.experiment, cell.arm): {
            name: value for name in Sums.__dataclass_fields__ if name != "open" and (value := getattr(cell.sums, name))
        }
        for cell in cells
    }


@pytest.fixture
async def shop(database):
    """A database with 600 drawn checkouts."""
    random = Random(15)
    documents = [drawn(random, number) for number in range(600)]
    await database[CHECKOUTS].insert_many(documents)
    return database, documents


async def test_the_sums_are_those_of_the_documents(shop):
    """Counted by the server and in Python, each cell is the same."""
    database, documents = shop
    await counter(database).count(NOW)
    assert keyed(await cells_of(database)) == recounted(documents)


async def test_a_doubled_count_changes_nothing(shop):
    """Five at once, as of daemons that all think they are to count."""
    database, documents = shop
    await asyncio.gather(*(counter(database).count(NOW) for _ in range(5)))
    assert keyed(await cells_of(database)) == recounted(documents)


COUNTING = """
import asyncio, sys
from datetime import datetime, timedelta
from recovery.mongo.connection import connect
from recovery.mongo.collections import OPTIONS
from recovery.mongo.results import MongoResults

async def main(uri, name, now):
    async with connect(uri) as client:
        results = MongoResults(client.get_database(name, **OPTIONS), timedelta(days=5), timedelta(days=30))
        print("ready", flush=True)
        while True:
            await results.count(datetime.fromisoformat(now))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_twenty_times_the_sums_are_those_of_the_documents(shop, mongodb):
    """A process that counts is killed at any moment, while orders arrive; the next count makes it whole."""
    database, documents = shop
    random = Random(9)
    for number in range(20):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COUNTING, mongodb, database.name, NOW.isoformat(),
            stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        await process.stdout.readline()
        late = drawn(random, f"late-{number}", oldest=4)
        await database[CHECKOUTS].insert_one(late)
        documents.append(late)
        await asyncio.sleep(random.uniform(0, 0.2))
        process.kill()
        await process.wait()
    await counter(database).count(NOW)
    assert keyed(await cells_of(database)) == recounted(documents)


def test_a_cell_is_what_is_compared():
    """The comparison sees a difference in any count."""
    cell = Cell(NOW.date(), "a", "EUR", Sums(mails=1))
    assert keyed([cell]) != keyed([Cell(NOW.date(), "a", "EUR", Sums(mails=2))])


async def test_a_shop_that_is_erased_leaves_no_sums(database):
    """Its name is all that they have of it."""
    await counted(database, stored(1, sent=[ago(20)]), stored(2, sent=[ago(20)], shop="b"))
    await Recovery(database.client, database=database.name).erase_shop("a")
    await counter(database).count(NOW)
    assert {cell.shop for cell in await cells_of(database)} == {"b"}
