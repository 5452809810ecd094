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
ROUND_TRIPS = 1
"""Of one message, where others wait: the next one is announced in the packet of a content."""

FEW = 5


@benchmark("distance", "a relay 20 ms away")
async def measure(bench: Bench) -> list[Figure]:
    """One daemon against what the distance allows, then two against one. The rounds differ so little that one will do.

    The distance is what a command and its answer really take, for timers come late.
    """
    count = bench.size(2_500, 600)
    few = {"RECOVERY_SMTP__CONNECTIONS": str(FEW)}
    async with far_away(bench.relay_port, ROUND_TRIP) as port:
        round_trip = await _round_trip(port)
        bound = CONNECTIONS / (ROUND_TRIPS * round_trip)
        bench.tell("distance")
        whole = await burst(bench, count, port)
        one = await burst(bench, count // 4, port, **few)
        two = await burst(bench, count // 4, port, daemons=2, **few)
    return [
        Figure("a command and its answer", "ms", (1000 * round_trip,), note="one round of all that follows"),
        Figure("one daemon, 20 connections", "mails/s", (whole,)),
        ratios("of what the distance allows", [whole], [bound], 0.75),
        Figure("one daemon, 5 connections", "mails/s", (one,)),
        Figure("two daemons, 5 connections each", "mails/s", (two,)),
        ratios("two daemons, of one", [two], [one], 1.8),
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
