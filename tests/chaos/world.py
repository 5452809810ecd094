"""The world of one scenario: a database of its own, a relay, daemons, callers, and the evidence of it all."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from recovery import Order, Recovery
from recovery.client import Unavailable, connect
from recovery.engine.breaker import LONGEST_PAUSE
from recovery.mongo import collections
from recovery.mongo.collections import CHECKOUTS, OPTIONS
from tests.chaos.checker import LOST, Accepted, Evidence, Promise, Row, judge
from tests.chaos.cluster import Cluster
from tests.chaos.daemons import Daemon, started
from tests.chaos.ledger import CONFIRMATION, Key, Ledger
from tests.chaos.relay import Relay
from tests.support.builders import report

SHOP = "shop.example"
CALLERS = 32
"""How many calls are made at a time."""

READY_WITHIN = 15
"""Seconds that readiness has to become what it must be, once all is done."""

TRIED_WITHIN = LONGEST_PAUSE + READY_WITHIN
"""The same where only the relay was at fault: it may not be tried again before that."""

ON_ITS_WAY = 1.0
"""Seconds that content may still take to the relay when its sender is gone already."""

LEASE = 4.0
HEARTBEAT_EXPIRY = 2.0
SWEEP = 1.0


class World:
    """What a scenario works with. `rng` is its only source of chance, `short` asks for small numbers."""

    def __init__(self, uri: str, relay: Relay, client: AsyncMongoClient, rng: random.Random, *, short: bool) -> None:
        self.relay = relay
        self.rng = rng
        self.short = short
        self.client = client
        self.uri = uri
        self.database = client.get_database(f"chaos-{uuid4().hex[:10]}", **OPTIONS)
        self.callers = connect(uri, appname="chaos")
        """The client that reports are made by: as Recovery connects, and not as the faults of its daemons strike."""
        self.recovery = Recovery(self.callers, database=self.database.name)
        self.cluster: Cluster | None = None
        self.ledger = Ledger()
        self.delays: dict[str, float] = {"reminder-1": self.size(3, 2)}
        self.confirms = False
        self.settings: dict[str, str] = {}
        self.healed_at: float | None = None
        self.claims: set[tuple[str, str]] = set()
        """What was claimed and not yet recorded when a daemon was killed, by checkout and token."""
        self.accidents: list[tuple[Key, float]] = []
        """What was being sent and not yet recorded when its sender was killed or stood still, and when that was."""
        self.excuses = True
        """Whether an accident excuses a double: with `skip`, nothing does."""
        self.erased: set[str] = set()
        self.daemons: list[Daemon] = []
        """Those that run."""
        self.swept = 0.0
        self.postponed: set[Key] = set()
        self.observed: list[str] = []
        self.notes: list[str] = []
        self.minutes = 10.0
        self.restless: dict[str, object] = {"next_at": {"$type": "date"}}
        """What is not at rest yet."""

    def size(self, long: int, short: int) -> int:
        """Return a number by the form that is asked for."""
        return short if self.short else long

    def healed(self) -> None:
        """Take note that the fault is over: from now on the time to recover runs."""
        self.healed_at = time.time()

    def expect(self, holds: bool, broken: str) -> None:
        """Take note of a broken promise, unless it holds."""
        if not holds:
            self.observed.append(broken)

    def uri_as(self, appname: str) -> str:
        """Return the URI for a daemon that the server knows by this name, so that faults can strike it alone."""
        return f"{self.uri}{'&' if '?' in self.uri else '?'}appName={appname}"

    def environment(self) -> dict[str, str]:
        """Return the environment of a daemon."""
        steps = [
            {"name": name, "delay": f"{delay:g}s", "template": "reminder-1", "subject": name, "max_lateness": "1h"}
            for name, delay in self.delays.items()
        ]
        return {
            "RECOVERY_MONGODB__URI": self.uri,
            "RECOVERY_MONGODB__DATABASE": self.database.name,
            "RECOVERY_SMTP__PORT": str(self.relay.port),
            "RECOVERY_SMTP__CONNECTIONS": "10",
            "RECOVERY_SMTP__TIMEOUT": f"{LEASE / 2:g}s",
            "RECOVERY_SMTP__DOT_TIMEOUT": f"{LEASE / 2:g}s",
            "RECOVERY_HTTP__PORT": "0",
            "RECOVERY_SCHEDULE__STEPS": json.dumps(steps),
            "RECOVERY_SCHEDULE__MIN_GAP": "1s",
            "RECOVERY_SCHEDULE__MIN_GAP_PER_ADDRESS": "0s",
            "RECOVERY_SCHEDULE__LEASE": f"{LEASE:g}s",
            "RECOVERY_SCHEDULE__RETRY_AFTER": "500ms",
            "RECOVERY_CONFIRMATION__ENABLED": str(self.confirms).lower(),
            "RECOVERY_DAEMON__HEARTBEAT": "400ms",
            "RECOVERY_DAEMON__HEARTBEAT_EXPIRY": f"{HEARTBEAT_EXPIRY:g}s",
            "RECOVERY_DAEMON__SWEEP_INTERVAL": f"{SWEEP:g}s",
            "RECOVERY_DAEMON__SWEEP_GRACE": f"{SWEEP:g}s",
            **self.settings,
        }

    @asynccontextmanager
    async def daemon(self, *, python_path: str = "", **settings: str) -> AsyncIterator[Daemon]:
        """Run a daemon. One that ends without being stopped, or whose log names a person, is a broken promise."""
        async with started(self.environment() | settings, python_path=python_path) as daemon:
            self.daemons.append(daemon)
            try:
                yield daemon
            finally:
                self.daemons.remove(daemon)
                ended = daemon.process.returncode is not None and not daemon.stopped
                last = [str(entry)[:300] for entry in daemon.log[-5:]]
                self.expect(not ended, f"a daemon ended by itself, saying {last}")
                named = daemon.lines_that_name_people()
                self.expect(not named, f"{len(named)} lines of a daemon's log name a person, as {named[:1]}")

    async def kill(self, daemon: Daemon, name: str = "") -> None:
        """Kill a daemon with signal 9; take note of what it had in hand."""
        at = time.time()
        await daemon.kill()
        await self.accident(at, name)

    async def accident(self, at: float, name: str = "") -> None:
        """Take note of what daemons of this name, or any, had claimed and not recorded when they were gone."""
        claimed = self.database[CHECKOUTS].find({"claim.owner": {"$regex": f"^{name}"}}, {"claim": 1, "messages": 1})
        async for each in claimed:
            self.claims.add((each["_id"], each["claim"]["token"]))
            sending = [step for step, message in each["messages"].items() if message["state"] == "sending"]
            self.accidents += [(Key(each["_id"], step), at) for step in sending]

    async def in_hand(self, name: str = "") -> set[tuple[str, str]]:
        """Return what is claimed and not yet recorded, by daemons of this name or any: the ids, and the tokens."""
        claimed = self.database[CHECKOUTS].find({"claim.owner": {"$regex": f"^{name}"}}, {"claim.token": 1})
        return {(each["_id"], each["claim"]["token"]) async for each in claimed}

    async def taken_unrecorded(self, name: str) -> set[str]:
        """Return the checkouts whose mail the relay has from daemons of this name that they have not yet recorded."""
        taken = {mail.key.checkout for mail in self.relay.accepted(self.ledger.entries, self.delays)}
        return taken & {id_ for id_, _ in await self.in_hand(name)}

    async def report(
        self, name: str, *, touched_at: float | None = None, email: str | None = None, **changes: object
    ) -> None:
        """Report a checkout, of an address of its own unless one is given, again and again until it is acknowledged."""
        at = _to_the_millisecond(time.time() if touched_at is None else touched_at)
        customer = {"email": email or f"{name}@example.com"}
        word = report(name, customer=customer, touched_at=datetime.fromtimestamp(at, UTC), **changes)
        await self.insist(lambda: self.recovery.checkout(word))
        self.ledger.reported(word.id, at)

    async def report_all(
        self,
        names: Iterable[str],
        touched_at: Callable[[], float] = time.time,
        email: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Report checkouts, some at a time."""
        await in_parallel(self.report(name, touched_at=touched_at(), email=email(name)) for name in names)

    async def order(self, name: str) -> None:
        """Report an order until it is acknowledged."""
        at = _to_the_millisecond(time.time())
        word = Order(shop=SHOP, order_id=name, ordered_at=datetime.fromtimestamp(at, UTC))
        await self.insist(lambda: self.recovery.order(word))
        self.ledger.ordered(word.id, at, time.time())

    async def cancel(self, name: str) -> None:
        """Cancel a checkout until that is acknowledged."""
        await self.insist(lambda: self.recovery.cancel(SHOP, name))
        self.ledger.cancelled(f"{SHOP}/{name}", time.time())

    async def suppress(self, name: str, email: str | None = None) -> None:
        """Have the shop suppress the address of a checkout until that is acknowledged."""
        address = email or f"{name}@example.com"
        await self.insist(lambda: self.recovery.suppress(address, shop=SHOP))
        self.ledger.cancelled(f"{SHOP}/{name}", time.time())

    async def erase(self, name: str) -> None:
        """Erase whom a checkout belongs to until that is acknowledged."""
        await self.insist(lambda: self.recovery.erase(f"{name}@example.com", shop=SHOP))
        self.ledger.cancelled(f"{SHOP}/{name}", time.time())
        self.erased.add(f"{SHOP}/{name}")

    async def withdraw(self, name: str) -> None:
        """Report that a customer says no, until that is acknowledged."""
        consent = {"given": False, "basis": "asked", "at": datetime.now(UTC), "source": "chaos"}
        await self.report(name, touched_at=self.ledger.entries[f"{SHOP}/{name}"].touched_at, consent=consent)
        self.ledger.cancelled(f"{SHOP}/{name}", time.time())

    def postpone(self, name: str, step: str) -> None:
        """Take note that a message must wait for longer than the scenario takes."""
        self.postponed.add(Key(f"{SHOP}/{name}", step))

    async def _shadows(self, checkouts: Mapping[str, Mapping[str, object]]) -> set[str]:
        """Return the checkouts that have a shadow. One too many does no harm, and goes when its time comes."""
        shadows: set[str] = set()
        for _ in range(READY_WITHIN * 2):
            shadows = {each["_id"] async for each in self.database["shadows"].find({}, {"_id": 1})}
            if all((checkouts.get(id_) or {}).get("next_at") for id_ in shadows):
                break
            await asyncio.sleep(0.5)
        return shadows

    async def insist(self, call: Callable[[], object]) -> int:
        """Call until it is acknowledged, as a caller does that is told `Unavailable`; return how often it was not."""
        refused = 0
        while True:
            try:
                await call()  # type: ignore[misc]
            except Unavailable:
                refused += 1
                await asyncio.sleep(0.1)
            else:
                return refused

    async def settle(self, within: float = 60) -> None:
        """Wait until no checkout wants to be looked at any more: what is not done by then is lost."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            with suppress(PyMongoError):
                if await self.database[CHECKOUTS].find_one(self.restless, {"_id": 1}) is None:
                    await self.shadows_set()
                    await self.look_back()
                    return
            await asyncio.sleep(0.1)
        left = self.database[CHECKOUTS].find(self.restless, {"status": 1, "messages": 1, "claim": 1}).limit(2)
        self.observed.append(f"not everything came to rest within {within:g} s: {[each async for each in left]}")

    async def shadows_set(self) -> None:
        """Give whoever has just planned a checkout the time to set its shadow, before anybody is stopped."""
        for _ in range(READY_WITHIN * 2):
            waiting = self.database[CHECKOUTS].find({"next_at": {"$gt": datetime.now(UTC)}}, {"_id": 1})
            ids = {each["_id"] async for each in waiting}
            if ids <= {each["_id"] async for each in self.database["shadows"].find({}, {"_id": 1})}:
                return
            await asyncio.sleep(0.5)

    async def look_back(self) -> None:
        """Take note of what the daemons that run have to say when all is done: readiness 200, and what sweeps did."""
        for daemon in [each for each in self.daemons if not each.stopped and each.process.returncode is None]:
            begun = time.monotonic()
            while True:
                status, checks = await daemon.ready()
                faults = {name: fault for name, fault in checks.items() if fault}
                within = TRIED_WITHIN if set(faults) == {"relay"} else READY_WITHIN
                if status == 200 or time.monotonic() - begun > within:
                    break
                await asyncio.sleep(0.2)
            self.expect(status == 200, f"when all is done, readiness says {status} {faults}")
            self.swept += await daemon.metric("recovery_looks_total", cause="sweep")

    async def left_over(self) -> list[str]:
        """Return what is not in order at the end, a sentence each."""
        found = []
        checkouts = {each["_id"]: each async for each in self.database[CHECKOUTS].find({}, {"history": 0, "facts": 0})}
        ours = {id_: each for id_, each in checkouts.items() if id_ in self.ledger.entries}
        shadows = await self._shadows(checkouts)
        if claimed := [id_ for id_, each in ours.items() if each.get("claim")]:
            found.append(f"{len(claimed)} claims are left: {claimed[:3]}")
        if orphans := [id_ for id_ in shadows if not (checkouts.get(id_) or {}).get("next_at")]:
            found.append(f"{len(orphans)} shadows are of nothing that waits: {orphans[:3]}")
        # What is due needs no shadow: a daemon that stops leaves it to the next one's start.
        now = datetime.now(UTC)
        if bare := [id_ for id_, each in ours.items() if id_ not in shadows and (each.get("next_at") or now) > now]:
            found.append(f"{len(bare)} checkouts wait without a shadow: {bare[:3]}")
        if open_ := [id_ for id_, each in ours.items() if each["status"] == "open" and not each.get("next_at")]:
            found.append(f"{len(open_)} checkouts are open and wait for nothing: {open_[:3]}")
        dead = {f"{key.checkout}#{key.step}" for key, (state, _) in (await self.ends()).items() if state == "dead"}
        letters = {each["_id"] async for each in self.database["dead_letters"].find({"step": {"$type": "string"}})}
        if odd := dead ^ letters:
            found.append(f"{len(odd)} dead messages and letters do not match: {sorted(odd)[:3]}")
        if kept := self.erased & set(checkouts):
            found.append(f"{len(kept)} erased checkouts are kept: {sorted(kept)[:3]}")
        return found

    async def taken(self, count: int, within: float = 60) -> None:
        """Wait until the relay has taken so many mails; do not insist."""
        with suppress(TimeoutError):
            await self.relay.wait_for(count, within)

    @asynccontextmanager
    async def failing(self, commands: list[str], *, collection: str = "", **data: object) -> AsyncIterator[Callable]:
        """Have the server fail these commands of this database; what is given returns, at the end, how many it did."""
        told = {"failCommands": commands, **data}
        if collection:
            told["namespace"] = f"{self.database.name}.{collection}"
        admin, count = self.client.admin, 0
        before = await admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=told)
        try:
            yield lambda: count
        finally:
            after = await admin.command("configureFailPoint", "failCommand", mode="off")
            count = after["count"] - before["count"]  # the server counts from its own start

    async def ends(self) -> dict[Key, tuple[str, str]]:
        """Return how each message stands in the database: its state, and its reason or reply."""
        found = {}
        async for document in self.database[CHECKOUTS].find({"messages": {"$type": "object"}}, {"messages": 1}):
            for step, message in document["messages"].items():
                state, why = message.get("state", ""), message.get("reason") or ""
                if state == "waiting" and message.get("ambiguous"):
                    why = LOST
                found[Key(document["_id"], step)] = (state, why)
        return found

    async def row(self, scenario: str, promise: Promise) -> Row:
        """Return the row of this world."""
        self.observed += await self.left_over()
        steps = [*self.delays, CONFIRMATION]
        accepted = self.relay.accepted(self.ledger.entries, steps)
        evidence = Evidence(
            ledger=self.ledger,
            accepted=accepted,
            excused=self.excused(accepted) | self.relay.cut(self.ledger.entries, steps),
            erased=self.erased,
            swept=self.swept,
            ends=await self.ends(),
            delays=self.delays,
            confirms=self.confirms,
            healed_at=self.healed_at,
            postponed=self.postponed,
            observed=self.observed,
            notes=self.notes,
        )
        return judge(scenario, evidence, promise)

    def excused(self, accepted: Iterable[Accepted]) -> set[Key]:
        """Return which messages an accident excuses: those that the relay had when it happened, and was not heard."""
        taken: dict[Key, float] = {}
        for mail in accepted:
            taken[mail.key] = min(mail.at, taken.get(mail.key, mail.at))
        if not self.excuses:
            return set()
        return {key for key, at in self.accidents if key in taken and taken[key] <= at + ON_ITS_WAY}


@asynccontextmanager
async def world(
    uri: str, seed: str, *, short: bool, cluster: Cluster | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[World]:
    """Make a world, and unmake it."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay())
        client = await stack.enter_async_context(
            AsyncMongoClient(uri, tz_aware=True, appname="chaos", serverSelectionTimeoutMS=5000)
        )
        made = World(uri, relay, client, random.Random(seed), short=short)
        made.cluster = cluster
        made.settings |= settings or {}
        await collections.ensure(made.database)
        try:
            yield made
        finally:
            with suppress(PyMongoError):
                await client.drop_database(made.database.name)
            await made.callers.close()


async def in_parallel(calls: Iterable) -> None:
    """Await these, `CALLERS` at a time."""
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(work())


def _to_the_millisecond(at: float) -> float:
    return int(at * 1000) / 1000
