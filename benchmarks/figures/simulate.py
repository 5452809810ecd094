"""Simulations: drawn checkouts, each replayed by two schedules."""

import time
from datetime import timedelta

from benchmarks.bench import Bench
from benchmarks.figures import benchmark
from benchmarks.measured import Figure
from recovery.app.shards import DRAWN_FROM
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Schedule
from recovery.domain.simulation import Schedules, Simulation
from recovery.domain.simulation.drawn import drawn
from recovery.settings.given import given_settings

NEW = {"steps": [{"name": "reminder-1", "delay": "1h"}, {"name": "reminder-2", "delay": "20h"}]}
QUIET = {"quiet_hours": "21:00-08:00", "time_zone": "Europe/Berlin"}


def replayed(count: int, seed: int, in_force: Schedule, new: Schedule) -> float:
    """Return the rate at which both schedules replay drawn checkouts, by second of processor time."""
    simulation = Simulation(PerShop(Schedules(in_force, new)))
    began = time.process_time()
    for group in drawn(count, seed, DRAWN_FROM, DRAWN_FROM + timedelta(days=30), "Europe/Berlin"):
        simulation.add("", group)
    used = time.process_time() - began
    if simulation.result.checkouts != count or not simulation.result.changed:
        raise RuntimeError(f"{simulation.result.checkouts} checkouts were replayed, and not {count}")
    return count / used


@benchmark("simulate", "drawn checkouts, replayed by the default schedule and by another")
async def measure(bench: Bench) -> list[Figure]:
    """In one process: `recovery simulate` uses all cores."""
    count = bench.size(100_000, 2_000)
    figures = []
    for name, changes in (("no quiet hours", {}), ("quiet hours in both", QUIET)):
        in_force, new = (given_settings({"schedule": each}).to_schedule() for each in (changes, {**NEW, **changes}))
        rates = [replayed(count, bench.seed + round_, in_force, new) for round_ in range(bench.rounds)]
        figures.append(Figure(name, "checkouts/s of processor time", tuple(rates), 8_500))
    return figures
