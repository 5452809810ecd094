"""What does not grow: the daemon's time and memory, with what is pending and with what is due."""

import asyncio
import os
import time
from pathlib import Path

from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import DELAY, Bench, fill, percentile, server_now
from benchmarks.figures import benchmark
from benchmarks.figures.steady import steady
from benchmarks.measured import Figure
from recovery.mongo.collections import CHECKOUTS
from tests.chaos.daemons import Daemon

TICKS = os.sysconf("SC_CLK_TCK")
MB = 1024


def cpu_seconds(daemon: Daemon) -> float:
    """Return how much processor time a daemon has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _idle(bench: Bench, database: AsyncDatabase, seconds: float) -> tuple[float, float]:
    """Return the share of a core that an idle daemon takes, in per cent, and its memory, in MB."""
    async with bench.daemon(database) as daemon:
        await asyncio.sleep(3)
        began, used = time.perf_counter(), cpu_seconds(daemon)
        await asyncio.sleep(seconds)
        return 100 * (cpu_seconds(daemon) - used) / (time.perf_counter() - began), daemon.rss() / MB


@benchmark("pending", "checkouts pending, nothing of them due")
async def measure_pending(bench: Bench) -> list[Figure]:
    """An idle daemon, and the steady test, beside none, a tenth of `bench.pending`, and all of it."""
    seconds = bench.size(5, 4)
    points, p50 = [], []
    for count in (0, bench.pending // 10, bench.pending):
        bench.tell(f"pending: {count:,} checkouts")
        async with bench.database(pending=count) as database:
            points.append((count, *await _idle(bench, database, seconds)))
            p50.append(1000 * percentile(await steady(bench, seconds, database), 50))
    bench.data["pending"] = [(*point, late) for point, late in zip(points, p50, strict=True)]
    made = []
    for (count, cpu, memory), late in zip(points, p50, strict=True):
        last = count == points[-1][0]
        told = f"{count:,} pending" if count else "nothing pending"
        made += [
            Figure(f"idle daemon, {told}", "% of a core", (cpu,), 2 if last else None, at_most=True),
            Figure(f"its memory, {told}", "MB", (memory,), 150 if last else None, at_most=True),
            Figure(f"steady lateness p50, {told}", "ms", (late,)),
        ]
    return [*made, Figure("lateness, most pending to none", "times", (p50[-1] / p50[0],), 1.2, at_most=True)]


@benchmark("memory", "memory in a burst of 200,000")
async def measure_memory(bench: Bench) -> list[Figure]:
    """All are due when the daemon starts; it is watched while it sends the first 10,000."""
    count, watched = bench.size(200_000, 20_000), bench.size(10_000, 2_000)
    largest = 0.0
    async with bench.database() as database:
        now = await server_now(database)
        await fill(database, count, touched_at=now - DELAY, next_at=now)
        async with bench.daemon(database, follows=False) as daemon:
            async with asyncio.timeout(300):
                sent = 0
                while sent < watched:
                    await asyncio.sleep(0.2)
                    largest = max(largest, daemon.rss() / MB)
                    sent = await database[CHECKOUTS].count_documents({"messages.reminder-1.state": "sent"})
    return [Figure("largest memory", "MB", (largest,), 250, at_most=True, note=f"while {watched:,} are sent")]


@benchmark("startup", "start-up of `recovery run` to ready")
async def measure_startup(bench: Bench) -> list[Figure]:
    """From the start of the process to its word that it does its work, on a database that is made."""
    seconds = []
    async with bench.database() as database:
        for _ in range(bench.rounds + 2):
            began = time.perf_counter()
            async with bench.daemon(database, follows=False):
                seconds.append(time.perf_counter() - began)
    return [Figure("start-up", "s", tuple(seconds), 1.5, at_most=True)]
