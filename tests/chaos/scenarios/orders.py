"""Orders that arrive just when a reminder is due."""

import asyncio
import time

from tests.chaos.checker import Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import World, in_parallel

DELAY = 30.0
"""Seconds: more than it takes to report them all, so that every due time lies ahead."""


async def _race(world: World, count: int, spread: float, around_due: tuple[float, float] = (-0.05, 0.05)) -> None:
    """Order every checkout within these seconds around the time its reminder is due."""
    world.delays = {"reminder-1": DELAY, "reminder-2": DELAY + 2}
    start = time.time() + world.size(15, 3)
    due = {f"c{number}": start + world.rng.uniform(0, spread) for number in range(count)}
    around = {name: world.rng.uniform(*around_due) for name in due}
    async with world.daemon():
        await in_parallel(world.report(name, touched_at=at - DELAY) for name, at in due.items())
        late = time.time() - start
        if late > 0:
            world.notes.append(f"reported {late:.1f} s too slowly for the first to be a race")

        async def order(name: str) -> None:
            await asyncio.sleep(due[name] + around[name] - time.time())
            await world.order(name)

        await asyncio.gather(*map(order, due))
        await world.settle()
    reminded = sum(b"reminder-1" in mail.content for mail in world.relay.mails)
    world.notes.append(f"{reminded} reminders were faster than their order")


@scenario("order-race", "orders within 50 ms around the due time")
async def order_race(world: World) -> Promise:
    """Every order is confirmed, and reminders end within a second of it."""
    world.confirms = True
    # Fifty a second: at four times that, two cores with another run beside this one are late themselves.
    await _race(world, world.size(1000, 100), world.size(20, 2))
    return Promise(on_time=True)


@scenario("order-race-slow-relay", "orders within 0.4 s after the due time, a relay that is too slow for it")
async def order_race_slow_relay(world: World) -> Promise:
    """What waits for a connection for too long goes back, so that the order is seen."""
    world.settings |= {"RECOVERY_DAEMON__IN_FLIGHT": "100", "RECOVERY_SMTP__CONNECTIONS": "2"}
    world.relay.pause = 0.08
    # Late enough for the messages to be claimed, and to wait for a connection.
    await _race(world, world.size(400, 150), world.size(4, 1), around_due=(0.2, 0.4))
    return Promise()


@scenario("order-race-slow-plan", "orders while the daemon's plan for their checkout is still being written")
async def order_race_slow_plan(world: World) -> Promise:
    """A plan that is decided on before the order, and written after it, does not open the checkout again."""
    world.settings |= {"RECOVERY_SCHEDULE__LEASE": "10s", "RECOVERY_DAEMON__HEARTBEAT_EXPIRY": "20s"}
    world.delays = {"reminder-1": 3.0}
    names = [f"c{number}" for number in range(world.size(300, 60))]
    slow = world.failing(["update"], blockConnection=True, blockTimeMS=800, appName="recovery")
    async with world.daemon() as daemon:
        await asyncio.sleep(1)  # until all that a start looks at is looked at
        async with slow:
            for part in range(3):  # as many looks as are made at a time: those at the orders come after the first plans
                daemon.pause()  # so that one look has all of them in hand
                await world.report_all(names[part::3])
                daemon.go_on()
                await asyncio.sleep(0.1)
            await in_parallel(world.order(name) for name in names)
            await asyncio.sleep(1.5)
        await world.settle()
    return Promise()


@scenario("order-race-slow-database", "the same, with a database that takes 1.5 s for each of the daemon's writes")
async def order_race_slow_database(world: World) -> Promise:
    """A claim that is decided on before the order, and written after it, does not take hold."""
    world.settings |= {"RECOVERY_SCHEDULE__LEASE": "10s", "RECOVERY_DAEMON__HEARTBEAT_EXPIRY": "20s"}
    count = world.size(400, 100)
    slow = world.failing(["update"], blockConnection=True, blockTimeMS=1500, appName="recovery")

    async def slowly() -> None:
        await asyncio.sleep(world.size(16, 3))
        async with slow:
            await asyncio.sleep(world.size(9, 4))

    slowness = asyncio.create_task(slowly())
    await _race(world, count, world.size(6, 2))
    await slowness
    return Promise()
