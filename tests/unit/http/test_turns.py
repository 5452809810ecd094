"""Turns: unauthenticated reports get a share of the event loop's time."""

import asyncio
import time

import pytest

from recovery.http import turns as module
from recovery.http.problems import Problem
from recovery.http.turns import MOST_WAITING, SHARE, Turns


async def test_the_loop_rests_after_each_in_proportion(monkeypatch):
    """With a share of a fifth, the pause is four times the duration."""
    clock, rests = iter((10.0, 10.5)), []

    async def rest(seconds):
        rests.append(seconds)

    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(module.asyncio, "sleep", rest)
    async with Turns().turn():
        pass
    assert SHARE == 0.2
    assert rests == [pytest.approx(2.0)]


async def test_too_many_waiting_get_503():
    """No report is lost: the mail server repeats it after Retry-After."""
    turns, go_on = Turns(), asyncio.Event()

    async def hold():
        async with turns.turn():
            await go_on.wait()

    waiting = [asyncio.create_task(hold()) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as told:
        async with turns.turn():
            pass
    assert (told.value.status, told.value.headers["Retry-After"]) == (503, "30")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with turns.turn():
        pass
