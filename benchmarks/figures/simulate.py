"""Simulations: drawn checkouts, each replayed by two schedules."""

import asyncio
import time

from benchmarks.bench import Bench
from benchmarks.figures import benchmark
from benchmarks.measured import Figure
from recovery.app.drawn_simulation import cores, simulate_drawn
from recovery.app.shards import ShardReplay, shards_of
from recovery.domain.schedule import Schedule
from recovery.domain.simulation import Comparison, Schedules
from recovery.settings.given import given_settings

NEW = {"steps": [{"name": "reminder-1", "delay": "1h"}, {"name": "reminder-2", "delay": "20h"}]}
QUIET = {"quiet_hours": "21:00-08:00", "time_zone": "Europe/Berlin"}
DAYS, LISTED = 30, 20


def schedules(changes: dict[str, str]) -> Schedules:
    """Return the default schedule and another, with the same changes to both."""
    return Schedules(*(_schedule({**each, **changes}) for each in ({}, NEW)))


def _schedule(section: dict[str, object]) -> Schedule:
    return given_settings({"schedule": section}).to_schedule()


def replayed(count: int, seed: int, both: Schedules) -> float:
    """Return the rate at which both schedules replay drawn checkouts in one process, by second of processor time."""
    shards = shards_of(count, seed, DAYS)
    began = time.process_time()
    replay, whole = ShardReplay(both, LISTED, ""), Comparison()
    for shard in shards:
        whole.add(replay.of(shard))
    used = time.process_time() - began
    _check(whole, count)
    return count / used


def on_all_cores(count: int, seed: int, both: Schedules) -> float:
    """Return the seconds that it takes as `recovery simulate` does it, by the clock on the wall."""
    began = time.monotonic()
    whole = simulate_drawn(both, shards_of(count, seed, DAYS), LISTED)
    took = time.monotonic() - began
    _check(whole, count)
    return took


def _check(whole: Comparison, count: int) -> None:
    if whole.checkouts != count or not whole.changed:
        raise RuntimeError(f"{whole.checkouts} checkouts were replayed, and not {count}")


@benchmark(
    "simulate", "drawn checkouts, replayed by the default schedule and by another; a million of them on all cores"
)
async def measure(bench: Bench) -> list[Figure]:
    """First in one process, then as `recovery simulate` does it: in a process for each core."""
    count, many = bench.size(100_000, 2_000), bench.size(1_000_000, 40_000)
    figures = []
    for name, changes in (("no quiet hours", {}), ("quiet hours in both", QUIET)):
        both = schedules(changes)
        rates = [replayed(count, bench.seed + round_, both) for round_ in range(bench.rounds)]
        figures.append(Figure(name, "checkouts/s of processor time", tuple(rates), 12_000))
    bench.tell(f"{many:,} checkouts on {cores()} cores")
    took = await asyncio.to_thread(on_all_cores, many, bench.seed, schedules(QUIET))
    reach = None if bench.quick else 60
    figures.append(Figure(f"{many:,} with quiet hours, {cores()} cores", "s", (took,), reach, at_most=True))
    return figures
