"""The look ahead: what it asks for, when it asks again, and which checkouts it has loaded and claimed."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

from recovery.daemon import look_ahead
from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.look_ahead import AHEAD, EVERY, LONGEST_SLEEP, LookAhead
from recovery.domain.per_shop import PerShop
from recovery.errors import Unavailable
from tests.support.builders import NOON
from tests.support.ports_in_memory import SetClock

MOMENT = timedelta(milliseconds=1)


class World:
    """A look ahead over these shadows, with an engine that notes what it is told to load and to claim."""

    def __init__(self, shadows: dict[str, datetime], mine: Callable[[str], bool] = lambda _: True):
        self.all = shadows
        self.clock = SetClock(NOON)
        self.loaded: list[list[str]] = []
        self.claimed: list[str] = []
        self.forgotten_after: list[datetime] = []
        self.asked: list[tuple[datetime, datetime] | str] = []
        self.fails = 0
        self.outages = 0
        self.due_ones: asyncio.Queue[str] = asyncio.Queue()
        ahead = SimpleNamespace(
            load=self.load, due=self.due, claim=self.claim, forget_after=self.forgotten_after.append
        )
        engine = SimpleNamespace(ahead=ahead, outage=self.outage)
        lanes = Lanes(PerShop(Lane("relay", engine, SimpleNamespace()), {}))
        self.look_ahead = LookAhead(self, lanes, SimpleNamespace(mine=mine), self.clock)

    async def next_expiry(self) -> datetime | None:
        self.asked.append("next")
        return min((at for at in self.all.values()), default=None)

    async def due_between(self, after: datetime, until: datetime, limit: int) -> dict[str, datetime]:
        self.asked.append((after, until))
        if self.fails:
            self.fails -= 1
            raise Unavailable("no primary")
        return {id_: at for id_, at in self.all.items() if after < at <= until}

    async def load(self, alarms: dict[str, datetime]) -> None:
        self.loaded.append(list(alarms))

    async def due(self) -> list[str]:
        return [await self.due_ones.get()]

    async def claim(self, due: list[str]) -> None:
        if due == ["fails"]:
            raise Unavailable("no primary")
        if due == ["slow"]:
            await asyncio.Event().wait()
        self.claimed += due

    def outage(self) -> None:
        self.outages += 1


async def test_what_is_due_soon_is_loaded_once():
    """Two questions in a row ask for different times; what is due later is left for later."""
    world = World({"a": NOON + AHEAD, "b": NOON + AHEAD + MOMENT, "c": NOON + timedelta(hours=1)})
    assert await world.look_ahead.load() == EVERY
    world.clock.time += AHEAD / 2
    assert await world.look_ahead.load() == EVERY
    assert world.loaded == [["a"], ["b"]]


async def test_while_nothing_is_due_it_sleeps_until_something_is_about_to_be():
    """It looks into the index once a second, and wakes up in time for the next."""
    world = World({})
    assert await world.look_ahead.load() == LONGEST_SLEEP
    world.all = {"a": NOON + timedelta(hours=1)}
    assert await world.look_ahead.load() == LONGEST_SLEEP
    world.all = {"a": NOON + AHEAD + timedelta(seconds=0.3)}
    assert await world.look_ahead.load() == 0.3
    assert world.asked == ["next"] * 3
    assert world.loaded == []


async def test_only_what_is_in_this_daemon_s_share_is_loaded():
    """Each daemon looks ahead at its own, or their claims would meet."""
    world = World({"a": NOON + MOMENT, "b": NOON + MOMENT}, mine=lambda id_: id_ == "b")
    await world.look_ahead.load()
    assert world.loaded == [["b"]]


async def test_a_clock_that_is_set_back_does_not_end_the_look_ahead():
    """What is due soon by the new time is loaded, and what is not is forgotten."""
    world = World({"a": NOON + MOMENT})
    await world.look_ahead.load()
    world.clock.time = NOON - timedelta(hours=1)
    world.all = {"b": world.clock.time + AHEAD + MOMENT}
    await world.look_ahead.load()
    world.clock.time += 2 * MOMENT
    await world.look_ahead.load()
    assert world.loaded == [["a"], ["b"]]
    assert world.forgotten_after[-1] == world.clock.time + AHEAD


async def test_an_outage_ends_neither_the_loads_nor_the_claims(monkeypatch):
    """Both go on when the database answers again, and the engine knows that it did not."""
    monkeypatch.setattr(look_ahead, "AGAIN_AFTER", 0)
    world = World({"a": NOON + MOMENT})
    world.fails = 2
    running = asyncio.create_task(world.look_ahead.run())
    for each in ("fails", "b"):
        world.due_ones.put_nowait(each)
    async with asyncio.timeout(5):
        while not world.loaded or not world.claimed:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert (world.loaded, world.claimed, world.outages) == ([["a"]], ["b"], 3)


async def test_what_becomes_due_during_a_claim_does_not_wait_for_it():
    """The next is claimed beside it, while the journal of the first is written."""
    world = World({})
    running = asyncio.create_task(world.look_ahead.run())
    for each in ("slow", "a"):
        world.due_ones.put_nowait(each)
    async with asyncio.timeout(5):
        while not world.claimed:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert world.claimed == ["a"]
