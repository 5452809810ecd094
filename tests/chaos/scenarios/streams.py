"""Expiry that does not come, history that is lost, positions that are refused, shadows that are dropped."""

import asyncio
import time

from recovery.daemon.words import EVERY as WORDS_EVERY
from recovery.mongo import collections
from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import HEARTBEAT_EXPIRY, LEASE, SWEEP, World

SLACK = 6.0
STREAMS = 2


@scenario("no-expiry", "TTL monitor off and expirer off")
async def no_expiry(world: World) -> Promise:
    """The sweep sends everything, says so in its count, and readiness is degraded meanwhile."""
    count = world.size(1000, 60)
    world.settings["RECOVERY_DAEMON__EXPIRER"] = "false"
    await world.client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
    try:
        async with world.daemon() as daemon:
            degraded = asyncio.create_task(_degraded(daemon))
            await world.report_all([f"c{number}" for number in range(count)])
            await world.settle()
            try:
                async with asyncio.timeout(10):
                    check = await degraded
                world.expect("no change stream had reported" in check, f"readiness says {check}")
            except TimeoutError:
                world.expect(False, "readiness never named the sweep")
            swept = await daemon.metric("recovery_looks_total", cause="sweep")
            behind = await daemon.metric("recovery_looks_total", cause="behind")
            world.expect(swept > 0 and swept + behind >= count, f"{swept:.0f} looks were counted as the sweep's")
            world.notes.append(f"{swept:.0f} looks by the sweep")
    finally:
        await world.client.admin.command("setParameter", 1, ttlMonitorEnabled=True)
    return Promise()


async def _degraded(daemon: Daemon) -> str:
    while True:
        status, checks = await daemon.ready()
        if status == 503 and checks["sweep"]:
            return checks["sweep"]
        await asyncio.sleep(0.05)


async def _without_regular_sweep(world: World, *commands: str) -> Promise:
    """Lose the history while some are due and others reported; only the sweep after the loss can know of them."""
    world.settings["RECOVERY_DAEMON__SWEEP_INTERVAL"] = "10m"
    world.settings["RECOVERY_DAEMON__EXPIRER"] = "false"  # which looks ahead, and needs no stream for that
    world.delays = {"reminder-1": world.size(3, 2), "reminder-2": world.size(9, 6)}
    count, seconds = world.size(400, 60), world.size(10, 3)
    async with world.daemon() as daemon:
        await world.report_all([f"before{number}" for number in range(count)])
        began = time.monotonic()
        opened = await _streams_opened(world)
        async with world.failing(list(commands), errorCode=286, appName="recovery") as hits:
            await world.report_all([f"during{number}" for number in range(count)])
            await asyncio.sleep(seconds)
            status, checks = await daemon.ready()
            faults = [name for name, fault in checks.items() if name.startswith("stream") and fault]
            # A stream that opens and dies at once is well for a moment, so only one that does not open must be told of.
            told = "aggregate" not in commands or (status == 503 and len(faults) == STREAMS)
            world.expect(told, f"readiness says {status} {faults}")
        lasted = time.monotonic() - began
        attempts = await _streams_opened(world) - opened
        if "aggregate" in commands:
            attempts = hits() - int(lasted / WORDS_EVERY)  # edited words are asked for by an aggregate too
        allowed = STREAMS * (lasted + 2)
        world.expect(attempts <= allowed, f"{attempts} attempts in {lasted:.1f} s, where {allowed:.0f} may be")
        world.notes.append(f"{attempts / STREAMS / lasted:.1f} attempts a second for each stream")
        world.healed()
        await world.settle()
    await _whole(world)
    return Promise(recover_within=SWEEP + SLACK)


@scenario("history-lost-open", "history lost: 286 on every aggregate and getMore")
async def history_lost_open(world: World) -> Promise:
    """Streams that cannot be opened are tried once a second; then what they missed is swept."""
    return await _without_regular_sweep(world, "aggregate", "getMore")


