"""Many reminders due at one instant."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime, timedelta

import aiosmtplib
from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import DELAY, Bench, checkouts, moved_on, planned, report_all, server_now
from benchmarks.cost import Cost, Meter
from benchmarks.figures import benchmark
from benchmarks.measured import Figure, ratios
from recovery.mail.composer import Composer, Identity
from recovery.mail.templates.templates import Templates
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.documents import read
from recovery.settings import load_settings

CONNECTIONS = 20


async def burst(bench: Bench, count: int, relay_port: int | None = None, daemons: int = 1, **settings: str) -> float:
    """Have so many reminders due at one instant; return how many a second were accepted, recorded and planned on."""
    rate, _ = await metered(bench, count, relay_port, daemons, **settings)
    return rate


async def metered(
    bench: Bench,
    count: int,
    relay_port: int | None = None,
    daemons: int = 1,
    during: Callable[[str], AbstractAsyncContextManager[None]] | None = None,
    **settings: str,
) -> tuple[float, Cost]:
    """Do as `burst`, and return what it cost, too. `during` is entered before it, with the daemon's address.

    On a machine that is too slow to plan them before they are due, once more with four times as long.
    """
    if relay_port is not None:
        settings["RECOVERY_SMTP__PORT"] = str(relay_port)
    for lead in (2 + count / 2500, 4 * (2 + count / 2500)):
        async with bench.database() as database, AsyncExitStack() as stack:
            pids = {}
            for number in range(daemons):
                name = {"RECOVERY_DAEMON__NAME": f"bench-{number}"}
                daemon = await stack.enter_async_context(bench.daemon(database, **settings, **name))
                pids["daemon" if daemons == 1 else f"daemon {number + 1}"] = daemon.process.pid
                if during is not None:
                    await stack.enter_async_context(during(daemon.address))
            due_at = await server_now(database) + timedelta(seconds=lead)
            if await _planned_before(bench, database, count, due_at):
                meter = Meter(bench.client, relay=bench.relay_pid)
                await meter.begin(**pids)
                began = time.perf_counter()
                await moved_on(database, count, due_at + timedelta(hours=1), within=60 + count / 100)
                took = time.perf_counter() - began
                cost = await meter.end()
                sent = await database[CHECKOUTS].count_documents({"messages.reminder-1.state": "sent"})
                if sent != count:
                    raise RuntimeError(f"{sent} of {count} were sent")
                return count / took, cost
    raise RuntimeError("not everything was planned before it was due: this measures something else")


async def _planned_before(bench: Bench, database: AsyncDatabase, count: int, due_at: datetime) -> bool:
    """Report so many checkouts that are due at one instant, and wait until then; return whether all were planned."""
    await report_all(bench.recovery(database), list(checkouts(count, bench.seed, lambda _: due_at - DELAY)))
    await planned(database, count)
    left = (due_at - await server_now(database)).total_seconds()
    await asyncio.sleep(max(left, 0))
    return left >= 0


async def aiosmtplib_alone(bench: Bench, count: int, relay_port: int | None = None) -> float:
    """Send the same mails with nothing but aiosmtplib, prepared as bytes; return how many a second."""
    prepared = await prepared_mails(bench, 200)
    left = iter(range(count))

    async def work() -> None:
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1", port=relay_port or bench.relay_port, local_hostname="bench", start_tls=False
        ) as client:
            for number in left:
                sender, recipient, content = prepared[number % len(prepared)]
                await client.sendmail(sender, [recipient], content)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    return count / (time.perf_counter() - began)


async def prepared_mails(bench: Bench, count: int) -> list[tuple[str, str, bytes]]:
    """Return mails of the kind that the daemon sends, ready for SMTP."""
    schedule = load_settings().to_schedule()
    async with bench.database() as database:
        now = await server_now(database)
        await report_all(bench.recovery(database), list(checkouts(count, bench.seed, lambda _: now - DELAY)))
        composer = Composer(Templates(), Identity("shop@shop.example"))
        made = []
        async for document in database[CHECKOUTS].find():
            envelope = composer.compose(read(document), schedule.steps[0], now)  # type: ignore[arg-type]
            made.append((envelope.sender, envelope.recipient, envelope.content))
        return made


@benchmark("burst", "10,000 reminders due at one instant, 20 connections")
async def measure(bench: Bench) -> list[Figure]:
    """Ours and aiosmtplib alone, in turn. Their ratio, which is what travels, differs so little that two rounds do."""
    count = bench.size(10_000, 2_000)
    ours, alone, costs = [], [], []
    for round_ in range(rounds := min(bench.rounds, 2)):
        bench.tell(f"burst, round {round_ + 1} of {rounds}")
        rate, cost = await metered(bench, count)
        ours.append(rate)
        costs.append(cost.of_each(count))
        alone.append(await aiosmtplib_alone(bench, count))
    return [
        Figure(
            "burst", "mails/s", tuple(ours), 3500, note="SMTP accepted, recorded, and the next alarm set; two rounds"
        ),
        Figure("aiosmtplib alone, prepared bytes, uvloop", "mails/s", tuple(alone)),
        ratios("burst, of aiosmtplib alone", ours, alone, 0.55),
        *(Figure(f"a mail: {name}", "", tuple(cost[name] for cost in costs)) for name in costs[0]),
    ]


@benchmark("batches", "the burst by how many messages may be in flight, which bounds every batch")
async def measure_batches(bench: Bench) -> list[Figure]:
    """One round each: small batches pay for a round trip and a journal each time."""
    count = bench.size(1_200, 500)
    rates = {}
    for in_flight in (10, 30, 100, 300, 1000):
        bench.tell(f"batches: {in_flight} in flight")
        rates[in_flight] = await burst(bench, count, RECOVERY_DAEMON__IN_FLIGHT=str(in_flight))
    bench.data["batches"] = list(rates.items())
    return [Figure(f"{in_flight} in flight", "mails/s", (rate,)) for in_flight, rate in rates.items()]
