"""Reports kept a second: single calls that share writes, beside the raw limit, and over HTTP."""

import asyncio
import time

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import Bench, checkouts, report_all, server_now, settle
from benchmarks.figures import benchmark
from benchmarks.measured import Figure, ratios
from recovery.mongo.collections import CHECKOUTS
from tests.chaos.daemons import Daemon
from tests.support.processor_time import processor_time

CALLERS = 64
BULK = 500


async def intake(bench: Bench, count: int) -> float:
    """Report so many checkouts, 64 calls at a time; return how many a second were kept, majority and journaled."""
    reports = list(checkouts(count, bench.seed, lambda _: None))
    async with bench.database() as database:
        took = await report_all(bench.recovery(database), reports, CALLERS)
        kept = await database[CHECKOUTS].count_documents({})
    if kept != count:
        raise RuntimeError(f"{kept} of {count} were kept")
    return count / took


async def raw_bulk(bench: Bench, count: int) -> float:
    """Upsert the same facts with nothing but PyMongo, in bulks of 500; return how many a second."""
    facts = [(report.id, report.facts()) for report in checkouts(count, bench.seed, lambda _: None)]
    async with bench.database() as database:
        now = await server_now(database)
        kept = {"status": "open", "opened_at": now, "touched_at": now, "revision": 1, "next_at": now, "purge_at": None}
        began = time.perf_counter()
        for start in range(0, count, BULK):
            bulk = [
                UpdateOne({"_id": id_}, {"$set": kept | {"facts": fact}}, upsert=True)
                for id_, fact in facts[start : start + BULK]
            ]
            await database[CHECKOUTS].bulk_write(bulk, ordered=False)
        return count / (time.perf_counter() - began)


@benchmark("intake", "reports kept: single calls, 64 at a time, majority and journaled")
async def measure(bench: Bench) -> list[Figure]:
    """Ours and raw bulk upserts, in turn."""
    count = bench.size(10_000, 3_000)
    ours, raw = [], []
    for round_ in range(bench.rounds):
        bench.tell(f"intake, round {round_ + 1} of {bench.rounds}")
        ours.append(await intake(bench, count))
        raw.append(await raw_bulk(bench, count))
    return [
        Figure("single calls, 64 at a time", "reports/s", tuple(ours), 12_000),
        Figure("raw bulk upserts of 500", "writes/s", tuple(raw)),
        ratios("single calls, of raw bulk upserts", ours, raw, 0.6),
    ]


@benchmark("http", "reports kept over HTTP: one process, 64 connections")
async def measure_http(bench: Bench) -> list[Figure]:
    """The load comes from this process; the daemon plans what it takes meanwhile."""
    count = bench.size(4_000, 1_500)
    rates = []
    for round_ in range(bench.rounds):
        bench.tell(f"http, round {round_ + 1} of {bench.rounds}")
        async with bench.database() as database, bench.daemon(database) as daemon:
            seconds, _ = await post_reports(bench, database, daemon, count)
        rates.append(count / seconds)
    return [Figure("POST /checkout, 64 connections", "reports/s", tuple(rates), 3_000)]


async def post_reports(bench: Bench, database: AsyncDatabase, daemon: Daemon, count: int) -> tuple[float, float]:
    """Report so many checkouts over HTTP, on 64 connections, to a daemon that has compiled its mails.

    Return the seconds that it took, and those of the daemon's processor time.
    """
    first = await settle(bench, database)
    now = await server_now(database)
    reports = checkouts(count, bench.seed, lambda _: now)
    # Without what is left empty: a daemon of an older commit refuses fields that it does not know.
    bodies = [report.model_dump_json(exclude_defaults=True).encode() for report in reports]
    before = processor_time(daemon.process.pid)
    took = await _post_all(daemon.address, bodies)
    spent = processor_time(daemon.process.pid) - before
    kept = await database[CHECKOUTS].count_documents({}) - first
    if kept != count:
        raise RuntimeError(f"{kept} of {count} were kept")
    return took, spent


async def _post_all(address: str, bodies: list[bytes]) -> float:
    host, _, port = address.rpartition(":")
    waiting = iter(bodies)

    async def work() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for body in waiting:
            head = f"POST /checkout HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            content = await reader.readexactly(int(length.partition(b":")[2]))
            if not answer.startswith(b"HTTP/1.1 202"):
                raise RuntimeError((answer + content).decode())
        writer.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(work())
    return time.perf_counter() - began
