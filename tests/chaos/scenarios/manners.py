"""Relays as they are: idle sessions closed, slow at any phase, words in other bytes, quotas, no SMTPUTF8."""

import asyncio
import time
from collections.abc import Iterable

from tests.chaos.checker import Promise
from tests.chaos.ledger import Key
from tests.chaos.scenarios import scenario
from tests.chaos.world import LEASE, SHOP, World
from tests.support.smtp_servers import EXTENSIONS

SLOW = 3.0
"""Seconds: far longer than what is known of a checkout counts as fresh."""


def _names(count: int, prefix: str = "c") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


async def _at_once(world: World, names: Iterable[str]) -> float:
    """Report checkouts that become due at one instant; return that."""
    touched_at = time.time()
    await world.report_all(names, lambda: touched_at)
    return touched_at + world.delays["reminder-1"]


async def _attempts(world: World) -> dict[str, int]:
    found = world.database["checkouts"].find({"messages.reminder-1": {"$exists": True}}, {"messages": 1})
    return {each["_id"]: each["messages"]["reminder-1"]["attempts"] async for each in found}


async def _idle(world: World, mode: str) -> Promise:
    """A burst opens many connections; the relay closes them; then mails come now and again."""
    world.settings |= {"RECOVERY_SMTP__IDLE": "1500ms", "RECOVERY_SCHEDULE__ON_AMBIGUOUS": mode}
    world.relay.idle = 0.8
    burst, later = world.size(60, 30), world.size(12, 5)
    async with world.daemon():
        await _at_once(world, _names(burst))
        await world.taken(burst, 20)
        for number in range(later):
            await asyncio.sleep(1.0)
            await world.report(f"later{number}")
        await world.settle()
    more = [id_ for id_, attempts in (await _attempts(world)).items() if attempts != 1]
    world.expect(not more, f"{len(more)} took more than one attempt: {more[:3]}")
    return Promise(on_time=True)


@scenario("idle-relay-resend", "relay closing idle sessions, resend")
async def idle_resend(world: World) -> Promise:
    """A kept connection that the relay has closed costs nobody anything."""
    return await _idle(world, "resend")


@scenario("idle-relay-skip", "relay closing idle sessions, skip")
async def idle_skip(world: World) -> Promise:
    """The same, where a doubt would be a dead letter."""
    return await _idle(world, "skip")


@scenario("latin1-reply", "a reply in bytes that are not UTF-8")
async def latin1_reply(world: World) -> Promise:
    """It is kept as text, the daemon lives, and its neighbours are recorded."""
    reply = "450 4.2.0 Postfach des Empfängers voll"
    world.relay.answer("RCPT", reply, times=2, recipient="c7@example.com", encoding="latin-1")
    async with world.daemon():
        await _at_once(world, _names(world.size(200, 40)))
        await world.settle()
    return Promise()


