"""The watcher and the lanes, with a stream and engines in memory."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.share import ALL_OTHERS, Ability
from recovery.daemon.watcher import Watcher
from recovery.domain.per_shop import PerShop
from recovery.errors import Unavailable
from recovery.mongo.feed import Batch


class FakeEngine:
    """Notes looks in `looked`; `gate` holds them up, and `faults` are raised first. There is room for `room`."""

    def __init__(self, *, room=100, fault=None):
        self.behind = asyncio.Event()
        self.looked, self.faults, self.outages = [], [], 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.sender = SimpleNamespace(
            room=lambda: room,
            in_flight=2,
            breaker=SimpleNamespace(fault=fault),
            unsent_fault=None,
            brake=SimpleNamespace(fault=None),
        )

    async def look(self, ids, cause):
        if self.faults:
            raise self.faults.pop()
        await self.gate.wait()
        self.looked.append((list(ids), cause))

    def outage(self):
        self.outages += 1


def lane(name="relay", **options):
    return Lane(name, FakeEngine(**options), SimpleNamespace(fault=None))


class Stream:
    """A watcher over these batches. `events` are repairs and saved positions, in their order."""

    def __init__(self, *batches, own=None, as_room_allows=False):
        self.lane = own or lane()
        self.engine = self.lane.engine
        self.events = []
        self.time = 0.0
        self.batches = batches
        share = SimpleNamespace(mine=lambda id_: not id_.endswith("/other"))
        self.watcher = Watcher(
            "reported",
            self,
            self,
            Lanes(PerShop(self.lane)),
            share,
            SimpleNamespace(now=lambda: None),
            as_room_allows=as_room_allows,
            repair=self.repair,
            monotonic=self.monotonic,
        )

    async def follow(self, token):
        for batch in self.batches:
            yield batch
            await asyncio.sleep(0)
        await asyncio.sleep(60)

    async def load(self, name):
        return "the token of before"

    async def save(self, name, token, at):
        self.events.append(token)

    async def repair(self):
        self.events.append("repaired")

    def monotonic(self):
        self.time += 10
        return self.time

    async def run(self, seconds=0.05):
        """Follow the stream for a moment."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.watcher.run()


async def test_a_position_is_saved_after_the_look():
    """While a look lasts, its batch's position is not saved: events are handled at least once."""
    stream = Stream(Batch(["a/1"], "first"), Batch(["a/2"], "second"), Batch([], "third"))
    stream.engine.gate.clear()
    await stream.run()
    assert (stream.events, stream.engine.looked) == ([], [])
    stream.engine.gate.set()
    await stream.run()
    assert stream.engine.looked == [(["a/1"], "reported"), (["a/2"], "reported")]
    assert stream.events[:2] == ["first", "second"]


async def test_only_the_own_share_is_looked_at():
    """What belongs to another daemon is left to it, and the position moves all the same."""
    stream = Stream(Batch(["a/1", "a/other"], "first"), Batch(["a/other"], "second"), Batch([], "third"))
    await stream.run()
    assert stream.engine.looked == [(["a/1"], "reported")]
    assert "second" in stream.events


async def test_a_gap_is_repaired_and_swept_before_its_position_is_saved():
    """The log has one line for it, a warning, and each lane's sweep looks at everything due."""
    stream = Stream(Batch([], "after the gap", lost="history lost"))
    with capture_logs() as lines:
        await stream.run()
    assert stream.events == ["repaired", "after the gap"]
    assert stream.engine.behind.is_set()
    assert [(line["log_level"], line["event"], line["why"]) for line in lines] == [
        ("warning", "change stream gap", "history lost")
    ]


async def test_checkouts_without_room_are_left_to_the_sweep():
    """It is due in the database, and not loaded for nothing."""
    stream = Stream(Batch(["a/1", "a/2", "a/3"], "first"), Batch([], "second"), own=lane(room=2), as_room_allows=True)
    await stream.run()
    assert stream.engine.looked == [(["a/1", "a/2"], "reported")]
    assert stream.engine.behind.is_set()


async def test_a_look_is_tried_again_while_the_database_is_away():
    """The outage is logged once when it begins and once when it ends, and the batch is looked at."""
    stream = Stream(Batch(["a/1"], "first"), Batch([], "second"))
    stream.engine.faults = [Unavailable("away")]
    with capture_logs() as lines:
        await stream.run(seconds=0.8)
    assert stream.engine.looked == [(["a/1"], "reported")]
    assert [line["event"] for line in lines] == ["database unavailable", "database recovered"]


def test_checkouts_are_grouped_by_the_lane_of_their_shop():
    """A shop with a relay of its own has a lane of its own."""
    usual, own = lane("usual"), lane("own")
    lanes = Lanes(PerShop(usual, {"lamps": own}))
    assert lanes.by_lane(["a/1", "lamps/1", "a/2"]) == {usual: ["a/1", "a/2"], own: ["lamps/1"]}
    assert Lanes(PerShop(usual)).by_lane([]) == {}
    assert lanes.in_flight == 4


def test_a_fault_names_its_relay_if_there_are_several():
    """Readiness names the relay that is down, and the daemon announces which shops it cannot send for."""
    lanes = Lanes(PerShop(lane("usual"), {"lamps": lane("own", fault="refused")}))
    assert lanes.relay_fault == "own: refused"
    assert lanes.ability(expires=True, follows=True) == Ability(frozenset({"lamps"}), frozenset())
    assert lanes.ability(expires=False, follows=False) == Ability(frozenset({ALL_OTHERS}), frozenset(), expires=False)
    assert Lanes(PerShop(lane("usual", fault="refused"))).relay_fault == "refused"


def test_every_lane_hears_of_an_outage_and_of_work_that_is_due():
    """No lane waits for another."""
    usual, own = lane("usual"), lane("own")
    lanes = Lanes(PerShop(usual, {"lamps": own}))
    lanes.behind()
    lanes.outage()
    assert all(each.engine.behind.is_set() and each.engine.outages == 1 for each in (usual, own))
