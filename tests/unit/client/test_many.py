"""Many reports in one call: order, bounds, and errors that end nothing else."""

import asyncio
import gc
from contextlib import aclosing

import pytest

from recovery import Order, Unavailable
from recovery.client.driving import run
from recovery.client.many import ReportResult, Window, asked, in_batches
from recovery.client.reports import Kept
from tests.support.builders import report


class Kept_(list):  # noqa: N801
    """What was sent, in order; a report whose id ends with x fails. Each waits until it is let go, if `held`."""

    def __init__(self, *, held=False):
        super().__init__()
        self.groups = []
        self.most = self.now = 0
        self.go = asyncio.Event()
        if not held:
            self.go.set()

    async def send_group(self, calls):
        """Store some, with an event loop."""
        self.groups.append([call.report.order_id for call in calls])
        self.now += len(calls)
        self.most = max(self.most, self.now)
        await self.go.wait()
        await asyncio.sleep(0)
        self.now -= len(calls)
        return self._results(calls)

    async def send_all(self, calls):
        """Store some, without an event loop."""
        self.most = max(self.most, len(calls))
        return self._results(calls)

    def _results(self, calls):
        results = []
        for call in calls:
            try:
                results.append(self._store(call))
            except Unavailable as exc:
                results.append(exc)
        return results

    def _store(self, call):
        if call.report.order_id.endswith("x"):
            raise Unavailable(f"{call.report.order_id} failed")
        self.append(call.report)
        return Kept.DATABASE


def windowed(kept, reports, most=8, together=4):
    return Window(kept.send_group, most, together).results(reports)


async def collected(results):
    return [each async for each in results]


def told(each):
    return (each.report and each.report.order_id, each.kept, each.error and str(each.error))


def of_numbers(*ids):
    return [report(str(id_)) for id_ in ids]


async def later(reports):
    for each in reports:
        await asyncio.sleep(0)
        yield each


EXPECTED = [
    ("1", Kept.DATABASE, None),
    ("2x", None, "2x failed"),
    (None, None, "line 3 is no report"),
    ("4", Kept.DATABASE, None),
]


def mixed():
    return [*of_numbers(1, "2x"), ValueError("line 3 is no report"), Order(shop="shop.example", order_id="4")]


@pytest.mark.parametrize("source", [list, iter, later], ids=["a list", "an iterator", "an asynchronous one"])
async def test_each_report_has_its_own_result_in_order(source):
    """One that cannot be stored, or could not be read, does not end the rest."""
    assert [told(each) for each in await collected(windowed(Kept_(), source(mixed())))] == EXPECTED


def test_without_an_event_loop_the_results_are_the_same():
    """In batches, each report has the same result as in a window."""
    kept = Kept_()

    async def all_of_them():
        return [told(each) async for each in in_batches(kept.send_all, mixed(), 2)]

    assert run(all_of_them()) == EXPECTED
    assert kept.most == 2


async def test_no_more_are_on_their_way_than_there_is_room_for():
    """The source is read no further than the window is wide, however long it is."""
    read = []

    def endless():
        for number in range(10**9):
            read.append(number)
            yield report(str(number))

    kept = Kept_(held=True)
    async with aclosing(windowed(kept, endless())) as results:
        waiting = asyncio.ensure_future(anext(results))
        for _ in range(20):
            await asyncio.sleep(0)
        assert (kept.most, len(read)) == (8, 9)
        kept.go.set()
        assert (await waiting).report.order_id == "0"
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(read) == 10  # one result was taken, so one more was read
    assert kept.most <= 9


async def test_a_result_comes_without_waiting_for_the_next_report():
    """A caller that sends its next report when the last one is answered is answered."""
    source: asyncio.Queue = asyncio.Queue()

    async def one_by_one():
        while (each := await source.get()) is not None:
            yield each

    async with aclosing(windowed(Kept_(), one_by_one())) as results:
        for each in mixed():
            source.put_nowait(each)
            async with asyncio.timeout(5):
                await anext(results)
        source.put_nowait(None)
        assert await collected(results) == []


