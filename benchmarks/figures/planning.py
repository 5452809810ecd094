"""New checkouts: from the change in the stream to the shadow."""

import time
from datetime import timedelta

from benchmarks.bench import FILLED, Bench, fill, planned, server_now, settle
from benchmarks.figures import benchmark
from benchmarks.measured import Figure


@benchmark("planning", "a burst of 50,000 new checkouts: change seen to shadow set")
async def measure(bench: Bench) -> list[Figure]:
    """The daemon is stopped while they are written, so that nothing else takes its time when it goes on. Two rounds."""
    count = bench.size(50_000, 5_000)
    rates = []
    for round_ in range(rounds := min(bench.rounds, 2)):
        bench.tell(f"planning, round {round_ + 1} of {rounds}")
        async with bench.database() as database, bench.daemon(database) as daemon:
            await settle(bench, database)
            daemon.pause()
            now = await server_now(database)
            await fill(database, count, touched_at=now, next_at=now)
            began = time.perf_counter()
            daemon.go_on()
            await planned(database, count, FILLED)
            rates.append(count / (time.perf_counter() - began))
            if await database["shadows"].count_documents({"expire_at": {"$lt": now + timedelta(minutes=29)}}):
                raise RuntimeError("shadows stand at other times than the schedule has")
    return [Figure("planning", "checkouts/s", tuple(rates), 6_000, note="two rounds")]
