"""Relays with limits: of rate, of connections, of errors; and rates that the settings tell of."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from tests.chaos.checker import Promise
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import World

PER_SECOND = 10
GREYLISTED_FOR = 1.5
MOST_CONNECTIONS = 5
MOST_ERRORS = 10
"""Errors in a row after which Postfix delays each reply by a second (`smtpd_soft_error_limit`)."""

PER_MINUTE = 40


def _names(count: int, prefix: str = "c") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


async def _due_at_once(world: World, names: Sequence[str]) -> None:
    touched_at = time.time()
    await world.report_all(names, lambda: touched_at)


async def _attempts(world: World) -> list[int]:
    found = world.database["checkouts"].find({"messages.reminder-1": {"$exists": True}}, {"messages": 1})
    return [each["messages"]["reminder-1"]["attempts"] async for each in found]


async def _ended_as(daemon: Daemon, *outcomes: str) -> dict[str, int]:
    """Return the number of attempts by outcome, for those of these outcomes that there were."""
    counts = {
        outcome: int(await daemon.metric("recovery_attempts_total", outcome=outcome, step="reminder-1"))
        for outcome in outcomes
    }
    return {outcome: count for outcome, count in counts.items() if count}


def _throttled(per_second: int) -> Callable[[str, str], str | None]:
    """Return the rule of a relay that takes so many mails in each second of its clock, in the words of Amazon SES."""
    taken: dict[int, int] = defaultdict(int)

    def rule(phase: str, _: str) -> str | None:
        second = int(time.time())
        if phase != "DOT":
            return None
        if taken[second] >= per_second:
            return "454 4.7.0 Throttling failure: Maximum sending rate exceeded."
        taken[second] += 1
        return None

    return rule


async def _throttling(world: World, most_throttled: float) -> Promise:
    """Have many times more due than the relay takes in a second; each mail may be throttled so often on average."""
    count = world.size(300, 120)
    world.relay.refuses = _throttled(PER_SECOND)
    async with world.daemon() as daemon:
        await _due_at_once(world, _names(count))
        await world.settle(world.size(150, 90))
        throttled = (await _ended_as(daemon, "throttled")).get("throttled", 0)
    most = int(most_throttled * count)
    world.expect(throttled <= most, f"the relay throttled {throttled} times, where at most {most} may be")
    burnt = sum(attempts - 1 for attempts in await _attempts(world))
    world.expect(burnt == 0, f"{burnt} attempts were lost")
    world.notes.append(f"{throttled} throttled")
    return Promise()


@scenario("throttling", "relay taking 10 mails a second, 454 Throttling failure for the others")
async def throttling(world: World) -> Promise:
    """All are sent, no attempt is lost, and the sender finds the rate."""
    return await _throttling(world, 1.2)


@scenario("throttling-told", "the same, with smtp.rate = 10/s")
async def throttling_told(world: World) -> Promise:
    """The relay has hardly anything to refuse."""
    world.settings["RECOVERY_SMTP__RATE"] = f"{PER_SECOND}/s"
    return await _throttling(world, 0.4)


async def _none_beyond_the_rate(world: World, names: Sequence[str]) -> None:
    """Wait until a minute's mails are taken, and a while for those that may not be; in the long form, for all.

    In the short form not for a whole minute: then the next mails would be on their way when the daemon is killed.
    """
    await world.taken(PER_MINUTE, within=30 if world.short else 60)
    if world.short:
        await world.taken(PER_MINUTE + 1, within=4)
        taken = {mail.recipient for mail in world.relay.mails}
        for name in names:
            if f"{name}@example.com" not in taken:
                world.postpone(name, "reminder-1")
    else:
        await world.settle(150)
    times = sorted(mail.at for mail in world.relay.mails)
    most = max((sum(at <= each < at + 60 for each in times) for at in times), default=0)
    world.expect(most <= PER_MINUTE, f"{most} mails were sent in a minute, where {PER_MINUTE} may be")
    world.notes.append(f"{most} mails in a minute")


@scenario("rate-shared", "smtp.rate = 40/min, shared by two daemons")
async def rate_shared(world: World) -> Promise:
    """Together they send 40 in a minute; the others are late, and none is lost."""
    world.settings["RECOVERY_SMTP__RATE"] = f"{PER_MINUTE}/min"
    names = _names(2 * PER_MINUTE)
    async with world.daemon(RECOVERY_DAEMON__NAME="one"), world.daemon(RECOVERY_DAEMON__NAME="other"):
        await _due_at_once(world, names)
        await _none_beyond_the_rate(world, names)
    return Promise()


@scenario("rate-kept", "smtp.rate = 40/min, a daemon killed with signal 9 and another started")
async def rate_kept(world: World) -> Promise:
    """The other one knows what was sent before."""
    world.settings["RECOVERY_SMTP__RATE"] = f"{PER_MINUTE}/min"
    before, after = _names(PER_MINUTE * 3 // 4, "before"), _names(PER_MINUTE, "after")
    async with world.daemon() as daemon:
        # A few at a time: what finds no connection in time has used up its place in the rate, and goes a minute later.
        for first in range(0, len(before), 5):
            await _due_at_once(world, before[first : first + 5])
            await asyncio.sleep(0.5)
        await world.settle(90)
        await world.kill(daemon)
    async with world.daemon():
        await _due_at_once(world, after)
        await _none_beyond_the_rate(world, after)
    return Promise()


@scenario("few-connections", "relay taking 5 connections at a time, of 20 that are configured")
async def few_connections(world: World) -> Promise:
    """The pool keeps to what the relay bears; no message is the worse for a connection that was refused."""
    relay, refused = world.relay, 0
    world.settings["RECOVERY_SMTP__CONNECTIONS"] = "20"

    def rule(phase: str, _: str) -> str | None:
        nonlocal refused
        if phase != "BANNER" or relay.open <= MOST_CONNECTIONS:
            return None
        refused += 1
        return "421 4.7.0 too many connections from your host"

    relay.refuses, relay.pause = rule, 0.02
    async with world.daemon() as daemon:
        await _due_at_once(world, _names(world.size(1500, 300)))
        await world.settle()
        failed = await _ended_as(daemon, "connection", "dropped", "throttled", "our fault")
    world.expect(not failed, f"messages failed for want of a connection: {failed}")
    most = 40
    world.expect(refused <= most, f"the relay refused {refused} connections, where at most {most} may be")
    world.notes.append(f"{refused} connections refused")
    return Promise()


@scenario("short-sessions", "relay closing each session after 20 mails")
async def short_sessions(world: World) -> Promise:
    """The message that it no longer takes there goes over another connection, and nobody is the worse for it."""
    world.relay.most_per_session = 20
    world.settings["RECOVERY_SMTP__CONNECTIONS"] = "3"
    async with world.daemon() as daemon:
        await _due_at_once(world, _names(world.size(1000, 200)))
        await world.settle()
        failed = await _ended_as(daemon, "connection", "dropped", "throttled", "our fault", "ambiguous")
    world.expect(not failed, f"messages failed with the session: {failed}")
    burnt = sum(attempts - 1 for attempts in await _attempts(world))
    world.expect(burnt == 0, f"{burnt} attempts were lost")
    return Promise()


@scenario("shut-out", "relay letting nobody in for a while")
async def shut_out(world: World) -> Promise:
    """One connection at a time asks whether it does; then all is sent."""
    seconds, connections, is_open = world.size(12, 4), 0, False
    world.settings["RECOVERY_SMTP__CONNECTIONS"] = "40"

    def rule(phase: str, _: str) -> str | None:
        nonlocal connections
        if phase != "BANNER" or is_open:
            return None
        connections += 1
        return "554 5.7.1 your account is suspended"

    world.relay.refuses = rule
    async with world.daemon():
        await _due_at_once(world, _names(world.size(400, 90)))
        await asyncio.sleep(world.delays["reminder-1"] + seconds)
        is_open = True
        world.healed()
        await world.settle(90)
    most = 20
    told = f"{connections} connections were tried while the relay let nobody in, where at most {most} may be"
    world.expect(connections <= most, told)
    burnt = sum(attempts - 1 for attempts in await _attempts(world))
    world.expect(burnt == 0, f"{burnt} attempts were lost")
    world.notes.append(f"{connections} connections refused")
    return Promise(recover_within=2 * seconds + 10)


@scenario("greylisting", "relay deferring each recipient at first")
async def greylisting(world: World) -> Promise:
    """Each mail is sent by its second or third attempt, and no session makes errors enough to be slowed down for it."""
    first: dict[str, float] = {}

    def rule(phase: str, recipient: str) -> str | None:
        if phase != "RCPT":
            return None
        now = time.monotonic()
        is_listed = now - first.setdefault(recipient, now) < GREYLISTED_FOR
        return "450 4.7.1 Greylisted, please try again later" if is_listed else None

    world.relay.refuses = rule
    world.settings |= {"RECOVERY_SCHEDULE__RETRY_AFTER": "1s", "RECOVERY_SMTP__CONNECTIONS": "3"}
    async with world.daemon() as daemon:
        await _due_at_once(world, _names(world.size(400, 100)))
        await world.settle(90)
        failed = await _ended_as(daemon, "connection", "dropped", "throttled", "our fault", "ambiguous")
    world.expect(not failed, f"a deferral was taken for something else: {failed}")
    errors = world.relay.most_errors
    told = f"a session made {errors} errors in a row, where {MOST_ERRORS} may be: Postfix slows it down after those"
    world.expect(errors <= MOST_ERRORS, told)
    most = max(await _attempts(world), default=0)
    world.expect(most <= 3, f"a message took {most} attempts, where 3 may be")
    return Promise()
