"""The count of results: who counts, when, and never during a burst."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from recovery.daemon import results as module
from recovery.daemon.results import DUTY, REST, ResultsCount
from recovery.daemon.share import ABLE, Share, owner
from recovery.errors import Unavailable
from tests.support.builders import NOON
from tests.support.ports_in_memory import SetClock


class Counted:
    """Sums that notes when they were counted, and take so many seconds of a clock."""

    def __init__(self):
        self.at = []
        self.fault = None
        self.seconds = 0.0
        self.now = 0.0

    async def count(self, now):
        self.at.append(now)
        self.now += self.seconds
        if self.fault is not None:
            raise self.fault


def service(counted, share=None, *, behind=lambda: False):
    clock = SetClock()
    return ResultsCount(
        counted, share or Share("one"), clock, behind, every=timedelta(minutes=5), monotonic=lambda: counted.now
    )


async def test_of_several_daemons_one_counts():
    """It is elected as shares are; when it is gone, another counts."""
    daemons = dict.fromkeys(("one", "two", "three"), ABLE)
    for name in daemons:
        share, counted = Share(name), Counted()
        share.among(daemons)
        await service(counted, share).count()
        assert bool(counted.at) == (name == owner(DUTY, daemons))
        share.among({})
        await service(counted, share).count()
        assert counted.at


async def test_a_count_tells_how_long_it_took():
    """So that the pause after it is twenty times as long."""
    counted = Counted()
    counted.seconds = 30.0
    assert await service(counted).count() == 30.0
    assert counted.at == [NOON]


async def test_the_pause_is_the_longer_of_two(monkeypatch):
    """Five minutes, or twenty times the last count."""
    counted, pauses = Counted(), []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError
        counted.seconds = 60.0

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await service(counted).run()
    assert pauses == [module.AT_FIRST, 1200.0, 1200.0]
    assert REST == 20


async def test_while_the_database_is_away_it_tries_again():
    """It is told once, and that it is over."""
    counted = Counted()
    counting = service(counted)
    with capture_logs() as logs:
        counted.fault = Unavailable("away")
        await counting.count()
        await counting.count()
        counted.fault = None
        await counting.count()
    assert [each["event"] for each in logs] == ["database unavailable", "database recovered"]


async def test_a_count_waits_for_the_end_of_a_burst(monkeypatch):
    """While more is due than can be sent, at most an hour."""
    counted, slept = Counted(), []

    async def sleep(seconds):
        slept.append(seconds)
        counted.now += seconds

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    await service(counted, behind=lambda: len(slept) < 3).patience()
    assert len(slept) == 3
    await service(counted, behind=lambda: True).patience()
    assert sum(slept[3:]) == module.LONGEST_PATIENCE
