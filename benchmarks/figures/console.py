"""The console: its pages among a million checkouts, and what an open overview costs a burst."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from benchmarks.bench import Bench, percentile, server_now
from benchmarks.figures import benchmark
from benchmarks.figures.burst import metered
from benchmarks.figures.lists import SHOPS, fill
from benchmarks.measured import Figure, ratios

MOST_MS = 150


def _pages(rng: random.Random, count: int) -> dict[str, str]:
    """Return a page of each kind, by its name, with values drawn anew."""
    number = rng.randrange(count)
    shop = f"shop{number % SHOPS}.example"
    return {
        "overview": "/console",
        "checkouts": "/console/checkouts",
        "checkouts of a shop": f"/console/checkouts?shop={shop}",
        "checkouts skipped": f"/console/checkouts?shop={shop}&step=reminder-1&state=skipped",
        "a checkout": f"/console/checkouts/{shop}/c{number}",
        "dead letters": "/console/dead-letters",
        "suppressions": "/console/suppressions",
        "requests": "/console/requests",
        "mails": "/console/mails",
        "results": "/console/results",
        "schedule": "/console/schedule",
        "shops": "/console/shops",
    }


@benchmark("console", "pages of the console among a million checkouts, and what an open overview costs a burst")
async def measure(bench: Bench) -> list[Figure]:
    """Pages one at a time, by a client that is signed in; bursts in turns, with overviews open and without."""
    count, calls = bench.size(1_000_000, 20_000), bench.size(100, 20)
    rng = random.Random(bench.seed)
    took: dict[str, list[float]] = {}
    async with bench.database() as database:
        bench.tell(f"console: {count:,} checkouts")
        await fill(database, count, await server_now(database))
        async with bench.daemon(database) as daemon, _signed_in(daemon.address) as client:
            bench.tell("console: pages")
            for _ in range(calls):
                for name, path in _pages(rng, count).items():
                    began = time.perf_counter()
                    answer = await client.get(path)
                    took.setdefault(name, []).append(1000 * (time.perf_counter() - began))
                    answer.raise_for_status()
    pages = [
        Figure(
            f"{name}, p99", "ms", (percentile(sorted(each), 99),), MOST_MS, at_most=True, note=f"{count:,} checkouts"
        )
        for name, each in took.items()
    ]
    return pages + await _bursts(bench)


async def _bursts(bench: Bench) -> list[Figure]:
    count = bench.size(6_000, 1_500)
    alone, watched = [], []
    for number in range(bench.rounds):
        bench.tell(f"console: burst {number + 1} of {bench.rounds}")
        alone.append((await metered(bench, count))[1].of_each(count)["processor time, us"])
        watched.append((await metered(bench, count, during=_watched))[1].of_each(count)["processor time, us"])
    return [
        Figure("a mail of a burst, processor time", "us", tuple(alone)),
        Figure("with three overviews open", "us", tuple(watched)),
        replace(ratios("what they cost", watched, alone, 1.05), at_most=True),
    ]


@asynccontextmanager
async def _watched(address: str) -> AsyncIterator[None]:
    """Keep three overviews open, and read what comes."""
    async with _signed_in(address) as client:

        async def watch() -> None:
            async with client.stream("GET", "/console/live", timeout=None) as answer:
                async for _ in answer.aiter_lines():
                    pass

        watching: list[asyncio.Task[Any]] = [asyncio.create_task(watch()) for _ in range(3)]
        try:
            yield
        finally:
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


@asynccontextmanager
async def _signed_in(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False) as client:
        (await client.get("/console/sign-in")).raise_for_status()
        yield client
