"""Everything at random, for as long as one likes."""

import asyncio
import time
from contextlib import AsyncExitStack

from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import LEASE, World

GROWTH = 1.25
"""How much more memory a daemon may hold in the second half than in the first: the allocator's, not the work's."""


@scenario("soak", "everything at random", by_hand=True)
async def soak(world: World) -> Promise:
    """Lost 0, doubled within the promise, memory flat."""
    world.delays = {"reminder-1": 3.0, "reminder-2": 8.0}
    world.confirms = True
    ends_at = time.monotonic() + 60 * world.minutes
    cut = 0
    samples: list[tuple[float, int]] = []
    async with AsyncExitStack() as stack:
        steady = await stack.enter_async_context(world.daemon())
        other: list[Daemon] = [await stack.enter_async_context(world.daemon())]
        callers = asyncio.create_task(_call(world, ends_at - 15))
        sampler = asyncio.create_task(_sample(steady, samples))
        while time.monotonic() < ends_at - 15:
            await asyncio.sleep(world.rng.uniform(1, 6))
            match world.rng.choice(("kill", "relay", "answers", "history", "shadows", "disk")):
                case "kill":
                    await world.kill(other.pop())
                    other.append(await stack.enter_async_context(world.daemon()))
                case "relay":
                    cut += world.relay.open
                    await world.relay.fail()
                    await asyncio.sleep(world.rng.uniform(0.5, 5))
                    await world.relay.listen()
                case "answers":
                    for phase, reply in (("RCPT", "450 4.2.0 later"), ("MAIL", "421 4.3.2 closing")):
                        world.relay.answer(phase, reply, times=world.rng.randrange(1, 5))
                    world.relay.hang_at("DOT", times=1)
                case "history":
                    # Only streams lose history, and of those that are read, only this one shares its collection with
                    # no other cursor.
                    command, collection = world.rng.choice((("aggregate", ""), ("getMore", "shadows")))
                    async with world.failing([command], collection=collection, errorCode=286, appName="recovery"):
                        await asyncio.sleep(world.rng.uniform(0.5, 3))
                case "shadows":
                    await world.database["shadows"].drop()
                case "disk":
                    async with world.failing(["update", "insert"], errorCode=14031):
                        await asyncio.sleep(world.rng.uniform(0.2, LEASE / 2))
        world.relay.mend()
        world.healed()
        await callers
        await world.settle(120)
        sampler.cancel()
    half = len(samples) // 2
    early, late = (max((rss for _, rss in part), default=0) for part in (samples[half // 4 : half], samples[half:]))
    world.expect(late <= early * GROWTH, f"memory grew from {early} to {late} kB")
    world.notes.append(f"memory {early // 1024} MB, then {late // 1024} MB; {len(world.ledger.entries)} checkouts")
    return Promise()


async def _call(world: World, until: float) -> None:
    """Report, order and cancel at random, 20 calls a second."""
    number = 0
    while time.monotonic() < until:
        number += 1
        await world.report(f"c{number}")
        if number > 40 and world.rng.random() < 0.3:
            name = f"c{number - world.rng.randrange(1, 40)}"
            await (world.order(name) if world.rng.random() < 0.7 else world.cancel(name))
        await asyncio.sleep(world.rng.uniform(0.01, 0.09))


async def _sample(daemon: Daemon, samples: list[tuple[float, int]]) -> None:
    while True:
        samples.append((time.monotonic(), daemon.rss()))
        await asyncio.sleep(1)
