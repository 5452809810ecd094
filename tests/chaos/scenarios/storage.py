"""A database that takes no writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recovery.client import Unavailable
from tests.chaos.checker import Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import SWEEP, World
from tests.support.builders import report

SLACK = 8.0


async def _refusing(world: World, refusing: object, *, says: str) -> Promise:
    """Refuse writes while some are due and others are reported."""
    count, seconds = world.size(500, 60), world.size(10, 3)
    async with world.daemon():
        await world.report_all([f"before{number}" for number in range(count)])
        await world.taken(count // 10)
        async with refusing:  # type: ignore[attr-defined]
            during = asyncio.create_task(world.report_all([f"during{number}" for number in range(count)]))
            try:
                await world.recovery.checkout(report("refused"))
                world.expect(False, "a call was acknowledged while nothing could be written")
            except Unavailable as exc:
                clear = says in str(exc) and "call again later" in str(exc)
                world.expect(clear, f"the error is not clear: {exc}")
            await asyncio.sleep(seconds)
        world.healed()
        await during
        await world.settle()
    return Promise(recover_within=SWEEP + SLACK)


@scenario("disk-full", "disk full: 14031 on every write")
async def disk_full(world: World) -> Promise:
    """Calls fail with a clear error; afterwards nothing is lost."""
    writes = ["insert", "update", "delete", "findAndModify"]
    return await _refusing(world, world.failing(writes, errorCode=14031), says="failCommand")


@scenario("read-only", "read-only: user writes blocked on the server")
async def read_only(world: World) -> Promise:
    """Calls fail with a clear error; afterwards nothing is lost."""
    return await _refusing(world, _blocked(world), says="writes blocked")


@asynccontextmanager
async def _blocked(world: World) -> AsyncIterator[None]:
    await world.client.admin.command("setUserWriteBlockMode", **{"global": True})
    try:
        yield
    finally:
        await world.client.admin.command("setUserWriteBlockMode", **{"global": False})
