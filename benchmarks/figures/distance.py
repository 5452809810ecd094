"""A relay that is far away: what counts then is how many round trips a message takes."""

import statistics
import time

import aiosmtplib

from benchmarks.bench import Bench
from benchmarks.figures import benchmark
from benchmarks.figures.burst import CONNECTIONS, burst
from benchmarks.measured import Figure, ratios
from benchmarks.relay import far_away

ROUND_TRIP = 0.02
ROUND_TRIPS = 2
"""Of one message: MAIL, RCPT and DATA in one packet, then the content."""

FEW = 5


@benchmark("distance", "a relay 20 ms away")
async def measure(bench: Bench) -> list[Figure]:
    """One daemon against what the distance allows, then two against one. The rounds differ so little that two will do.

    The distance is what a command and its answer really take, for timers come late.
    """
    count = bench.size(3_000, 600)
    whole, one, two = [], [], []
    async with far_away(bench.relay_port, ROUND_TRIP) as port:
        round_trip = await _round_trip(port)
        bound = CONNECTIONS / (ROUND_TRIPS * round_trip)
        for round_ in range(rounds := min(bench.rounds, 2)):
            bench.tell(f"distance, round {round_ + 1} of {rounds}")
            whole.append(await burst(bench, count, port))
            few = {"RECOVERY_SMTP__CONNECTIONS": str(FEW)}
            one.append(await burst(bench, count // 3, port, **few))
            two.append(await burst(bench, count // 3, port, daemons=2, **few))
    return [
        Figure("a command and its answer", "ms", (1000 * round_trip,)),
        Figure("one daemon, 20 connections", "mails/s", tuple(whole)),
        ratios("of what the distance allows", whole, [bound] * len(whole), 0.9),
        Figure("one daemon, 5 connections", "mails/s", tuple(one)),
        Figure("two daemons, 5 connections each", "mails/s", tuple(two)),
        ratios("two daemons, of one", two, one, 1.8),
    ]


async def _round_trip(port: int) -> float:
    """Return how long a NOOP takes, in seconds: the median of fifty."""
    seconds = []
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="bench", start_tls=False) as client:
        for _ in range(50):
            began = time.perf_counter()
            await client.noop()
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