async def _slow(world: World, phase: str) -> Promise:
    """Half of all order while the relay takes its time: nothing is handed over to them, and the others get theirs."""
    count = world.size(60, 20)
    names = _names(count)
    ordering = set(world.rng.sample(names, count // 2))
    world.settings |= {"RECOVERY_SMTP__TIMEOUT": "6s", "RECOVERY_SCHEDULE__LEASE": "12s"}
    world.settings |= {"RECOVERY_SMTP__CONNECTIONS": str(count)}
    world.delays = {"reminder-1": 3.0}
    async with world.daemon():
        world.relay.slow[phase] = SLOW
        due = await _at_once(world, names)
        await asyncio.sleep(due + 0.6 - time.time())
        await asyncio.gather(*(world.order(name) for name in ordering))
        await world.settle(60)
    world.notes.append(f"{len(world.relay.mails)} mails, {len(ordering)} orders")
    return Promise()


@scenario("slow-banner", "relay slow before its greeting, orders meanwhile")
async def slow_banner(world: World) -> Promise:
    """Who orders while a connection is being opened is not reminded."""
    return await _slow(world, "BANNER")


@scenario("slow-mail", "relay slow at MAIL, orders meanwhile")
async def slow_mail(world: World) -> Promise:
    """Who orders while the sender is looked up is not reminded."""
    return await _slow(world, "MAIL")


@scenario("slow-rcpt", "relay slow at RCPT, orders meanwhile")
async def slow_rcpt(world: World) -> Promise:
    """Who orders while the recipient is looked up is not reminded."""
    return await _slow(world, "RCPT")


@scenario("slow-data", "relay slow at DATA, orders meanwhile")
async def slow_data(world: World) -> Promise:
    """Who orders before the relay asks for the content is not reminded."""
    return await _slow(world, "DATA")


@scenario("slow-after-dot", "relay slow after the dot, for all and beyond the lease")
async def slow_after_dot(world: World) -> Promise:
    """The relay has the time that the standard gives it; the lease is renewed meanwhile, and nobody is mailed twice."""
    world.relay.pause = 2.5 * LEASE
    world.settings["RECOVERY_SMTP__DOT_TIMEOUT"] = "10m"
    async with world.daemon(RECOVERY_DAEMON__NAME="one"), world.daemon(RECOVERY_DAEMON__NAME="other"):
        await _at_once(world, _names(world.size(30, 12)))
        await world.settle(60)
    return Promise()


@scenario("never-after-dot", "relay answering one message too late again and again")
async def never_after_dot(world: World) -> Promise:
    """It is sent again at most once, and then given up as a dead letter; the others are not held up."""
    world.settings["RECOVERY_SMTP__DOT_TIMEOUT"] = "1s"
    world.relay.ponders["c3@example.com"] = 2.0
    async with world.daemon():
        await _at_once(world, _names(world.size(100, 20)))
        await world.settle(60)
    key = Key(f"{SHOP}/c3", "reminder-1")
    taken = sum(mail.recipient == "c3@example.com" for mail in world.relay.mails)
    state, why = (await world.ends())[key]
    world.expect((taken, state, why) == (2, "dead", "lost after the dot"), f"{taken} mails, {state} {why}")
    world.accidents.append((key, time.time()))  # nobody could know that it was taken
    return Promise(dead=1)


async def _refusing_all(world: World, reply: str, seconds: float) -> None:
    """Have the relay take some and then refuse everybody for a while."""
    count = world.size(200, 40)
    async with world.daemon():
        await _at_once(world, _names(count))
        await world.taken(count // 4, 20)
        world.relay.answer("RCPT", reply, times=None)
        await asyncio.sleep(seconds)
        world.relay.clear_faults()
        world.healed()
        await world.settle(90)
    suppressed = await world.database["suppressions"].count_documents({"reason": {"$exists": True}})
    world.expect(suppressed == 0, f"{suppressed} are suppressed")
    burnt = sum(attempts - 1 for attempts in (await _attempts(world)).values())
    world.expect(burnt == 0, f"{burnt} attempts were lost")


@scenario("quota-words", "relay saying that we send too much, under the code of a dead address")
async def quota_words(world: World) -> Promise:
    """Nobody is suppressed, nothing is dead, no attempt is lost; afterwards all is sent."""
    reply = "550 Domain shop.example has exceeded the max emails per hour (200/200 (100%)) allowed. Message discarded."
    await _refusing_all(world, reply, world.size(6, 3))
    return Promise(recover_within=20)


@scenario("strange-words", "relay calling everybody dead, in words that nobody foresaw")
async def strange_words(world: World) -> Promise:
    """Five in a row are too many: the brake holds, and those that were believed are given back."""
    await _refusing_all(world, "550 5.1.1 Lorem ipsum 4711 dolor sit amet", world.size(8, 5))
    return Promise(recover_within=20)


@scenario("no-smtputf8", "relay without SMTPUTF8, customers who need it")
async def no_smtputf8(world: World) -> Promise:
    """Their messages are dead in plain sight, and nobody is suppressed: the addresses are sound."""
    world.relay.offer(tuple(name for name in EXTENSIONS if name != "SMTPUTF8"))
    names = _names(world.size(100, 20))
    foreign = dict.fromkeys(names[:3], "zoë@example.com")
    touched_at = time.time()
    async with world.daemon():
        await world.report_all(names, lambda: touched_at, email=foreign.get)
        await world.settle()
    suppressed = await world.database["suppressions"].count_documents({"reason": {"$exists": True}})
    world.expect(suppressed == 0, f"{suppressed} are suppressed")
    return Promise(dead=3)


async def _one_bad_message(world: World) -> Promise:
    """Report one message that the relay answers as declared each time, and others at intervals."""
    world.settings["RECOVERY_SCHEDULE__MAX_ATTEMPTS"] = "2"
    count = world.size(60, 40)
    async with world.daemon() as daemon:
        await world.report("bad")
        for number in range(count):
            await world.report(f"c{number}")
            await asyncio.sleep(0.3)
        await world.settle(60)
        faults = [each for each in daemon.log if each["event"] == "relay failed"]
        world.expect(not faults, f"the breaker opened: {faults[:1]}")
    return Promise(dead=1, on_time=True)


@scenario("bad-recipient", "one message on which the relay hangs up each time")
async def bad_recipient(world: World) -> Promise:
    """The others are sent in time, the breaker stays closed, and that one ends dead after a few attempts."""
    world.relay.close_at("RCPT", times=None, recipient="bad@example.com")
    return await _one_bad_message(world)


@scenario("refused-recipient", "one message that the relay refuses each time as if the fault were ours")
async def refused_recipient(world: World) -> Promise:
    """The same: while the relay takes others, it is that message."""
    world.relay.answer("RCPT", "550 5.7.1 not permitted", times=None, recipient="bad@example.com")
    return await _one_bad_message(world)
