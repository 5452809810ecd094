"""The replica set of the chaos run: a row begins when all of it takes part."""

import asyncio
import os
import signal

from tests.chaos.cluster import cluster


async def test_a_row_begins_when_every_node_copies_and_runs():
    """A node that only calls itself a secondary is waited for, and one that a row left killed is started."""
    async with cluster() as three:
        primary = await three.primary()
        other = next(port for port in three._ports if port != primary)
        await three._copying(other, mode="alwaysOn")
        await three.primary()  # the node still gets what it asked for before, which ends with this write
        waiting = asyncio.create_task(three.whole())  # not cancelled in the end: that would leave a client open
        done, _ = await asyncio.wait([waiting], timeout=5)
        assert not done
        await three._copying(other, mode="off")
        await waiting
        os.kill(three.process(other), signal.SIGKILL)
        await asyncio.to_thread(three._processes[other].wait)
        await three.whole()
        assert three._processes[other].poll() is None
