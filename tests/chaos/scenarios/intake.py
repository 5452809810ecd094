"""Shops whose calls meet a database that stands still, and whose processes are killed in the midst of them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from recovery import Checkout, Recovery, Unavailable
from tests.chaos.checker import Promise, TooSlow
from tests.chaos.daemons import ROOT, Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import SHOP, World
from tests.support.builders import report

ANSWERED_WITHIN = 4.5
"""Seconds: the default limit of a call is 4, and this machine does more than wait for it."""

CALLERS = 8

REPORTER = """
import sys
from datetime import UTC, datetime
from recovery import SyncRecovery
from tests.support.builders import report
uri, database, path, name = sys.argv[1:]
recovery = SyncRecovery(uri, database=database, outbox=path, timeout=1)
for number in range(10**6):
    at = datetime.now(UTC).replace(microsecond=0)
    id_ = f"{name}-{number}"
    print("begun", id_, at.timestamp(), flush=True)
    recovery.checkout(report(id_, customer={"email": f"{id_}@example.com"}, touched_at=at))
    print("kept", id_, at.timestamp(), flush=True)
"""


@scenario("frozen-intake", "the database stands still while checkouts are reported, by the Python API and over HTTP")
async def frozen_intake(world: World) -> Promise:
    """Each call is answered within its limit, and what was acknowledged is reminded of."""
    seconds, longest = world.size(30, 7), 0.0
    async with world.daemon() as daemon, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        over = asyncio.Event()

        async def report_on(call: Callable[[str, float], Awaitable[bool]], name: str) -> None:
            nonlocal longest
            number = 0
            while not over.is_set():
                at = float(int(time.time()))
                began = time.monotonic()
                kept = await call(f"{name}-{number}", at)
                longest = max(longest, time.monotonic() - began)
                if kept:
                    world.ledger.reported(f"{SHOP}/{name}-{number}", at)
                    number += 1
                await asyncio.sleep(0.2)

        async def by_python(name: str, at: float) -> bool:
            try:
                await world.recovery.checkout(_checkout(name, at))
            except Unavailable:
                return False
            return True

        async def over_http(name: str, at: float) -> bool:
            return await _posted(client, daemon, name, at)

        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(report_on(by_python if number % 2 else over_http, f"c{number}"))
            await asyncio.sleep(2)
            async with _standing_still(world):
                await asyncio.sleep(seconds)
            world.healed()
            await asyncio.sleep(2)
            over.set()
        await world.settle(90)
    world.expect(longest <= ANSWERED_WITHIN, TooSlow(f"a call took {longest:.1f} s, where {ANSWERED_WITHIN} s may be"))
    world.notes.append(f"calls took {longest:.1f} s at most")
    return Promise(recover_within=60)


@scenario("outbox-killed", "processes with an outbox killed with signal 9 while the database stands still")
async def outbox_killed(world: World) -> Promise:
    """Every report acknowledged as kept is delivered by the next start, and reminded of."""
    count = world.size(200, 30)
    unheard: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        outbox = str(Path(folder) / "outbox")
        async with world.daemon():
            async with _standing_still(world):
                reporters = [await _reporting(world, outbox, name) for name in "ab"]
                for reporter in reporters:
                    await _acknowledged(world, reporter, count)
                for reporter in reporters:
                    reporter.kill()
                    unheard |= await _acknowledged(world, reporter, None)
            world.healed()
            async with Recovery(world.uri, database=world.database.name, outbox=outbox) as recovery:
                async with asyncio.timeout(60):
                    while await recovery.waiting():
                        await asyncio.sleep(0.05)
                for name, at in unheard.items():  # killed between the keeping and the word of it
                    if await recovery.get(SHOP, name) is not None:
                        world.ledger.reported(f"{SHOP}/{name}", at)
            await world.settle(90)
    world.notes.append(f"{len(world.ledger.entries)} kept in the outbox")
    return Promise(recover_within=60)


async def _reporting(world: World, outbox: str, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REPORTER, world.uri, world.database.name, outbox, name),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
    )


async def _acknowledged(world: World, reporter: asyncio.subprocess.Process, count: int | None) -> dict[str, float]:
    """Take note of what a reporter was told is kept, of so many, or of all until its end; return what it has begun."""
    assert reporter.stdout is not None
    begun: dict[str, float] = {}
    while count is None or count > 0:
        line = await reporter.stdout.readline()
        if not line.endswith(b"\n"):
            await reporter.wait()
            break
        what, name, at = line.decode().split()
        if what == "begun":
            begun = {name: float(at)}
            continue
        world.ledger.reported(f"{SHOP}/{name}", float(at))
        begun = {}
        count = count and count - 1
    return begun


async def _posted(client: httpx.AsyncClient, daemon: Daemon, name: str, at: float) -> bool:
    body = _checkout(name, at).model_dump(mode="json", exclude_none=True)
    answer = await client.post(f"http://{daemon.address}/checkout", content=json.dumps(body), headers=JSON)
    if answer.status_code not in (202, 503):
        raise AssertionError(f"{answer.status_code} {answer.text}")
    return answer.status_code == 202


JSON = {"Content-Type": "application/json"}


def _checkout(name: str, at: float) -> Checkout:
    return report(name, customer={"email": f"{name}@example.com"}, touched_at=datetime.fromtimestamp(at, UTC))


@asynccontextmanager
async def _standing_still(world: World) -> AsyncIterator[None]:
    process = (await world.client.admin.command("serverStatus"))["pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
