"""First reports: when a report may be inserted, and at what time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import AutoReconnect

from recovery import Consent, Order
from recovery.mongo import first_reports
from recovery.mongo.clock import MongoClock
from recovery.mongo.first_reports import MEASURE_EVERY, MEASURED_WITHIN, MOST_ERROR, FirstReports
from recovery.mongo.intake import CheckoutWrite, order_write
from tests.support.builders import NOON, report


class Server:
    """A database whose time is set, and whose answers take `round_trip` seconds, all of them on the way there."""

    def __init__(self):
        self.ahead = timedelta(0)
        self.seconds = 0.0
        self.round_trip = 0.002
        self.asked = 0

    def time(self):
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds) + self.ahead

    async def command(self, name):
        self.asked += 1
        self.seconds += self.round_trip
        return {"localTime": self.time().replace(tzinfo=None)}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def firsts(server):
    return FirstReports(MongoClock(server, lambda: server.seconds))


async def measured(firsts):
    """Ask for the time, so that a measurement begins, let that end, and ask again."""
    firsts.now()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return firsts.now()


def write(number=1, **changes):
    return CheckoutWrite(report(str(number), **changes))


async def test_nothing_is_inserted_before_the_clock_is_measured(firsts):
    """Until the server has said its time, reports have no time to be inserted at."""
    assert firsts.now() is None
    assert await measured(firsts) is not None


async def test_the_time_is_one_that_the_server_has_reached(firsts, server):
    """The time of an insert is never later than the server's, and behind it by twice the error at most."""
    now = await measured(firsts)
    for _ in range(20):
        server.seconds += 0.2
        now = await measured(firsts)
        assert server.time() - timedelta(seconds=2 * MOST_ERROR) <= now <= server.time()


async def test_the_clock_is_measured_now_and_then(firsts, server):
    """However many reports there are, the server is asked once in `MEASURE_EVERY` seconds."""
    for _ in range(50):
        await measured(firsts)
    assert server.asked == 1
    server.seconds += MEASURE_EVERY + 0.1
    await measured(firsts)
    assert server.asked == 2


async def test_an_old_measurement_is_not_used(firsts, server):
    """After `MEASURED_WITHIN` seconds without an answer, nothing is inserted: the server's clock may have jumped."""
    await measured(firsts)
    server.seconds += MEASURED_WITHIN + 0.1
    assert firsts.now() is None


async def test_a_slow_answer_is_not_used(firsts, server):
    """While the server's time is known with a larger error than `MOST_ERROR`, nothing is inserted."""
    server.round_trip = 2 * MOST_ERROR + 0.01
    assert await measured(firsts) is None
    server.round_trip = 0.002
    server.seconds += MEASURE_EVERY + 0.1
    assert await measured(firsts) is not None


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "ahead"])
async def test_a_jump_of_the_server_s_clock_is_followed(firsts, server, jump):
    """A jump, or another primary with another time, counts from the next answer on, even if that is a slower one."""
    await measured(firsts)
    server.ahead += jump
    server.seconds += MEASURE_EVERY + 0.1
    server.round_trip = 0.05
    now = await measured(firsts)
    assert server.time() - timedelta(seconds=2 * MOST_ERROR) <= now <= server.time()


async def test_a_server_that_does_not_answer_is_asked_again(firsts, server, monkeypatch):
    """An error of the measurement is no report's error: those go out as updates meanwhile."""

    async def fails(name):
        raise AutoReconnect("connection closed")

    with monkeypatch.context() as patch:
        patch.setattr(server, "command", fails)
        assert await measured(firsts) is None
    assert await measured(firsts) is not None


def test_a_checkout_that_was_reported_here_is_not_inserted(firsts):
    """A repeat, and a checkout after its order, are known to be stored."""
    assert firsts.document(write(1), NOON)["_id"] == "shop.example/1"
    assert firsts.document(write(1), NOON) is None
    assert firsts.document(order_write(Order(shop="shop.example", order_id="2")), NOON) is None
    assert firsts.document(write(2), NOON) is None


def test_the_memory_of_reported_checkouts_is_bounded(firsts, monkeypatch):
    """The checkouts that were reported longest ago are forgotten first."""
    monkeypatch.setattr(first_reports, "MOST_REMEMBERED", 3)
    for number in (1, 2, 3, 1, 4):
        firsts.document(write(number), NOON)
    assert [number for number in range(1, 5) if firsts.document(write(number), None) is None] == [1, 2, 3, 4]
    assert len(firsts._reported) == 3
    firsts = FirstReports(firsts._clock)
    for number in (1, 2, 3, 1, 4):
        firsts.document(write(number), NOON)
    assert firsts.document(write(2), NOON) is not None


def test_a_report_with_a_later_time_is_left_to_the_server(firsts):
    """A time that the server may not have reached is capped by the server alone, so that a repeat changes nothing."""
    late = NOON + timedelta(milliseconds=1)
    assert firsts.document(write(1, touched_at=late), NOON) is None
    assert firsts.document(write(2, consent=Consent(basis="opt-in", at=late, source="box")), NOON) is None
    assert firsts.document(write(3, touched_at=NOON), NOON)["touched_at"] == NOON


def test_inserts_pause_while_many_are_in_vain(firsts, monkeypatch):
    """Where other processes report the same checkouts, reports are updates, and inserts are tried again later."""
    monkeypatch.setattr(first_reports, "PAUSE", 3)
    firsts.inserted(first_reports.SAMPLE, stored=first_reports.SAMPLE // 10)
    tried = [firsts.document(write(number), NOON) is not None for number in range(5)]
    assert tried == [False, False, False, True, True]
    firsts.inserted(first_reports.SAMPLE, stored=first_reports.SAMPLE // 100)
    assert firsts.document(write(9), NOON) is not None


@pytest.mark.parametrize(("hours", "kept"), [(-20, -20), (1, 0)])
def test_a_report_may_say_when_its_checkout_was_opened(hours, kept):
    """Of a checkout that is heard of late; never later than its last activity."""
    opened_at = NOON + timedelta(hours=hours)
    document = CheckoutWrite(report(touched_at=NOON, opened_at=opened_at)).document(NOON)
    assert (document["opened_at"], document["touched_at"]) == (NOON + timedelta(hours=kept), NOON)
