"""One burst to one relay, by a daemon as it ships, and its result mail by mail."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTPUTF8
from pathlib import Path
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from recovery import Recovery
from recovery.mongo import collections
from recovery.mongo.collections import OPTIONS
from tests.chaos.daemons import started
from tests.relays.limits import RETRY_AFTER, Limited
from tests.support.builders import report

DELAY = timedelta(minutes=30)
"""The delay of the first step of the default schedule."""

TIMES = 1.3
"""How many times what the limit takes a burst may take."""

BESIDE = 3.0
"""Seconds that a burst may take beside that: for starting, and for a relay that queues on the same two cores."""

STUCK_AFTER = 120.0
"""Seconds without a single mail more, after which the rest is given up."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of a burst. `took` is the time from when the mails were due until the last was recorded as sent."""

    limited: Limited
    count: int
    arrived: int
    twice: int
    dead: int
    suppressed: int
    took: float
    attempts: int

    @property
    def faults(self) -> list[str]:
        """The broken promises, in words."""
        faults = []
        if self.arrived != self.count:
            faults.append(f"{self.count - self.arrived} never arrived")
        if self.twice:
            faults.append(f"{self.twice} arrived twice")
        if self.dead:
            faults.append(f"{self.dead} dead letters")
        if self.suppressed:
            faults.append(f"{self.suppressed} suppressed")
        takes = self.limited.takes(self.count)
        if takes and self.took > TIMES * takes + BESIDE:
            faults.append(f"took {self.took:.0f} s: the limit asks for {takes:.0f}")
        return faults


async def deliver(uri: str, limited: Limited, count: int, tell: Callable[[str], None]) -> Delivery:
    """Have so many reminders due at one instant, for a daemon with this relay; return the delivery."""
    with tempfile.TemporaryDirectory(prefix="recovery-relay-") as folder:
        async with AsyncMongoClient(uri, tz_aware=True) as client, limited.run(Path(folder)) as running:
            database = client.get_database(f"relays-{uuid4().hex[:10]}", **OPTIONS)
            await collections.ensure(database)
            environment = {
                "RECOVERY_MONGODB__URI": uri,
                "RECOVERY_MONGODB__DATABASE": database.name,
                "RECOVERY_SMTP__HOST": "127.0.0.1",
                "RECOVERY_SMTP__PORT": str(running.port),
                "RECOVERY_SCHEDULE__RETRY_AFTER": f"{RETRY_AFTER:g}s",
                "RECOVERY_HTTP__PORT": "0",
                **running.settings,
            }
            async with started(environment) as daemon:
                due_at = await _now(database) + timedelta(seconds=2 + count / 200)
                await _report(Recovery(client, database=database.name), limited, count, due_at)
                await asyncio.sleep(max((due_at - await _now(database)).total_seconds(), 0))
                await _until_done(database, count, tell)
                await daemon.terminate()
            await _handed_on(running.inbox.mails, count)
            found = await _found(database, limited, count, due_at, [mail.content for mail in running.inbox.mails])
            await client.drop_database(database.name)
            return found


async def _report(recovery: Recovery, limited: Limited, count: int, due_at: datetime) -> None:
    async def one(number: int) -> None:
        customer = {"email": f"{limited.local_part}{number}@customers.example", "name": "Ada Lovelace"}
        await recovery.checkout(report(f"c{number}", customer=customer, touched_at=due_at - DELAY))

    for start in range(0, count, 200):
        await asyncio.gather(*(one(number) for number in range(start, min(start + 200, count))))


async def _until_done(database: AsyncDatabase, count: int, tell: Callable[[str], None]) -> None:
    """Wait until every message is sent or given up, or nothing happens any more."""
    ended = {"messages.reminder-1.state": {"$in": ["sent", "dead", "skipped"]}}
    before, changed_at = -1, time.monotonic()
    while (done := await database["checkouts"].count_documents(ended)) < count:
        tell(f"{done} of {count}")
        if done != before:
            before, changed_at = done, time.monotonic()
        if time.monotonic() - changed_at > STUCK_AFTER:
            return
        await asyncio.sleep(0.2)


async def _handed_on(mails: list, count: int) -> None:
    """Wait until the relay has handed on all that it took, or has fallen silent."""
    seen, silent = -1, 0
    while len(mails) < count and silent < 60:
        silent = silent + 1 if len(mails) == seen else 0
        seen = len(mails)
        await asyncio.sleep(0.5)
    await asyncio.sleep(1)


async def _now(database: AsyncDatabase) -> datetime:
    return (await database.command("hello"))["localTime"].replace(tzinfo=UTC)


async def _found(
    database: AsyncDatabase, limited: Limited, count: int, due_at: datetime, contents: list[bytes]
) -> Delivery:
    arrived = Counter(message_from_bytes(content, policy=SMTPUTF8)["Message-ID"] for content in contents)
    messages = [document["messages"]["reminder-1"] async for document in database["checkouts"].find()]
    last = max((message["sent_at"] for message in messages if "sent_at" in message), default=due_at)
    return Delivery(
        limited,
        count,
        arrived=len(arrived),
        twice=sum(times > 1 for times in arrived.values()),
        dead=await database["dead_letters"].count_documents({}),
        suppressed=await database["suppressions"].count_documents({}),
        took=(last - due_at).total_seconds(),
        attempts=sum(message["attempts"] for message in messages),
    )
