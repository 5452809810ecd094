"""Many reports at once: a batch over HTTP and `recovery import`, beside single calls from Python in the same run."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import Bench, checkouts, report_all, server_now
from benchmarks.figures import benchmark
from benchmarks.measured import Figure, ratios
from recovery import Checkout
from recovery.mongo.collections import CHECKOUTS
from tests.chaos.daemons import Daemon

MB = 1024
"""Kilobytes."""

WARM = 2_000
"""Reports before the memory is looked at: caches are full, and the connections open."""

PART = 64 * 1024


async def _kept(database: AsyncDatabase, count: int) -> None:
    if (kept := await database[CHECKOUTS].count_documents({})) != count:
        raise RuntimeError(f"{kept} of {count} were kept")


def _lines(reports: Iterator[Checkout]) -> Iterator[bytes]:
    for report in reports:
        yield f"{report.model_dump_json(exclude_none=True)}\n".encode()


async def post_batch(address: str, lines: list[bytes], during: Daemon | None = None) -> tuple[float, float]:
    """Post one batch, and read the results meanwhile; return the seconds it took, and the daemon's largest memory."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    began, largest = time.perf_counter(), 0.0

    async def send() -> None:
        head = "POST /checkouts HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
        writer.write(f"{head}Host: {address}\r\nConnection: close\r\n\r\n".encode())
        part: list[bytes] = []
        size = 0
        for line in lines:
            part.append(line)
            size += len(line)
            if size > PART:
                writer.write(b"%x\r\n%s\r\n" % (size, b"".join(part)))
                await writer.drain()
                part, size = [], 0
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"".join(part)) if size else b"0\r\n\r\n")

    async def read() -> None:
        stored = 0
        while line := await reader.readline():
            stored += b'"id"' in line
        if stored != len(lines):
            raise RuntimeError(f"{stored} of {len(lines)} have an id")

    async def watch() -> None:
        nonlocal largest
        while during is not None:
            largest = max(largest, during.rss() / MB)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        group.create_task(read())
    took = time.perf_counter() - began
    watching.cancel()
    writer.close()
    return took, largest


async def single_calls(bench: Bench, count: int) -> float:
    """Return the single calls from Python that are kept a second, 64 at a time, with a daemon that plans beside."""
    async with bench.database() as database, bench.daemon(database):
        now = await server_now(database)
        reports = list(checkouts(count, bench.seed, lambda _: now))
        took = await report_all(bench.recovery(database), reports)
        await _kept(database, count)
        return count / took


async def batch(bench: Bench, count: int) -> tuple[float, float]:
    """Return the reports of one batch that are kept a second, and by how many megabytes the daemon grows meanwhile."""
    async with bench.database() as database, bench.daemon(database) as daemon:
        now = await server_now(database)
        lines = list(_lines(checkouts(count, bench.seed, lambda _: now)))
        await post_batch(daemon.address, lines[:WARM])
        before = daemon.rss() / MB
        took, largest = await post_batch(daemon.address, lines[WARM:], daemon)
        await _kept(database, count)
        return (count - WARM) / took, largest - before


async def imported(bench: Bench, count: int) -> float:
    """Return the reports of a file that `recovery import` keeps a second, its own start included, beside a daemon."""
    async with bench.database() as database, bench.daemon(database):
        now = await server_now(database)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "carts.ndjson")
            file.write_bytes(b"".join(_lines(checkouts(count, bench.seed, lambda _: now))))  # noqa: ASYNC240  small
            told = {"RECOVERY_MONGODB__URI": bench.uri, "RECOVERY_MONGODB__DATABASE": database.name}
            began = time.perf_counter()
            command = (sys.executable, "-m", "recovery", "import", str(file))
            process = await asyncio.create_subprocess_exec(
                *command, env=os.environ | told, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await process.communicate()
            took = time.perf_counter() - began
        if process.returncode:
            raise RuntimeError(said.decode())
        await _kept(database, count)
        return count / took


@benchmark("many", "many reports at once: a batch over HTTP, and a file, beside a daemon that plans")
async def measure(bench: Bench) -> list[Figure]:
    """Single calls, a batch and an import, in turn."""
    count, singles = bench.size(100_000, 6_000), bench.size(20_000, 4_000)
    calls, batches, grown, files = [], [], [], []
    for round_ in range(bench.rounds):
        bench.tell(f"many, round {round_ + 1} of {bench.rounds}")
        calls.append(await single_calls(bench, singles))
        rate, growth = await batch(bench, count)
        batches.append(rate)
        grown.append(growth)
        files.append(await imported(bench, singles))
    return [
        Figure("single calls, 64 at a time", "reports/s", tuple(calls)),
        Figure(f"POST /checkouts, one batch of {count}", "reports/s", tuple(batches)),
        ratios("the batch, of single calls", batches, calls, 0.8),
        Figure("growth of the daemon meanwhile", "MB", tuple(grown), 50, at_most=True),
        Figure(f"recovery import, a file of {singles}", "reports/s", tuple(files)),
        ratios("the import, of single calls", files, calls),
    ]
