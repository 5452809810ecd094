"""Strangers who reach the HTTP port, or mail the bounce address, while reminders fall due."""

import asyncio
import hmac
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.chaos.checker import Promise, TooSlow
from tests.chaos.daemons import Daemon
from tests.chaos.scenarios import scenario
from tests.chaos.world import World
from tests.support.hostile_reports import HOSTILE
from tests.support.processor_time import Stopwatch

SECRET = "a secret that is long enough"
FILES = 1024
"""Open files that the daemon may have, as by default on many systems."""

MOST_MEMORY = 150 * 1024
"""Kilobytes that the daemon may ever hold."""

HELD = 0.5
"""Seconds of processor time for which the event loop may be held."""

SILENT = 1200
"""More than the daemon may open, without what it opens itself."""

TOGETHER = 4
"""Strangers that send at a time."""


@scenario("silent-connections", "1,200 silent connections while reminders fall due, with 1,024 open files")
async def silent_connections(world: World) -> Promise:
    """Relay and database keep descriptors of their own."""

    def limit(daemon: Daemon) -> None:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))

    async def be_silent(host: str, port: int) -> None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)

    return await _beset(world, be_silent, SILENT, limit)


@scenario("pipelined-requests", "clients that send requests without end and read no answer, while reminders fall due")
async def pipelined_requests(world: World) -> Promise:
    """They are cut off before they have filled the memory."""
    flood = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3000

    async def pour(host: str, port: int) -> None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            try:
                for _ in range(50):
                    writer.write(flood)
                    async with asyncio.timeout(1):
                        await writer.drain()
            except TimeoutError:
                await asyncio.sleep(1)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.2)

    return await _beset(world, pour, TOGETHER)


@scenario("hostile-bounces", "the worst reports that can be mailed to the bounce address, while reminders fall due")
async def hostile_bounces(world: World) -> Promise:
    """Each is read or refused within half a second, and nobody is suppressed for it."""
    world.settings |= {"RECOVERY_BOUNCES__SECRETS": SECRET, "RECOVERY_LINKS__KEYS": SECRET}
    world.settings |= {"RECOVERY_LINKS__BASE_URL": "https://mail.shop.example"}
    reports = list(HOSTILE.values())
    statuses: set[int] = set()

    async def bounce(host: str, port: int) -> None:
        body, now = world.rng.choice(reports), int(time.time())
        signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, "sha256").hexdigest()
        head = (
            f"POST /bounces HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\nContent-Length: {len(body)}\r\n"
            f"Recovery-Signature: t={now},v1={signature}\r\nConnection: close\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(head.encode() + body)
            statuses.add(int((await reader.read()).split(b" ", 2)[1]))
        finally:
            writer.transport.abort()

    promise = await _beset(world, bounce, TOGETHER)
    world.expect(statuses <= {200, 422}, f"bounces were answered with {sorted(statuses)}")
    return promise


async def _beset(
    world: World,
    attack: Callable[[str, int], Awaitable[None]],
    strangers: int,
    prepare: Callable[[Daemon], object] = lambda _: None,
) -> Promise:
    """Have reminders fall due one after the other while strangers attack again and again."""
    count, seconds = world.size(600, 100), world.size(20, 5)
    world.settings["RECOVERY_SMTP__DOT_TIMEOUT"] = "30s"  # the relay is in this process, which is beset as well
    async with world.daemon() as daemon, _pulse(daemon) as longest:
        prepare(daemon)
        async with _again_and_again(attack, daemon, strangers):
            for number in range(count):
                await world.report(f"c{number}")
                await asyncio.sleep(seconds / count)
            await world.taken(count, 30)
        await world.settle()
        memory = daemon.peak()
    world.expect(longest() <= HELD, TooSlow(f"the event loop was held for {longest():.2f} s, where {HELD} s may be"))
    world.expect(memory <= MOST_MEMORY, f"the daemon held {memory // 1024} MB, where {MOST_MEMORY // 1024} may be")
    world.notes.append(f"loop held for {longest():.2f} s at most, {memory // 1024} MB")
    return Promise(on_time=True)


@asynccontextmanager
async def _again_and_again(
    attack: Callable[[str, int], Awaitable[None]], daemon: Daemon, strangers: int
) -> AsyncIterator[None]:
    host, _, port = daemon.address.rpartition(":")

    async def go_on() -> None:
        while True:
            await attack(host, int(port))

    tasks = [asyncio.create_task(go_on()) for _ in range(strangers)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for fault in ended:
            if not isinstance(fault, asyncio.CancelledError):
                raise fault


@asynccontextmanager
async def _pulse(daemon: Daemon) -> AsyncIterator[Callable[[], float]]:
    """Ask over a connection of its own, all the time, whether the daemon lives; give the longest time to an answer.

    It is the daemon's processor time, or a tenth of the real time: other work on the machine holds no loop.
    """
    host, _, port = daemon.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    longest = 0.0

    async def ask() -> None:
        nonlocal longest
        while True:
            watch = Stopwatch(daemon.process.pid)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            longest = max(longest, watch.seconds())
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    try:
        yield lambda: longest
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        writer.transport.abort()