async def test_what_is_read_in_one_turn_of_the_loop_is_sent_together():
    """Groups are of a limited size, and nobody waits for one to be full."""
    kept = Kept_()
    assert len(await collected(windowed(kept, of_numbers(*range(9)), most=20))) == 9
    assert kept.groups == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8"]]
    kept = Kept_()
    assert len(await collected(windowed(kept, later(of_numbers(1, 2, 3))))) == 3
    assert kept.groups == [["1"], ["2"], ["3"]]


async def test_room_for_a_whole_group_is_filled_by_a_whole_group():
    """The results of a group make room for the next one at once, and not for a report at a time."""
    kept = Kept_()
    assert len(await collected(windowed(kept, of_numbers(*range(40))))) == 40
    assert [len(group) for group in kept.groups] == [4] * 10


async def test_others_have_their_turn_after_each_group():
    """A source that is there at once does not hold the event loop for a whole window of reports."""
    read_at_turns = []
    turn = 0

    async def others():
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def source():
        for each in of_numbers(*range(8)):
            read_at_turns.append(turn)
            yield each

    beside = asyncio.create_task(others())
    assert len(await collected(windowed(Kept_(), source()))) == 8
    beside.cancel()
    assert read_at_turns[0] == read_at_turns[3] < read_at_turns[4] == read_at_turns[7]


async def test_two_reports_of_one_checkout_are_sent_one_after_the_other():
    """The second begins when the first has ended, and others do not wait for it."""
    kept = Kept_(held=True)
    waiting = asyncio.ensure_future(collected(windowed(kept, of_numbers(1, 1, 2, 1, 3))))
    for _ in range(20):
        await asyncio.sleep(0)
    assert kept.groups == [["1"], ["2", "3"]]
    kept.go.set()
    assert [told(each)[0] for each in await waiting] == ["1", "1", "2", "1", "3"]
    assert kept.groups == [["1"], ["2", "3"], ["1"], ["1"]]


async def test_a_group_that_fails_as_a_whole_fails_each_of_its_reports():
    """No error of the writer is lost, and the next group is sent."""

    async def failing(calls):
        if calls[0].report.order_id == "0":
            raise Unavailable("away")
        return [Kept.DATABASE] * len(calls)

    results = await collected(Window(failing, 8, 2).results(of_numbers(0, 1, 2)))
    assert [told(each)[1:] for each in results] == [(None, "away"), (None, "away"), (Kept.DATABASE, None)]


class Broken(Exception):
    """The source's own fault."""


@pytest.mark.parametrize("in_window", [True, False])
async def test_what_the_source_raises_comes_after_the_results_of_what_it_yielded(in_window):
    """No result is lost to a source that breaks off."""

    def broken():
        yield from of_numbers(1, 2)
        raise Broken

    kept = Kept_()
    results = windowed(kept, broken()) if in_window else in_batches(kept.send_all, broken(), 10)
    assert [told(await anext(results))[0] for _ in range(2)] == ["1", "2"]
    with pytest.raises(Broken):
        await anext(results)


async def test_a_source_is_left_alone_once_nobody_wants_its_results(caplog):
    """Who stops in the middle leaves no task behind, and no complaint of errors that nobody saw."""
    tasks = asyncio.all_tasks()
    async with aclosing(windowed(Kept_(), of_numbers(1, "2x", "3x", 4))) as results:
        await anext(results)
        await asyncio.sleep(0.01)
    gc.collect()
    assert asyncio.all_tasks() == tasks
    assert caplog.records == []


async def test_what_is_neither_checkout_nor_order_is_a_mistake_of_the_caller():
    """It is not passed over in silence."""
    results = windowed(Kept_(), [*of_numbers(1), {"shop": "shop.example"}])
    assert told(await anext(results)) == ("1", Kept.DATABASE, None)
    with pytest.raises(TypeError, match="cannot report dict"):
        await anext(results)
    with pytest.raises(TypeError):
        asked(None)


def test_a_result_says_what_became_of_its_report():
    """A result without an error is kept."""
    assert ReportResult(*of_numbers(1), Kept.DATABASE).error is None
