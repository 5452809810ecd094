"""Processes that report checkouts: with a clock that is wrong, and several that report the same ones."""

import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from recovery import Recovery
from recovery.client import connect
from recovery.mongo.first_reports import MOST_ERROR
from tests.chaos.checker import Promise
from tests.chaos.daemons import ROOT
from tests.chaos.scenarios import scenario
from tests.chaos.scenarios.clocks import HOUR, SHIFT
from tests.chaos.world import SHOP, World, in_parallel
from tests.support.builders import report

REPORTER = """
import asyncio, sys, time
from datetime import UTC, datetime
from recovery import Recovery
from tests.support.builders import report

async def main(uri, database, count, ahead):
    async with Recovery(uri, database=database) as recovery:
        async def one(name):
            begun = time.monotonic()
            at = datetime.now(UTC) if ahead and number % 2 else None
            await recovery.checkout(report(name, customer={"email": f"{name}@example.com"}, touched_at=at))
            print(name, begun, flush=True)

        for number in range(int(count) // 10):
            await asyncio.gather(*(one(f"c{number}-{each}") for each in range(10)))
            await asyncio.sleep(0.1)
        print("clock", time.time(), flush=True)

asyncio.run(main(*sys.argv[1:4], sys.argv[4] == "ahead"))
"""
"""Prints each checkout that is stored, with the time of the call by the monotonic clock, which all processes share."""


async def _by_a_clock_off_by(world: World, seconds: int) -> Promise:
    """Have a shop's process with such a clock report checkouts, some with its own time if that is ahead."""
    world.delays = {"reminder-1": 3.0}
    count = world.size(400, 100)
    with tempfile.TemporaryDirectory(prefix="recovery-chaos-") as folder:
        (Path(folder) / "sitecustomize.py").write_text(SHIFT.format(seconds=seconds))
        async with world.daemon():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", REPORTER, world.uri, world.database.name, str(count)),
                "ahead" if seconds > 0 else "behind",
                env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(ROOT)])},
                cwd="/",
                stdout=asyncio.subprocess.PIPE,
            )
            said, _ = await process.communicate()
            heard = [line.split() for line in said.decode().splitlines()]
            off = next((float(at) for name, at in heard if name == "clock"), time.time()) - time.time()
            world.expect(abs(off - seconds) < 60, f"the shop's clock is off by {off:.0f} s: this proves nothing")
            since = time.time() - time.monotonic()
            for name, begun in heard:
                if name != "clock":
                    world.ledger.reported(f"{SHOP}/{name}", float(begun) + since - 2 * MOST_ERROR)
            await world.settle()
    kept = await world.database["checkouts"].count_documents({})
    world.expect(kept == count, f"{kept} checkouts are stored, where {count} were reported")
    return Promise(on_time=True)


@scenario("shop-clock-ahead", "the clock of a shop's process an hour ahead")
async def shop_clock_ahead(world: World) -> Promise:
    """Reports count from the database's time, whether they come with a time of the shop's or without."""
    return await _by_a_clock_off_by(world, HOUR)


@scenario("shop-clock-behind", "the clock of a shop's process an hour behind")
async def shop_clock_behind(world: World) -> Promise:
    """Reports without a time count from the database's."""
    return await _by_a_clock_off_by(world, -HOUR)


@scenario("two-reporters", "checkouts reported by one process, and changed by another that has never seen them")
async def two_reporters(world: World) -> Promise:
    """The change counts, and the reminder moves with it: the other process inserts what it does not know, in vain."""
    count, later = world.size(400, 90), 1.5
    world.delays = {"reminder-1": world.size(9, 6)}
    client = connect(world.uri, appname="chaos")
    other = Recovery(client, database=world.database.name)
    names = [f"c{number}" for number in range(count)]

    async def report_by_other(name: str, at: float) -> None:
        touched_at = datetime.fromtimestamp(at, UTC)
        word = report(name, customer={"email": f"{name}@example.com"}, touched_at=touched_at)
        await world.insist(lambda: other.checkout(word))
        world.ledger.reported(word.id, at)

    async with world.daemon():
        at = int(time.time() * 1000) / 1000
        # From the second group on, a process knows the database's time, and inserts.
        await asyncio.gather(*(report_by_other(f"other{number}", at) for number in range(10)))
        await world.report_all(names, lambda: at)
        await asyncio.sleep(max(at + later + 0.3 - time.time(), 0))
        await in_parallel(report_by_other(name, at + later) for name in names)
        await world.settle()
    await client.close()
    changed = {"revision": 2, "_id": {"$regex": "/c"}}
    kept = await world.database["checkouts"].count_documents(changed)
    world.expect(kept == count, f"{kept} checkouts have the change, where {count} were changed")
    return Promise()
