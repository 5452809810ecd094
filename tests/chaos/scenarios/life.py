"""Ordinary bad days: deploys in a burst, sick daemons, two relays, two versions, frozen and slow databases."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import bson
from bson.raw_bson import RawBSONDocument

from recovery.mongo.documents import SCHEMA
from tests.chaos.checker import Promise, TooSlow
from tests.chaos.daemons import Daemon
from tests.chaos.relay import Relay
from tests.chaos.scenarios import scenario
from tests.chaos.world import HEARTBEAT_EXPIRY, LEASE, SHOP, SWEEP, World
from tests.support.builders import report

OTHER_SHOP = "other.example"


def _names(count: int, prefix: str = "c") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@scenario("steady", "a calm afternoon")
async def steady(world: World) -> Promise:
    """Reports, changes and orders spread over time, by default settings for what is in flight: all on time."""
    world.delays = {"reminder-1": 2.0, "reminder-2": 4.0}
    world.confirms = True
    async with world.daemon() as daemon:
        for number in range(world.size(300, 80)):
            await world.report(f"c{number}")
            if number % 4 == 3:
                await world.order(f"c{number - 2}")
            await asyncio.sleep(0.06)
        status, checks = await daemon.ready()
        world.expect(status == 200, f"in steady traffic readiness says {status} {checks}")
        await world.settle()
    return Promise(on_time=True)


async def _deploys(world: World, mode: str) -> Promise:
    """Have everything due at once, and replace the daemon again and again while it is sent."""
    count, deploys = world.size(1500, 250), world.size(8, 3)
    world.settings["RECOVERY_SCHEDULE__ON_AMBIGUOUS"] = mode
    world.relay.pause = 0.05
    touched_at = time.time()
    await world.report_all(_names(count), lambda: touched_at)
    for deploy in range(deploys):
        async with world.daemon(RECOVERY_DAEMON__NAME="one") as daemon:
            await world.taken((deploy + 1) * count // (deploys + 2), 20)
            began = time.monotonic()
            await daemon.terminate()
            took = time.monotonic() - began
            world.expect(daemon.process.returncode == 0, f"a stop ended with {daemon.process.returncode}")
            world.expect(took < 10, TooSlow(f"a stop took {took:.1f} s"))
        claims = await world.in_hand()
        world.expect(not claims, f"a stop left {len(claims)} claims behind")
    async with world.daemon(RECOVERY_DAEMON__NAME="one"):
        await world.settle()
    attempts = [
        each["messages"]["reminder-1"]["attempts"]
        async for each in world.database["checkouts"].find({}, {"messages": 1})
    ]
    world.expect(set(attempts) == {1}, f"{sum(each != 1 for each in attempts)} lost an attempt")
    return Promise()


@scenario("deploys-resend", "SIGTERM in the midst of a burst, again and again, resend")
async def deploys_resend(world: World) -> Promise:
    """Each stop ends in time and gives back what it has not handed over: nothing doubled, no attempt lost."""
    return await _deploys(world, "resend")


@scenario("deploys-skip", "SIGTERM in the midst of a burst, again and again, skip")
async def deploys_skip(world: World) -> Promise:
    """And nothing that the relay never saw becomes a dead letter."""
    return await _deploys(world, "skip")


@scenario("lost-acknowledgements", "acknowledgements of claims lost for 3 s, skip")
async def lost_acknowledgements(world: World) -> Promise:
    """What was claimed without our hearing of it is given back: no dead letters, no doubles."""
    world.settings |= {"RECOVERY_SCHEDULE__ON_AMBIGUOUS": "skip"}
    world.delays = {"reminder-1": 3.0}
    count = world.size(200, 60)
    async with world.daemon():
        touched_at = time.time()
        await world.report_all(_names(count), lambda: touched_at)
        await asyncio.sleep(touched_at + 2.8 - time.time())
        concern = {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}
        async with world.failing(["update"], collection="checkouts", appName="recovery", writeConcernError=concern):
            await asyncio.sleep(world.size(3, 2))
        world.healed()
        await world.settle()
    return Promise(recover_within=LEASE + SWEEP + 8)


@scenario("outage-beyond-lease", "writes fail for longer than a lease while mails are with the relay, two daemons")
async def outage_beyond_lease(world: World) -> Promise:
    """What was sent is recorded when the database is back, and nobody sends it again."""
    count = world.size(300, 100)
    world.relay.pause = 0.3
    touched_at = time.time()
    async with world.daemon(RECOVERY_DAEMON__NAME="one"), world.daemon(RECOVERY_DAEMON__NAME="other"):
        await world.report_all(_names(count), lambda: touched_at)
        await world.taken(count // 5, 20)
        async with world.failing(["update", "insert", "delete"], errorCode=14031, appName="recovery"):
            await asyncio.sleep(LEASE * 1.5)
        world.healed()
        await world.settle()
    return Promise(recover_within=LEASE + SWEEP + 8)


@scenario("sick-daemon", "two daemons, one of which cannot reach the relay")
async def sick_daemon(world: World) -> Promise:
    """The other takes over its share, and nobody waits for long; the sick one finds out by itself that it is well."""
    count = world.size(300, 80)
    world.delays = {"reminder-1": 2.0}
    async with Relay() as unreachable:
        await unreachable.fail()
        async with world.daemon(RECOVERY_SMTP__PORT=str(unreachable.port)) as sick, world.daemon():
            for number in range(count):
                await world.report(f"c{number}")
                await asyncio.sleep(0.03)
            await _while_unready(world, sick)
            await unreachable.listen()
            await world.look_back()
        world.relay.mails += unreachable.mails
        late = max(mail.at - world.ledger.entries[mail.key.checkout].touched_at - 2.0 for mail in _accepted(world))
        world.expect(late < 2 * HEARTBEAT_EXPIRY + 2 * SWEEP + 4, TooSlow(f"somebody waited for {late:.1f} s"))
    return Promise()


@scenario("deaf-daemon", "two daemons, one of which hears nothing from its streams")
async def deaf_daemon(world: World) -> Promise:
    """It says so; the other takes over its share."""
    count = world.size(200, 60)
    world.delays = {"reminder-1": 2.0}
    async with world.daemon() as well, world.daemon(RECOVERY_MONGODB__URI=world.uri_as("deaf")) as deaf:
        slow = {"blockConnection": True, "blockTimeMS": 20_000, "appName": "deaf"}
        async with world.failing(["getMore"], **slow):
            await world.report_all(_names(count))
            await world.taken(count, 25)
            checks = {}
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while not any("has not moved" in (fault or "") for fault in checks.values()):
                        checks = (await deaf.ready())[1]
                        await asyncio.sleep(0.2)
            world.expect(any("has not moved" in (fault or "") for fault in checks.values()), f"it says {checks}")
            await deaf.kill()
        world.daemons.remove(deaf)
        await world.settle(30)
        world.daemons.append(deaf)
        world.expect(well.process.returncode is None, "the other ended as well")
    return Promise()


def _accepted(world: World) -> list:
    return world.relay.accepted(world.ledger.entries, world.delays)


async def with_another_relay(world: World, stack: AsyncExitStack) -> Relay:
    """Give another shop a relay of its own."""
    other = await stack.enter_async_context(Relay())
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="recovery-chaos-"))
    config = Path(folder) / "recovery.toml"
    config.write_text(f'[shops."{OTHER_SHOP}".smtp]\nport = {other.port}\n')
    world.settings["RECOVERY_CONFIG"] = str(config)
    return other


async def report_other(world: World, name: str, *, touched_at: float) -> None:
    """Report a checkout of the other shop; the ledger records it as well."""
    at = int(touched_at * 1000) / 1000
    customer = {"email": f"{name}@example.com"}
    word = report(name, shop=OTHER_SHOP, customer=customer, touched_at=datetime.fromtimestamp(at, UTC))
    await world.insist(lambda: world.recovery.checkout(word))
    world.ledger.reported(word.id, at)


@scenario("two-lanes", "two relays, one of which is down from the start and again later")
async def two_lanes(world: World) -> Promise:
    """The shops of the other do not notice: their confirmations and reminders are on time."""
    count = world.size(60, 25)
    world.delays = {"reminder-1": 1.0}
    world.confirms = True
    async with AsyncExitStack() as stack:
        other = await with_another_relay(world, stack)
        await other.fail()
        for number in range(count):
            await report_other(world, f"o{number}", touched_at=time.time() - 10)
        async with world.daemon() as daemon:
            for number in range(count):
                await world.report(f"c{number}")
                if number % 2:
                    await world.order(f"c{number}")
                await asyncio.sleep(0.1)
            world.restless = {"next_at": {"$type": "date"}, "_id": {"$regex": f"^{SHOP}/"}}
            await _while_unready(world, daemon)
            swept = await daemon.metric("recovery_looks_total", cause="sweep")
            world.expect(swept == 0, f"{swept:g} looks of the healthy shop were left to the sweep")
            late = [mail.at - _due(world, mail.key) for mail in _accepted(world) if mail.key in _dues(world)]
            world.expect(
                bool(late) and max(late) < 1.0,
                TooSlow(f"somebody of the healthy shop waited for {max(late, default=0):.2f} s"),
            )
            await other.listen()
            world.restless = {"next_at": {"$type": "date"}}
            await world.settle(90)
        world.relay.mails += other.mails
    return Promise()


def _dues(world: World) -> dict:
    dues = world.ledger.due(world.delays, confirms=True)
    return {key: at for key, at in dues.items() if key.checkout.startswith(f"{SHOP}/")}


def _due(world: World, key: object) -> float:
    return _dues(world)[key]


async def _while_unready(world: World, daemon: Daemon) -> None:
    """Settle without expecting readiness: a relay is down, and that must be said."""
    status, checks = await daemon.ready()
    world.expect(status == 503 and bool(checks["relay"]), f"with a relay down readiness says {status} {checks}")
    world.daemons.remove(daemon)
    await world.settle(30)
    world.daemons.append(daemon)


@scenario("version-skew", "documents of a newer version among ours")
async def version_skew(world: World) -> Promise:
    """What is newer is left alone, what is only more is passed over, an unknown reason suppresses."""
    checkouts, count = world.database["checkouts"], world.size(200, 40)
    now = datetime.now(UTC)
    sound = {"status": "open", "revision": 1, "opened_at": now, "touched_at": now, "next_at": now}
    newer = [
        sound | {"_id": f"{SHOP}/newer{n}", "schema": SCHEMA + 1, "messages": {"reminder-1": {"state": "pondered"}}}
        for n in range(600)
    ]
    await checkouts.insert_many(newer)
    unknown = {"_id": f"/{world.recovery._pseudonyms.of('c1@example.com')}", "reason": "on the moon", "at": now}
    await world.database["suppressions"].insert_one(unknown)
    async with world.daemon():
        await world.report_all(_names(count))
        world.ledger.cancelled(f"{SHOP}/c1", time.time() - 1.0)
        await checkouts.update_many({"_id": {"$regex": "c[2-9]$"}}, {"$set": {"facts.phone": "+49 30 1234"}})
        world.restless = {"next_at": {"$type": "date"}, "schema": {"$exists": False}}
        await world.settle()
    touched = await checkouts.count_documents({"schema": {"$exists": True}, "next_at": {"$ne": sound["next_at"]}})
    world.expect(touched == 0, f"{touched} newer documents were touched")
    return Promise(skipped=True)


@scenario("poison-bytes", "a document that is no UTF-8, one without room for more")
async def poison_bytes(world: World) -> Promise:
    """The others are sent, the daemon lives, and what cannot be written has a dead letter."""
    now = datetime.now(UTC)
    sound = {"status": "open", "revision": 1, "opened_at": now, "touched_at": now, "next_at": now}
    facts = report("x").facts() | {"customer": {"email": "x@example.com", "name": "Zo_"}}
    latin = bson.encode(sound | {"_id": f"{SHOP}/latin", "facts": facts}).replace(b"Zo_", b"Zo\xeb")
    huge = sound | {"_id": f"{SHOP}/huge", "facts": facts, "pad": ""}
    room = 16 * 1024 * 1024 - 30 - len(bson.encode(huge))
    async with world.daemon():
        for raw in (latin, bson.encode(huge | {"pad": "x" * room})):
            await world.database["checkouts"].insert_one(RawBSONDocument(raw), bypass_document_validation=True)
        world.ledger.reported(f"{SHOP}/latin", now.timestamp())
        await world.report_all(_names(world.size(300, 50)))
        await world.settle()
    letter = await world.database["dead_letters"].find_one({"_id": f"{SHOP}/huge#"})
    world.expect(bool(letter), "no dead letter tells of the document without room")
    return Promise()


async def _frozen(world: World, freeze: Callable[[], Awaitable[list[int]]], seconds: float) -> Promise:
    """Stop database processes in the midst of a burst for a while."""
    count = world.size(600, 150)
    world.relay.pause = 0.05
    world.delays = {"reminder-1": 3.0}
    touched_at = time.time()
    async with world.daemon() as daemon:
        await world.report_all(_names(count), lambda: touched_at)
        await world.taken(count // 5, 20)
        processes = await freeze()
        try:
            await asyncio.sleep(seconds)
            if seconds > HEARTBEAT_EXPIRY + 2 and world.cluster is None:
                status, checks = await daemon.ready()
                world.expect(status == 503 and bool(checks["mongodb"]), f"readiness says {status} {checks}")
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)
        world.healed()
        await world.settle(90)
    return Promise(recover_within=60)


@scenario("frozen-database", "the database stands still for longer than a lease")
async def frozen_database(world: World) -> Promise:
    """Readiness names it; afterwards nothing is lost, and nothing doubled."""

    async def freeze() -> list[int]:
        process = (await world.client.admin.command("serverStatus"))["pid"]
        os.kill(process, signal.SIGSTOP)
        return [process]

    return await _frozen(world, freeze, LEASE * 1.5)


@scenario("frozen-primary", "the primary of three stands still for longer than an election takes", nodes=3)
async def frozen_primary(world: World) -> Promise:
    """Another is elected; nothing is lost, and nothing doubled."""
    assert world.cluster is not None
    cluster = world.cluster
    await cluster.whole()

    async def freeze() -> list[int]:
        process = cluster.process(await cluster.primary())
        os.kill(process, signal.SIGSTOP)
        return [process]

    return await _frozen(world, freeze, 12)


@scenario("slow-acknowledgements", "each write of the daemon acknowledged after 600 ms")
async def slow_acknowledgements(world: World) -> Promise:
    """Slower than what is known may be old: it is asked again before the content, and everything is sent."""
    count = world.size(100, 30)
    slow = world.failing(["update"], blockConnection=True, blockTimeMS=600, appName="recovery")
    async with slow, world.daemon(RECOVERY_SCHEDULE__LEASE="20s", RECOVERY_DAEMON__HEARTBEAT_EXPIRY="20s"):
        await world.report_all(_names(count))
        await world.settle(60)
    return Promise()


@scenario("hot-shop", "confirmations of one shop while another has thousands of reminders due")
async def hot_shop(world: World) -> Promise:
    """They come first, and the other shops have their turn."""
    count = world.size(3000, 600)
    # What is in flight already goes first: of few, that must not be most of them.
    world.settings["RECOVERY_DAEMON__IN_FLIGHT"] = str(world.size(500, 100))
    world.relay.pause = 0.05
    world.confirms = True
    touched_at = time.time() - 10
    await world.report_all(_names(count), lambda: touched_at)
    bought: dict[str, float] = {}
    async with world.daemon():
        for number in range(world.size(20, 8)):
            name = f"bought{number}"
            await world.report(name, touched_at=time.time() - 60)
            await world.order(name)
            bought[f"{SHOP}/{name}"] = time.time()
            await asyncio.sleep(0.1)
        await world.settle(120)
    waited = [mail.at - bought[mail.key.checkout] for mail in _confirmed(world) if mail.key.checkout in bought]
    world.expect(len(waited) == len(bought), f"{len(waited)} of {len(bought)} were confirmed")
    world.expect(
        max(waited, default=9) < 2.5, TooSlow(f"a confirmation came {max(waited, default=0):.1f} s after its order")
    )
    return Promise()


def _confirmed(world: World) -> list:
    return world.relay.accepted(world.ledger.entries, ["confirmation"])