@scenario("history-lost-read", "history lost: 286 on every getMore")
async def history_lost_read(world: World) -> Promise:
    """Streams that die as soon as they are read are opened once a second, and each loss is swept for."""
    return await _without_regular_sweep(world, "getMore")


@scenario("token-refused", "refused position at the start")
async def token_refused(world: World) -> Promise:
    """A position that the server refuses is given up; what happened in the meantime is swept."""
    count = world.size(400, 60)
    world.settings |= {"RECOVERY_DAEMON__SWEEP_INTERVAL": "10m", "RECOVERY_DAEMON__NAME": "one"}
    world.delays = {"reminder-1": world.size(3, 2), "reminder-2": world.size(7, 5)}
    async with world.daemon() as daemon:
        await world.report_all([f"before{number}" for number in range(count)])
        await world.taken(count // 2)
        await world.kill(daemon)
    positions = world.database["positions"]
    world.expect(await positions.count_documents({}) == STREAMS, "the daemon saved no positions")
    await positions.update_many({}, {"$set": {"token": {"_data": "00"}}})
    await world.report_all([f"during{number}" for number in range(count)])
    await asyncio.sleep(LEASE)  # no regular sweep will find what the dead one had claimed
    world.healed()
    async with world.daemon() as daemon:
        began = time.monotonic()
        await world.settle()
        told = sum(entry["event"] == "change stream gap" for entry in daemon.log)
        allowed = STREAMS * (time.monotonic() - began + 2)
        world.expect(STREAMS <= told <= allowed, f"{told} losses were told of")
        # The first positions are kept at once, later ones once a second.
        await asyncio.sleep(2)
        garbage = await positions.count_documents({"token._data": "00"})
        world.expect(garbage == 0, f"{garbage} refused positions are still kept")
        await world.kill(daemon)
    return Promise(recover_within=10 + SLACK)


@scenario("position-kept", "killed between hearing of reports and looking at them")
async def position_kept(world: World) -> Promise:
    """Under its old name it resumes the streams where it had looked, not where it had read."""
    count = 12  # there is room for all: who has more in hand than that looks at whatever is due, in the streams or not
    world.settings |= {"RECOVERY_DAEMON__SWEEP_INTERVAL": "10m", "RECOVERY_DAEMON__NAME": "one"}
    async with world.daemon() as daemon:
        await world.report("first")
        await world.taken(1)
        slow = {"blockConnection": True, "blockTimeMS": 8000, "appName": "recovery"}
        async with world.failing(["find"], collection="checkouts", **slow):
            # A position is saved once a second at most, so they are heard of in two parts.
            for part in ("early", "late"):
                await world.report_all([f"{part}{number}" for number in range(count)])
                await asyncio.sleep(1.5)
            await world.kill(daemon)
    await asyncio.sleep(HEARTBEAT_EXPIRY + 1)  # or the dead one would have a share, which a sweep would make good
    world.healed()
    async with world.daemon():
        await world.settle()
    return Promise(recover_within=10 + SLACK)


@scenario("shadows-dropped", "collection shadows dropped")
async def shadows_dropped(world: World) -> Promise:
    """Alarms that are gone, with their collection and index, are made good."""
    count = world.size(400, 60)
    world.settings["RECOVERY_DAEMON__SWEEP_INTERVAL"] = "3s"
    world.delays = {"reminder-1": world.size(3, 2), "reminder-2": world.size(8, 6)}
    async with world.daemon() as daemon:
        await world.report_all([f"c{number}" for number in range(count)])
        await world.taken(count // 2)
        await world.database["shadows"].drop()
        world.healed()
        await world.settle()
        told = sum(entry["event"] == "change stream gap" for entry in daemon.log)
        world.expect(told > STREAMS, "the loss was not told of")
    await _whole(world)
    return Promise(recover_within=3 * 1.2 + 2 + SLACK)


async def _whole(world: World) -> None:
    faults = await collections.faults(world.database)
    world.expect(not faults, f"the database is not as it must be: {faults}")


async def _streams_opened(world: World) -> int:
    status = await world.client.admin.command("serverStatus")
    return int(status["metrics"]["aggStageCounters"]["$changeStream"])
