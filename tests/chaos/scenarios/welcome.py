"""Who must not be written to any more, from one moment to the next, while a burst is under way."""

import asyncio
import json
import re
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

from tests.chaos.checker import Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import SHOP, World, in_parallel

LINKS = {"RECOVERY_LINKS__KEYS": "a key that is long enough", "RECOVERY_LINKS__BASE_URL": "https://mail.shop.example"}
_LINK = re.compile(rb"^List-Unsubscribe: <https://mail\.shop\.example(/[^>]+)>", re.MULTILINE)


async def _stopped_in_a_burst(world: World, stop: Callable[[str], Awaitable[None]]) -> Promise:
    """Have everything due at once at a slow relay, and stop half of it while that is sent."""
    count = world.size(400, 100)
    world.relay.pause = 0.4  # so that the burst outlasts the second that a call may take to be heeded
    world.settings["RECOVERY_SMTP__DOT_TIMEOUT"] = "30s"  # the relay is in this process: load delays it
    names = [f"c{number}" for number in range(count)]
    touched_at = time.time()
    async with world.daemon():
        await world.report_all(names, lambda: touched_at)
        await world.taken(count // 10, 20)
        taken = {mail.recipient for mail in world.relay.mails}
        waiting = [name for name in names if f"{name}@example.com" not in taken]
        await in_parallel(stop(name) for name in world.rng.sample(waiting, len(waiting) // 2))
        await world.settle()
    stopped = sum(entry.stopped_at is not None for entry in world.ledger.entries.values())
    world.notes.append(f"{stopped} stopped, {len(world.relay.mails)} mails")
    return Promise(skipped=True)


@scenario("suppressed", "addresses suppressed while a burst is under way")
async def suppressed(world: World) -> Promise:
    """From then on they are skipped, with that reason."""
    return await _stopped_in_a_burst(world, world.suppress)


@scenario("consent-withdrawn", "consent withdrawn while a burst is under way")
async def consent_withdrawn(world: World) -> Promise:
    """A refusal counts, whether consent is required or not."""
    return await _stopped_in_a_burst(world, world.withdraw)


@scenario("erased", "people erased while a burst is under way")
async def erased(world: World) -> Promise:
    """Nothing is sent to them, and nothing of them is left."""
    return await _stopped_in_a_burst(world, world.erase)


@scenario("cancelled", "checkouts cancelled while a burst is under way")
async def cancelled(world: World) -> Promise:
    """They are not reminded of."""
    return await _stopped_in_a_burst(world, world.cancel)


@scenario("unsubscribed", "people unsubscribing in one click, with another checkout about to be due")
async def unsubscribed(world: World) -> Promise:
    """A person who unsubscribes gets no reminder from then on."""
    count = world.size(60, 20)
    world.settings |= LINKS
    world.delays = {"reminder-1": 2.0, "reminder-2": world.size(8, 5)}
    names = [f"c{number}" for number in range(count)]
    touched_at = time.time()
    async with world.daemon() as daemon:
        await world.report_all(names, lambda: touched_at)
        await world.taken(count, 20)
        for mail in list(world.relay.mails)[: count // 2]:
            link = _LINK.search(mail.content.replace(b"\r\n ", b""))
            if link is None:
                world.expect(False, "a mail has no link to unsubscribe by")
                break
            await asyncio.to_thread(_click, f"http://{daemon.address}{link[1].decode()}")
            world.ledger.cancelled(f"{SHOP}/{mail.recipient.partition('@')[0]}", time.time())
        await world.settle()
    return Promise(skipped=True)


def _click(link: str) -> None:
    """Unsubscribe as a mail program does (RFC 8058)."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    urlopen(Request(link, b"List-Unsubscribe=One-Click", form), timeout=10).close()


@scenario("quiet-hours", "quiet hours beginning while a burst is under way")
async def quiet_hours(world: World) -> Promise:
    """From that minute on nobody is reminded; those who were not wait for the morning."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    with tempfile.TemporaryDirectory(prefix="recovery-chaos-") as folder:
        Path(folder, "Odd").write_bytes(_time_zone(-begin.second))  # or it would take a minute until the next minute
        world.settings |= {"PYTHONTZPATH": folder, "RECOVERY_SCHEDULE__TIME_ZONE": "Odd"}
        return await _quiet_from(world, begin)


def _time_zone(offset: int) -> bytes:
    """Return the file of a time zone that is so many seconds before UTC, for ever (RFC 8536, version 1)."""
    one_type, name = [0, 0, 0, 0, 1, 4], b"ODD\0"
    return struct.pack(">4s16x6l lBB", b"TZif", *one_type, offset, 0, 0) + name


async def _quiet_from(world: World, begin: datetime) -> Promise:
    world.settings["RECOVERY_SCHEDULE__QUIET_HOURS"] = f"{begin:%H:%M}-{begin + timedelta(hours=6):%H:%M}"
    world.relay.pause = 0.4
    world.settings["RECOVERY_SMTP__CONNECTIONS"] = "5"
    world.delays = {"reminder-1": 3.0}
    names = [f"c{number}" for number in range(world.size(300, 150))]
    async with world.daemon():
        touched_at = begin.timestamp() - 3.0 - 3.0
        await asyncio.sleep(touched_at - time.time())
        await world.report_all(names, lambda: touched_at)
        await asyncio.sleep(begin.timestamp() + 4.0 - time.time())
        world.restless = {"next_at": {"$type": "date", "$lte": datetime.now(UTC)}}
        await world.settle()
    late = [mail for mail in world.relay.mails if mail.handed_at > begin.timestamp() + 1.0]
    world.expect(not late, f"{len(late)} reminders were handed over in quiet hours")
    world.expect(bool(world.relay.mails), "nothing was sent before: this proves nothing")
    taken = {mail.recipient for mail in world.relay.mails}
    for name in names:
        if f"{name}@example.com" not in taken:
            world.postpone(name, "reminder-1")
    world.notes.append(f"{len(taken)} before, {len(world.postponed)} wait for the morning")
    return Promise()


@scenario("batch-rivals", "an order and a reminder of one person in one look")
async def batch_rivals(world: World) -> Promise:
    """After an outage nobody is reminded of what the same look confirms, nor twice within the least gap."""
    count = world.size(100, 40)
    world.settings |= {"RECOVERY_SCHEDULE__STOP_ON": "customer", "RECOVERY_SCHEDULE__MIN_GAP_PER_ADDRESS": "1h"}
    world.confirms = True
    touched_at = time.time() - 30
    for number in range(count):
        email = f"p{number}@example.com"
        await world.report(f"left{number}", touched_at=touched_at, email=email)
        await world.report(f"bought{number}", touched_at=touched_at, email=email)
        await world.order(f"bought{number}")
        world.ledger.cancelled(f"{SHOP}/left{number}", time.time())  # the same lamp, the same person
    async with world.daemon():
        await world.settle()
    confirmations = sum(b"Thank you for your order" in mail.content for mail in world.relay.mails)
    world.notes.append(f"{confirmations} confirmations, {len(world.relay.mails) - confirmations} reminders")
    return Promise(skipped=True)


def as_json(value: object) -> str:
    """Return a setting that is JSON."""
    return json.dumps(value)
