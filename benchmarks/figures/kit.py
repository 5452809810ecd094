"""The kit for tests: the processor time that virtual days cost."""

import time
from datetime import timedelta

from benchmarks.bench import Bench, checkouts
from benchmarks.figures import benchmark
from benchmarks.measured import Figure
from recovery.testing import RecoveryKit

APART = timedelta(seconds=3)
"""Between two checkouts that are not reported at once: each of their mails is then due alone."""

STEPS = 3


async def four_days(count: int, seed: int, apart: timedelta) -> float:
    """Return the seconds of processor time for so many checkouts, each with three reminders."""
    kit = RecoveryKit(schedule={"min_gap_per_address": "0s"})
    reports = list(checkouts(count, seed, lambda _: None))
    began = time.process_time()
    for report in reports:
        await kit.checkout(report)
        if apart:
            await kit.advance(seconds=apart.total_seconds())
    await kit.advance(days=4)
    used = time.process_time() - began
    if len(kit.mails) != STEPS * count:
        raise RuntimeError(f"{len(kit.mails)} mails went out, and not {STEPS * count}")
    return used


@benchmark("kit", "four virtual days of 1,000 checkouts in the kit for tests")
async def measure(bench: Bench) -> list[Figure]:
    """Without a server: all is in this process. The first round compiles the templates, and is not counted."""
    count = bench.size(1_000, 100)
    await four_days(10, bench.seed, timedelta(0))
    together = [await four_days(count, bench.seed, timedelta(0)) for _ in range(bench.rounds)]
    alone = [await four_days(count, bench.seed, APART) for _ in range(bench.rounds)]
    unit, bar = "s of processor time", 2 * count / 1_000
    return [
        Figure("checkouts reported at once", unit, tuple(together), bar, at_most=True),
        Figure("one checkout every 3 s, each mail alone", unit, tuple(alone)),
    ]
