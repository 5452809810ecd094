"""`recovery run --processes N`: several daemons that share the work, started and stopped together."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from recovery.domain.state import MessageState
from recovery.mongo.collections import CHECKOUTS, DAEMONS
from tests.acceptance.conftest import DaemonWorld
from tests.support.builders import report


@pytest.fixture
async def world(mongodb, database_name, database, relay):
    world = DaemonWorld(mongodb, database_name, relay, expirer=True)
    async with world.recovery:
        yield world


def children(pid):
    """Return the processes of the daemons, the oldest first."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if "resource_tracker" not in Path(f"/proc/{child}/cmdline").read_text()]


async def ended(pids):
    """Wait until none of these processes is left."""
    async with asyncio.timeout(60):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.05)


async def both(daemon, event):
    """Wait until two daemons have said the same."""
    async with asyncio.timeout(60):
        while sum(entry["event"] == event for entry in daemon.log) < 2:
            await asyncio.sleep(0.02)


async def test_they_share_the_work_and_stop_together(world, database):
    """Both send, nobody is written to twice, one serves HTTP; SIGTERM ends both in peace."""
    async with world.daemon("--processes", "2") as daemon:
        await both(daemon, "ready")
        async with asyncio.timeout(60):
            while await database[DAEMONS].count_documents({}) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)  # a heartbeat: from then on each knows of the other
        count = 40
        await asyncio.gather(*(world.recovery.checkout(report(str(n))) for n in range(count)))
        await world.relay.wait_for(2 * count, 20)
        assert (await daemon.http.get("/healthz")).status_code == 200
        assert await daemon.terminate() == 0
        await both(daemon, "stopped")
    sent = [document["messages"] async for document in database[CHECKOUTS].find()]
    assert all(message["state"] == MessageState.SENT for each in sent for message in each.values())
    assert len(world.relay.mails) == 2 * count
    names = {position["_id"].split("/")[0] for position in await database["positions"].find().to_list()}
    assert len(names) == 2, "each follows the streams from a position of its own"


async def test_one_that_dies_takes_the_others_along(world):
    """If one process dies, the command ends with an exit code that says so."""
    async with world.daemon("--processes", "2") as daemon:
        await both(daemon, "ready")
        pids = children(daemon.process.pid)
        os.kill(pids[1], signal.SIGKILL)
        async with asyncio.timeout(60):
            assert await daemon.process.wait() != 0
        await ended(pids)


async def test_they_do_not_outlive_the_first(world):
    """Killed without a word, the process that started them leaves nobody behind."""
    async with world.daemon("--processes", "2") as daemon:
        await both(daemon, "ready")
        pids = children(daemon.process.pid)
        assert len(pids) == 2
        await daemon.kill()
        await ended(pids)
