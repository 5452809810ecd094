"""Reminders due at random instants: how late the relay's acceptance is."""

import asyncio
import random
from datetime import datetime, timedelta

from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import DELAY, Bench, checkouts, lateness, moved_on, percentile, planned, report_all, server_now
from benchmarks.figures import benchmark
from benchmarks.measured import Figure

PER_SECOND = 150
OURS = "shop.example/c"
"""How the ids begin of what is reported here, and not of what was pending before."""


async def steady(bench: Bench, seconds: float, database: AsyncDatabase | None = None) -> list[float]:
    """Have 150 reminders a second due at random instants; return how late each was accepted, in seconds, in order.

    In an empty database, or in one where others are pending.
    """
    if database is None:
        async with bench.database() as empty:
            return await steady(bench, seconds, empty)
    count = int(PER_SECOND * seconds)
    begin = await server_now(database) + timedelta(seconds=4 + count / 500)

    def touched_at(rng: random.Random) -> datetime:
        return begin - DELAY + timedelta(milliseconds=rng.randrange(int(seconds * 1000)))

    async with bench.daemon(database):
        await report_all(bench.recovery(database), list(checkouts(count, bench.seed, touched_at)))
        await planned(database, count, OURS)
        ends_in = (begin - await server_now(database)).total_seconds() + seconds
        if ends_in < seconds:
            raise RuntimeError("not everything was planned before it was due: this measures something else")
        await asyncio.sleep(ends_in)
        await moved_on(database, count, begin + timedelta(seconds=seconds, minutes=1), OURS, within=30)
    late = await lateness(database)
    if len(late) != count:
        raise RuntimeError(f"{len(late)} of {count} were sent")
    return late


@benchmark("steady", "150 reminders a second at random instants: due to SMTP accepted and recorded")
async def measure(bench: Bench) -> list[Figure]:
    """As a shop's ordinary day, at some thirteen million reminders a day."""
    rounds = []
    for round_ in range(bench.rounds):
        bench.tell(f"steady, round {round_ + 1} of {bench.rounds}")
        rounds.append(await steady(bench, bench.size(6, 4)))
    bench.data["lateness"] = [1000 * late for round_ in rounds for late in round_]
    return figures(rounds)


def figures(rounds: list[list[float]]) -> list[Figure]:
    """Return the percentiles of lateness, in milliseconds."""
    return [
        Figure("lateness, p50", "ms", tuple(1000 * percentile(late, 50) for late in rounds), 10, at_most=True),
        Figure("lateness, p99", "ms", tuple(1000 * percentile(late, 99) for late in rounds), 50, at_most=True),
    ]
