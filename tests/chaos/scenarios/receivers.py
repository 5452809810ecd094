"""Receivers: one mailbox provider that throttles us, or to which too many mails fail, is slowed alone."""

import asyncio
import time

from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import World

TOO_FAST = "421 4.7.28 Our system has detected an unusual rate of mail - gsmtp"
NOBODY = "550 5.1.1 The email account that you tried to reach does not exist - gsmtp"

HEARD_WITHIN = 30.0
"""Seconds: a pass of the daemon that was told, one of the other, and one in which that logs it; each is 5 s."""


@scenario("slow-receiver", "relay passing on that one mailbox provider gets too much")
async def slow_receiver(world: World) -> Promise:
    """That provider alone is slowed, and it is said so; the others are served in time, and no attempt is lost."""
    count = world.size(200, 60)
    names = _names(count)
    at_google = names[: world.size(40, 6)]
    emails = {name: f"{name}@gmail.com" for name in at_google}
    for name in world.rng.sample(at_google, world.size(5, 3)):
        world.relay.answer("RCPT", TOO_FAST, recipient=emails[name])
    touched_at = time.time()
    async with world.daemon() as daemon:
        await world.report_all(names, lambda: touched_at, email=emails.get)
        await world.settle(120)
        faults = [each for each in daemon.log if each["event"] == "relay failed"]
        world.expect(not faults, f"the breaker opened: {faults[:1]}")
        await _logged(daemon, "receiver slowed")
        slowed = _slowed(daemon)
        world.expect(slowed == {"google"}, f"slowed are {slowed or 'none'}, and not Google alone")
    await _no_attempt_is_lost(world)
    return Promise()


@scenario("slow-receiver-shared", "one of two daemons being told that a mailbox provider gets too much")
async def slow_receiver_shared(world: World) -> Promise:
    """The other slows that provider as well, without being told by it."""
    names = _names(world.size(100, 40))
    emails = {name: f"{name}@gmail.com" for name in names}
    world.relay.answer("RCPT", TOO_FAST, recipient=emails[world.rng.choice(names)])
    touched_at = time.time()
    async with world.daemon(RECOVERY_DAEMON__NAME="one") as one, world.daemon(RECOVERY_DAEMON__NAME="other") as other:
        await world.report_all(names, lambda: touched_at, email=emails.get)
        for daemon in (one, other):
            await _logged(daemon, "receiver slowed", within=HEARD_WITHIN)
        slowed = sum(_slowed(daemon) == {"google"} for daemon in (one, other))
        world.expect(slowed == 2, f"{slowed} of 2 daemons have slowed Google, and no other")
        await world.settle(120)
    await _no_attempt_is_lost(world)
    return Promise()


@scenario("unknown-users", "mailbox provider calling more than one in twenty unknown")
async def unknown_users(world: World) -> Promise:
    """That provider alone is slowed, and it is said so; the others are served in time."""
    first, later, others = _names(60), _names(8, "later"), _names(world.size(100, 30), "other")
    emails = {name: f"{name}@gmail.com" for name in (*first, *later)}
    unknown = first[10::15]
    for name in unknown:
        world.relay.answer("RCPT", NOBODY, times=None, recipient=emails[name])
    async with world.daemon() as daemon:
        for name in first:
            await world.report(name, email=emails[name])
            await asyncio.sleep(0.05)
        await world.taken(len(first) - len(unknown), 30)
        await _logged(daemon, "receiver slowed", within=HEARD_WITHIN)
        world.expect(_slowed(daemon) == {"google"}, f"slowed are {_slowed(daemon) or 'none'}, and not Google alone")
        touched_at = time.time()
        await world.report_all([*later, *others], lambda: touched_at, email=emails.get)
        await world.settle(120)
    at = {mail.recipient: mail.at for mail in world.relay.mails}
    took = max(at.get(emails[name], 0.0) for name in later) - min(at.get(emails[name], 0.0) for name in later)
    world.expect(took > 15, f"{len(later)} mails to Google went out within {took:.1f} s")
    late = max(at.get(f"{name}@example.com", float("inf")) for name in others) - touched_at - world.delays["reminder-1"]
    world.expect(late < 10, f"a mail to others was {late:.1f} s late")
    return Promise(dead=len(unknown))


def _names(count: int, prefix: str = "c") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def _slowed(daemon: Daemon) -> set[str]:
    return {each["receiver"] for each in daemon.log if each["event"] == "receiver slowed"}


async def _no_attempt_is_lost(world: World) -> None:
    found = world.database["checkouts"].find({"messages.reminder-1": {"$exists": True}}, {"messages": 1})
    burnt = sum([each["messages"]["reminder-1"]["attempts"] - 1 async for each in found])
    world.expect(burnt == 0, f"{burnt} attempts were lost")


async def _logged(daemon: Daemon, event: str, within: float = 10.0) -> None:
    """Wait until a daemon has logged an event; do not insist."""
    until = time.monotonic() + within
    while time.monotonic() < until and all(each["event"] != event for each in daemon.log):
        await asyncio.sleep(0.1)
