"""The supervisor: what becomes of root tasks when one falls, and when they are to stop."""

import asyncio

import pytest

from recovery.daemon import supervisor
from recovery.daemon.supervisor import Supervisor


async def test_the_first_root_task_to_fall_stops_the_rest():
    """A task's exception ends the wait, stops the others in reverse order, and is raised."""
    stopped = []

    async def lasting(name):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(name)

    async def falling():
        raise RuntimeError("a fault of ours")

    async def supervise():
        async with Supervisor() as root:
            root.start("one", lasting("one"))
            root.start("two", lasting("two"))
            root.start("three", falling())
            await root.wait(asyncio.Event())

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await supervise()
    assert stopped == ["two", "one"]


async def test_a_task_that_does_not_hear_is_told_once_more_to_stop(monkeypatch):
    """The driver may swallow a cancellation: that must keep no container from ending."""
    monkeypatch.setattr(supervisor, "AGAIN_AFTER", 0)
    told, over = 0, asyncio.Event()

    async def hard_of_hearing():
        nonlocal told
        while told < 3 and not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                told += 1

    root = Supervisor()
    root.start("one", hard_of_hearing())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(30):
            await root.stop()
    finally:
        over.set()
    assert told == 3
