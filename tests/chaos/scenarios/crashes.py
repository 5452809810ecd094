"""Daemons that are killed, added, and stopped in the midst of what they do."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import HEARTBEAT_EXPIRY, LEASE, SWEEP, World

IN_FLIGHT = 40
CONNECTIONS = 10
"""As the world's daemons have: what goes out over each may have been cut off on its way."""

SLACK = 6.0
"""Seconds that a slow machine may add to a bound, the start of a daemon included."""


def _names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


async def _burst_with_kills(world: World) -> None:
    """Have everything due at once, and kill the daemon again and again while it sends."""
    count, kills = world.size(2000, 300), world.size(20, 3)
    world.settings["RECOVERY_DAEMON__IN_FLIGHT"] = str(IN_FLIGHT)  # or all would be claimed at the first kill
    world.relay.pause = 0.03  # or hardly anything would be in flight at a kill
    touched_at = time.time()
    await world.report_all(_names(count), lambda: touched_at)
    # With `skip`, what is in flight at a kill never reaches the relay, so the last kill must come before the end.
    instants = sorted(world.rng.sample(range(1, count - (kills + 1) * IN_FLIGHT), kills))
    for instant in instants:
        async with world.daemon() as daemon:
            await world.taken(instant, 20)
            await asyncio.sleep(world.rng.uniform(0, 0.02))
            await world.kill(daemon)
    world.healed()
    async with world.daemon():
        await world.settle()
    world.expect(bool(world.claims), "nothing was in flight at any kill: this proves nothing")
    world.notes.append(f"{kills} kills, {len(world.claims)} in flight at them")


@scenario("kill-resend", "daemon killed -9 at random instants of a burst, resend")
async def kill_resend(world: World) -> Promise:
    """Each kill may double what was in flight, and loses nothing."""
    await _burst_with_kills(world)
    return Promise(recover_within=LEASE + SWEEP + SLACK)


@scenario("kill-skip", "daemon killed -9 at random instants of a burst, skip")
async def kill_skip(world: World) -> Promise:
    """Each kill may end what was in flight as a dead letter, and doubles nothing."""
    world.settings["RECOVERY_SCHEDULE__ON_AMBIGUOUS"] = "skip"
    await _burst_with_kills(world)
    letters = await world.database["dead_letters"].count_documents({"cause": "lost after the dot"})
    dead = {key for key, (state, _) in (await world.ends()).items() if state == "dead"}
    world.expect(letters == len(dead), f"there are {letters} dead letters for {len(dead)} dead messages")
    world.excuses = False
    # That it is handed over is kept a moment before: who is killed in between gives up what nobody has seen.
    unseen = dead - {mail.key for mail in world.relay.accepted(world.ledger.entries, world.delays)}
    most = CONNECTIONS * world.size(20, 3)
    world.expect(
        len(unseen) <= most, f"{len(unseen)} were given up that the relay never saw, where at most {most} may be"
    )
    return Promise(dead=len(world.claims), recover_within=LEASE + SWEEP + SLACK)


def _shares(daemon: Daemon) -> list[int]:
    """Return among how many the daemon has shared the work, each time that it changed."""
    return [entry["daemons"] for entry in daemon.log if entry["event"] == "shares rebalanced"]


