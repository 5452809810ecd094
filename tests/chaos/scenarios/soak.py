"""Everything at random, for as long as one likes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.relay import Relay
from tests.chaos.scenarios import scenario
from tests.chaos.scenarios.life import report_other, with_another_relay
from tests.chaos.world import LEASE, SHOP, World

GROWTH = 1.25
"""How much more memory a daemon may hold in the second half than in the first: the allocator's, not the work's."""


class Soak:
    """A steady daemon, another that comes and goes, two relays, and callers, until stopped."""

    def __init__(self, world: World, stack: AsyncExitStack, other_relay: Relay) -> None:
        self.world = world
        self.stack = stack
        self.relays = (world.relay, other_relay)
        self.other: Daemon | None = None
        self.number = 0
        self.hung = 0

    async def start_another(self) -> None:
        """Start the daemon that comes and goes, under a name of its own."""
        self.number += 1
        named = self.world.daemon(RECOVERY_DAEMON__NAME=f"other-{self.number}")
        self.other = await self.stack.enter_async_context(named)

    def happenings(self) -> list[Callable[[], Awaitable[None]]]:
        """Return all that may happen."""
        relays = [partial(self.cut, relay) for relay in self.relays]
        of_daemons, of_relay = [self.kill, self.deploy], [self.answers, self.slow, self.idle, self.quota]
        return [*of_daemons, *relays, *of_relay, self.history, self.drop, self.full]

    async def kill(self) -> None:
        """Kill the other daemon."""
        assert self.other is not None
        await self.world.kill(self.other, f"other-{self.number}#")
        await self.start_another()

    async def deploy(self) -> None:
        """Stop the other daemon as a deploy does."""
        assert self.other is not None
        await self.other.terminate()
        left = await self.world.in_hand(f"other-{self.number}#")
        self.world.expect(not left, f"a stop left {len(left)} claims behind")
        self.world.expect(self.other.process.returncode == 0, "a stop did not end well")
        await self.start_another()

    async def cut(self, relay: Relay) -> None:
        """Have a relay go away for a while; what it has and no daemon has recorded may be sent again."""
        await self.world.accident(time.time())
        await relay.fail()
        await asyncio.sleep(self.world.rng.uniform(0.5, 5))
        await relay.listen()

    async def answers(self) -> None:
        """Have the relay refuse, fall silent after the dot, and speak in other bytes."""
        relay = self.world.relay
        for phase, reply in (("RCPT", "450 4.2.0 later"), ("MAIL", "421 4.3.2 closing")):
            relay.answer(phase, reply, times=self.world.rng.randrange(1, 5))
        relay.hang_at("DOT", times=1)
        relay.answer("RCPT", "450 4.2.0 sp\xe4ter", encoding="latin-1")
        self.hung += 1

    async def slow(self) -> None:
        """Have the relay take its time at some phase."""
        rng, relay = self.world.rng, self.world.relay
        relay.slow = {rng.choice(("BANNER", "MAIL", "RCPT", "DATA")): rng.uniform(0.3, 1.5)}
        await asyncio.sleep(rng.uniform(2, 5))
        relay.slow = {}

    async def idle(self) -> None:
        """Have the relay close idle sessions from now on."""
        self.world.relay.idle = self.world.rng.uniform(0.2, 2)
        self.world.relay.idle_says = self.world.rng.choice((None, "421 4.4.2 idle for too long"))

    async def quota(self) -> None:
        """Have the relay say that we send too much."""
        reply = "550 you have exceeded the number of messages per hour"
        self.world.relay.answer("RCPT", reply, times=self.world.rng.randrange(5, 40))

    async def history(self) -> None:
        """Have streams lose their history.

        Only streams do, and of those that are read, only this one shares its collection with no other cursor.
        """
        command, collection = self.world.rng.choice((("aggregate", ""), ("getMore", "shadows")))
        async with self.world.failing([command], collection=collection, errorCode=286, appName="recovery"):
            await asyncio.sleep(self.world.rng.uniform(0.5, 3))

    async def drop(self) -> None:
        """Drop the shadows."""
        await self.world.database["shadows"].drop()

    async def full(self) -> None:
        """Have the disk be full, at times for longer than a lease."""
        async with self.world.failing(["update", "insert"], errorCode=14031):
            await asyncio.sleep(self.world.rng.uniform(0.2, LEASE * 1.5))


@scenario("soak", "everything at random", by_hand=True)
async def soak(world: World) -> Promise:
    """Lost 0, nothing doubled that no accident excuses, memory flat."""
    world.delays = {"reminder-1": 3.0, "reminder-2": 8.0}
    world.confirms = True
    ends_at = time.monotonic() + 60 * world.minutes
    samples: list[tuple[float, int]] = []
    async with AsyncExitStack() as stack:
        other_relay = await with_another_relay(world, stack)
        steady = await stack.enter_async_context(world.daemon(RECOVERY_DAEMON__NAME="steady"))
        going = Soak(world, stack, other_relay)
        await going.start_another()
        callers = asyncio.create_task(_call(world, ends_at - 15))
        sampler = asyncio.create_task(_sample(steady, samples))
        while time.monotonic() < ends_at - 15:
            await asyncio.sleep(world.rng.uniform(1, 5))
            await world.rng.choice(going.happenings())()
        for relay in going.relays:
            relay.clear_faults()
            relay.slow, relay.idle = {}, None
        world.healed()
        await callers
        await world.settle(150)
        sampler.cancel()
        world.relay.mails += other_relay.mails
        world.relay.unheard += other_relay.unheard
    half = len(samples) // 2
    early, late = (max((rss for _, rss in part), default=0) for part in (samples[half // 4 : half], samples[half:]))
    world.expect(late <= early * GROWTH, f"memory grew from {early} to {late} kB")
    world.notes.append(f"memory {early // 1024} MB, then {late // 1024} MB; {len(world.ledger.entries)} checkouts")
    # What may have been taken twice is given up in plain sight: a few, each with an accident to blame.
    return Promise(dead=going.hung + len(world.accidents) + len(world.relay.unheard), skipped=True)


async def _call(world: World, until: float) -> None:
    """Report, order, cancel, suppress and erase at random, 20 calls a second."""
    number = 0
    while time.monotonic() < until:
        number += 1
        if number % 5:
            await world.report(f"c{number}")
        else:
            await report_other(world, f"o{number}", touched_at=time.time())
        if number > 40 and world.rng.random() < 0.3:
            earlier = number - world.rng.randrange(1, 40)
            calls = [world.order, world.order, world.order, world.cancel, world.suppress]
            entry = world.ledger.entries.get(f"{SHOP}/c{earlier}")
            if entry is not None and f"{SHOP}/c{earlier}" not in world.erased:
                # Whoever has ordered may be erased before or after the confirmation: that decides nothing.
                calls += [world.erase] if entry.stopped_at is None else []
                await world.rng.choice(calls)(f"c{earlier}")
        await asyncio.sleep(world.rng.uniform(0.01, 0.09))


async def _sample(daemon: Daemon, samples: list[tuple[float, int]]) -> None:
    while True:
        samples.append((time.monotonic(), daemon.rss()))
        await asyncio.sleep(1)
