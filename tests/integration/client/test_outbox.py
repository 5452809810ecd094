"""The outbox of the ingestion API, with a real mongod and real processes that are killed and restarted."""

import asyncio
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from recovery import Consent, Kept, Order, Recovery, RecoveryError, Refused, SyncRecovery, Unavailable
from recovery.client.couriers import IDLE, LATEST, pause
from recovery.client.journal import Journal
from recovery.client.outbox import Fault, together
from recovery.client.reports import CancelReport, CheckoutReport, OrderReport
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Status
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.suppressions import Suppressions
from recovery.testing.mongod import find_mongod, free_port
from tests.support.builders import report
from tests.support.paths import ROOT

SHOP = "shop.example"
NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50"
ORDER = Order(shop=SHOP, order_id="1")


class Server:
    """A mongod on its own port that can be killed and restarted with its data."""

    def __init__(self, folder):
        self._port = free_port()
        self._folder = folder
        self._process = None
        self.uri = f"mongodb://127.0.0.1:{self._port}/?replicaSet=rs0"

    def start(self):
        where = ("--dbpath", self._folder, "--port", str(self._port), "--bind_ip", "127.0.0.1", "--replSet", "rs0")
        small = ("--logpath", self._folder / "log", "--logappend", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25")
        self._process = subprocess.Popen(
            [find_mongod(), *where, *small, "--oplogSize", "64"], stdout=subprocess.DEVNULL
        )
        member = {"_id": 0, "host": f"127.0.0.1:{self._port}"}
        with MongoClient("127.0.0.1", self._port, directConnection=True, serverSelectionTimeoutMS=30_000) as node:
            with suppress(PyMongoError):
                node.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            while not node.admin.command("hello")["isWritablePrimary"]:
                pass

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def server(tmp_path):
    """A mongod that is not running yet."""
    folder = tmp_path / "data"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.kill()


@pytest.fixture
def path(tmp_path):
    """The path of the outbox."""
    return tmp_path / "outbox"


async def delivered(recovery, within=30):
    """Wait until the outbox is empty."""
    async with asyncio.timeout(within):
        while await recovery.waiting():
            await asyncio.sleep(0.02)


def set_aside(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT what, fault FROM set_aside").fetchall()


async def test_what_is_reported_while_the_database_is_away_is_delivered_later_in_order(server, path):
    """The database dies and comes back: it has the checkout and its order; callers know where each was stored."""
    server.start()
    async with Recovery(server.uri, outbox=path, timeout=1) as recovery:
        assert await recovery.checkout(report("0")) is Kept.DATABASE
        server.kill()
        assert await recovery.checkout(report("1")) is Kept.OUTBOX
        assert await recovery.order(ORDER) is Kept.OUTBOX
        assert await recovery.cancel(SHOP, "0") is None
        assert await recovery.waiting() == 3
        await asyncio.to_thread(server.start)
        await delivered(recovery)
        assert (await recovery.get(SHOP, "1")).status is Status.ORDERED
        assert str((await recovery.get(SHOP, "1")).facts.total) == "25.00"
        assert (await recovery.get(SHOP, "0")).status is Status.CANCELLED
        assert await recovery.cancel(SHOP, "1") is True


async def test_the_synchronous_twin_delivers_later_as_well(server, path):
    """`SyncRecovery` delivers from its own thread."""
    with SyncRecovery(server.uri, outbox=path, timeout=0.5) as recovery:
        assert recovery.checkout(report("1")) is Kept.OUTBOX
        assert recovery.order(ORDER) is Kept.OUTBOX
        server.start()
        async with asyncio.timeout(30):
            while recovery.waiting():
                await asyncio.sleep(0.02)
        assert recovery.get(SHOP, "1", timeout=10).status is Status.ORDERED


REPORTER = """
import sys
from recovery import Kept, SyncRecovery
from tests.support.builders import report
path, name = sys.argv[1:]
recovery = SyncRecovery({nowhere!r}, outbox=path)
for number in range(10**6):
    assert recovery.checkout(report(f"{{name}}-{{number}}")) is Kept.OUTBOX
    print(f"{{name}}-{{number}}", flush=True)
"""


def reporting(path, name):
    """Start a process that reports endlessly, and prints each acknowledged report."""
    command = [sys.executable, "-c", REPORTER.format(nowhere=NOWHERE), path, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("api", [Recovery, SyncRecovery])
async def test_nothing_acknowledged_is_lost_by_kill_9(mongodb, database_name, database, path, api):
    """Two processes report into one file and are killed: the next start delivers all they had acknowledged."""
    reporters = [reporting(path, name) for name in "ab"]
    acknowledged = []
    for reporter in reporters:
        acknowledged += [reporter.stdout.readline().strip() for _ in range(20)]
    for reporter in reporters:
        reporter.send_signal(signal.SIGKILL)
        acknowledged += reporter.communicate()[0].split()
    assert len(acknowledged) >= 40
    if api is Recovery:
        async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
            await delivered(recovery)
    else:
        with SyncRecovery(mongodb, database=database_name, outbox=path) as recovery:
            async with asyncio.timeout(30):
                while recovery.waiting():
                    await asyncio.sleep(0.02)
    kept = {document["_id"] async for document in database[CHECKOUTS].find({}, ["_id"])}
    assert {f"{SHOP}/{order_id}" for order_id in acknowledged} <= kept


async def test_two_at_one_file_do_not_deliver_at_the_same_time(path):
    """Only one holder at a time has the delivery lock; meanwhile reports can be added."""
    first, second = Journal(path, 10), Journal(path, 10)
    with first.delivering() as mine, second.delivering() as also:
        assert (mine, also) == (True, False)
        second.keep(SHOP, None, "a report", "{}")
    with second.delivering() as mine:
        assert mine
    assert first.waiting() == 1
    first.close()
    second.close()


async def test_a_report_waits_behind_those_of_its_shop(mongodb, database_name, database, path):
    """While a report of a shop waits, its next one is stored too, to keep the order; other shops go ahead."""
    async with Recovery(NOWHERE, outbox=path) as away:
        await away.checkout(report("1"))
    held = Journal(path, 10)
    with held.delivering():
        async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
            assert await recovery.order(ORDER) is Kept.OUTBOX
            assert await recovery.order(Order(shop="other.example", order_id="1")) is Kept.DATABASE
    assert held.waiting() == 2
    held.close()


async def test_a_kept_report_has_the_time_of_its_call(mongodb, database_name, database, path):
    """The time of a report is when it was made, however late it is delivered."""
    before = datetime.now(UTC)
    async with Recovery(NOWHERE, outbox=path) as away:
        await away.checkout(report("1"))
        await away.order(Order(shop=SHOP, order_id="2"))
    after = datetime.now(UTC)
    await asyncio.sleep(0.05)
    async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
        await delivered(recovery)
        slack = timedelta(milliseconds=1)  # MongoDB keeps no more of a time
        assert before - slack <= (await recovery.get(SHOP, "1")).touched_at <= after
        assert before - slack <= (await recovery.get(SHOP, "2")).ordered_at <= after


async def test_what_people_want_is_kept_as_well(mongodb, database_name, database, path):
    """Withdrawn consent and suppressed addresses survive an outage of the database."""
    no = Consent(given=False, basis="opt-in", at=datetime.now(UTC), source="a box")
    async with Recovery(NOWHERE, outbox=path) as away:
        await away.checkout(report("1"))
        assert await away.consent(SHOP, "ada@example.com", no) is None
        assert await away.suppress("ben@example.com") is None
    async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
        await delivered(recovery)
        assert (await recovery.get(SHOP, "1")).consent.given is False
    assert await Suppressions(database, Pseudonyms([])).of([(SHOP, "ben@example.com")])


async def test_what_can_never_be_delivered_is_set_aside(mongodb, database_name, database, path, caplog):
    """A report of a newer version, or one that the database refuses, is logged once and does not block the queue."""
    async with Recovery(NOWHERE, outbox=path) as away:
        await away.checkout(report("refused", total="66.60"))
        await away.checkout(report("1"))
    journal = Journal(path, 10)
    journal.keep(SHOP, None, "a report of a newer version", '{"kind": "unheard of"}')
    journal.close()
    await database.command("collMod", CHECKOUTS, validator={"facts.total": {"$ne": "66.60"}})
    async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
        await delivered(recovery)
        assert await recovery.get(SHOP, "1")
    assert [what for what, _ in set_aside(path)] == ["checkout shop.example/refused", "a report of a newer version"]
    told = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert len(told) == 2
    assert all("set aside" in line for line in told)


async def test_what_the_database_refuses_is_not_kept(mongodb, database_name, database, path):
    """A report that can never be delivered raises at once."""
    await database.command("collMod", CHECKOUTS, validator={"facts.total": {"$ne": "66.60"}})
    async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
        with pytest.raises(Refused, match="MongoDB refuses this, so it is not stored"):
            await recovery.checkout(report("1", total="66.60"))
        assert await recovery.waiting() == 0


async def test_a_damaged_file_does_not_keep_reports_from_a_database_that_is_well(
    mongodb, database_name, database, path, caplog
):
    """If the file is lost, reports still go to the database, and that is logged; only a failure of both is an error."""
    async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
        assert await recovery.checkout(report("1")) is Kept.DATABASE
        for file in path.parent.glob("outbox*"):
            with file.open("r+b") as opened:
                opened.write(b"nonsense" * 1000)
        assert await recovery.checkout(report("2")) is Kept.DATABASE
        with pytest.raises(Unavailable, match=r"the outbox .* cannot be used"):
            await recovery.waiting()
    assert any(each.message.startswith("outbox failed: ") for each in caplog.records)


def test_only_what_cannot_overtake_is_delivered_at_once():
    """Reports of different checkouts go together; the same checkout, other names and other calls wait."""

    def checkout(order_id, **names):
        return CheckoutReport(report=report(order_id), **names)

    order = OrderReport(report=ORDER)
    cancel = CancelReport(shop=SHOP, order_id="5")
    assert together([checkout("1"), checkout("2"), checkout("3")]) == 3
    assert together([checkout("1"), checkout("2"), order]) == 2
    assert together([checkout("1"), checkout("2", cart="c"), checkout("3")]) == 1
    assert together([checkout("2", aliases=()), checkout("3")]) == 1
    assert together([cancel, checkout("3")]) == 1
    assert together([checkout("1"), cancel]) == 1
    assert together([Fault("unheard of"), checkout("1")]) == 1


def test_each_report_is_synced(path):
    """A power failure loses no acknowledged report: SQLite syncs each one to disk (2 is FULL)."""
    journal = Journal(path, 10)
    with journal._using() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


async def test_a_full_outbox_says_so(path):
    """A full outbox stores nothing more, and the error says what to do."""
    async with Recovery(NOWHERE, outbox=path, outbox_limit=2) as recovery:
        for number in range(2):
            await recovery.checkout(report(str(number)))
        with pytest.raises(Unavailable, match="is full with 2 reports, so this one is not stored"):
            await recovery.checkout(report("3"))


async def test_who_is_erased_is_erased_from_the_outbox(mongodb, database_name, database, path):
    """Erasing a person deletes their waiting reports, which are not delivered later."""
    with Journal(path, 10).delivering():  # nothing is delivered meanwhile
        async with Recovery(NOWHERE, outbox=path) as away:
            await away.checkout(report("1"))
            await away.checkout(report("2", customer={"email": "ben@example.com"}))
        async with Recovery(mongodb, database=database_name, outbox=path) as recovery:
            await recovery.erase("Ada@example.com")
            assert await recovery.waiting() == 1
    assert b"ada@example.com" not in path.read_bytes()


def test_the_file_is_for_its_owner_alone(path):
    """Only the owner may read the file: it holds addresses."""
    with SyncRecovery(NOWHERE, outbox=path) as recovery:
        recovery.checkout(report())
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob("outbox*")} == {0o600}


@pytest.mark.parametrize("api", [Recovery, SyncRecovery])
def test_a_file_that_cannot_be_one_is_refused_at_once(tmp_path, api):
    """A missing folder, or a file of another kind, is an error when the API is created."""
    other = tmp_path / "other"
    other.write_text("this is no SQLite database, and long enough to be sure of it" * 100)
    for wrong in (tmp_path / "nowhere" / "outbox", other):
        with pytest.raises(RecoveryError, match=r"cannot be used.*give the path of a file"):
            api(NOWHERE, outbox=wrong)


def test_attempts_become_rarer():
    """The backoff is between about a second and half a minute, so that a restarted database is not overloaded."""
    assert 0.5 <= pause(1) <= 2
    assert LATEST / 2 <= pause(100) <= LATEST <= IDLE