@scenario("two-daemons", "two daemons, one killed, then one added")
async def two_daemons(world: World) -> Promise:
    """The survivor takes over the share of the dead, and shares with the one that joins."""
    count, spread = world.size(1500, 200), world.size(12, 5)
    world.delays = {"reminder-1": spread + 2.0}
    async with world.daemon() as survivor, world.daemon() as victim:
        start = time.time()
        await world.report_all(_names(count), lambda: start - world.rng.uniform(0, spread))
        await world.taken(count // 3)
        await world.kill(victim)
        world.healed()
        await world.taken(count * 2 // 3, 20)
        async with world.daemon():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_EXPIRY + SLACK):
                    while _shares(survivor)[-2:] != [1, 2]:
                        await asyncio.sleep(0.05)
            world.expect(_shares(survivor)[-2:] == [1, 2], f"the survivor shared among {_shares(survivor)}")
            await world.settle()
    return Promise(recover_within=max(LEASE, HEARTBEAT_EXPIRY) + SWEEP + SLACK)


@scenario("stalled", "daemons stopped for longer than a lease in the midst of a burst, then let go on")
async def stalled(world: World) -> Promise:
    """A daemon that was away while its lease ended hands over nothing that another has sent, or that was ordered."""
    count = world.size(600, 200)
    touched_at = time.time()
    world.relay.pause = 0.1
    # More than there are connections, so that most of it waits; and less than a share, so that it is of several claims.
    world.settings["RECOVERY_DAEMON__IN_FLIGHT"] = str(4 * CONNECTIONS)
    ordered = set(world.rng.sample(_names(count), count // 4))
    unrecorded = 0
    async with world.daemon(RECOVERY_DAEMON__NAME="one") as one, world.daemon(RECOVERY_DAEMON__NAME="other"):
        await world.report_all(_names(count), lambda: touched_at)
        for round_ in range(world.size(3, 1)):
            await world.taken((round_ + 3) * count // 10, 20)
            one.pause()
            await world.accident(time.time(), "one")
            unrecorded += len(await world.taken_unrecorded("one"))
            if round_ == 0:
                await asyncio.gather(*(world.order(name) for name in ordered))
            await asyncio.sleep(LEASE + SWEEP + 3)  # until the other has taken over and sent what that one had
            one.go_on()
        world.healed()
        # Whoever had ordered waits for nothing, though what was with the relay then is still to be recorded.
        world.restless = {"$or": [world.restless, {"messages.reminder-1.state": "sending"}]}
        await world.settle()
    world.notes.append(f"{unrecorded} with the relay and not recorded when it stopped")
    return Promise(recover_within=LEASE + SWEEP + SLACK)


@scenario("stalled-claim", "a daemon stopped in the midst of its claims, orders meanwhile, then let go on")
async def stalled_claim(world: World) -> Promise:
    """A claim whose acknowledgement is found only later is not acted on as if it were fresh."""
    count = world.size(60, 20)
    names = _names(count)
    world.delays = {"reminder-1": 4.0}
    world.settings |= {"RECOVERY_SCHEDULE__LEASE": "20s", "RECOVERY_DAEMON__IN_FLIGHT": "100"}
    async with world.daemon() as daemon:
        touched_at = time.time()
        await world.report_all(names, lambda: touched_at)
        await asyncio.sleep(touched_at + world.delays["reminder-1"] - 0.5 - time.time())
        # The claims take hold on the server a second after they were asked for; by then nobody is there to hear of it.
        slow = {"blockConnection": True, "blockTimeMS": 1000, "appName": "recovery"}
        async with world.failing(["update"], collection="checkouts", **slow):
            await _asked_for(world)
            daemon.pause()
            await asyncio.sleep(1.5)
        claimed = await world.database["checkouts"].count_documents({"claim.token": {"$exists": True}})
        world.expect(claimed > 0, "nothing was claimed when the daemon was stopped: this proves nothing")
        world.notes.append(f"{claimed} claimed unheard")
        await _ordered_before_it_goes_on(world, daemon, names)
    return Promise()


@scenario("stalled-announced", "a daemon stopped while messages are announced behind contents, orders meanwhile")
async def stalled_announced(world: World) -> Promise:
    """What the relay asks the content of only after the order is not sent, though it was announced before."""
    names = _names(world.size(400, 150))
    touched_at = time.time()
    world.relay.pause = 0.1
    world.settings |= {"RECOVERY_SCHEDULE__LEASE": "20s", "RECOVERY_SMTP__DOT_TIMEOUT": "10s"}
    world.settings["RECOVERY_DAEMON__IN_FLIGHT"] = str(3 * CONNECTIONS)  # so that none waits until it is late
    ordering = world.rng.sample(names, len(names) // 2)
    async with world.daemon() as daemon:
        await world.report_all(names, lambda: touched_at)
        await world.taken(len(names) // 4, 20)
        daemon.pause()
        announced = world.relay.waiting_behind()
        world.expect(announced > 0, "nothing was announced behind a content when it stopped: this proves nothing")
        world.notes.append(f"{announced} announced when it stopped")
        await _ordered_before_it_goes_on(world, daemon, ordering)
    return Promise()


async def _ordered_before_it_goes_on(world: World, daemon: Daemon, names: Iterable[str]) -> None:
    """Order these, and let a stopped daemon go on when nothing may be sent to them any more."""
    await asyncio.gather(*map(world.order, names))
    await asyncio.sleep(1.5)
    daemon.go_on()
    world.healed()
    await world.settle()


@scenario("late-claim", "claims that reach the database after another daemon has sent the messages")
async def late_claim(world: World) -> Promise:
    """They find that the messages are not as they were seen, and fail."""
    count, late_by = world.size(100, 20), 10.0
    world.delays = {"reminder-1": 4.0, "reminder-2": 20.0}
    world.settings["RECOVERY_DAEMON__IN_FLIGHT"] = "200"
    slow = {"blockConnection": True, "blockTimeMS": int(1000 * late_by), "appName": "late"}
    async with world.daemon(RECOVERY_MONGODB__URI=world.uri_as("late")) as late, world.daemon():
        touched_at = time.time()
        await world.report_all(_names(count), lambda: touched_at)
        await asyncio.sleep(touched_at + world.delays["reminder-1"] - 0.5 - time.time())
        async with world.failing(["update"], collection="checkouts", **slow):  # it ends when the claims have gone on
            await _asked_for(world, "late")
            late.pause()
            await world.taken(count, late_by)
            taken = len(world.relay.mails)
        await asyncio.sleep(0.5)
        late.go_on()
        world.healed()
        await world.settle()
    world.expect(taken >= count, f"{taken} of {count} were sent before the late claims: this proves nothing")
    return Promise()


async def _asked_for(world: World, appname: str = "recovery") -> None:
    """Wait until a write of a daemon to the checkouts is under way on the server."""
    ours = {"appName": appname, "command.update": "checkouts", "command.$db": world.database.name}
    async with asyncio.timeout(20):
        while not (await world.client.admin.command({"currentOp": 1, "active": True, **ours}))["inprog"]:
            await asyncio.sleep(0.02)
