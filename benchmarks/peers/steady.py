"""How late jobs are that are due at random instants, and have nothing to do but to record it."""

import random
from operator import itemgetter

from benchmarks.bench import Bench, percentile
from benchmarks.figures import benchmark
from benchmarks.figures.steady import steady
from benchmarks.measured import Figure
from benchmarks.peers.programs import PEERS, Peer, run
from benchmarks.peers.rounds import in_turn

RATE = 150
"""Jobs a second."""

SECONDS = 8.0
"""Of a round: 24 in three rounds, so that a whole run with all peers takes minutes."""

REACH = {"Agenda": 1.0}

Percentiles = tuple[float, float]
"""The 50th and the 99th, in milliseconds."""


def percentiles(late: list[float]) -> Percentiles:
    """Return the two of lateness in seconds, in order."""
    return 1000 * percentile(late, 50), 1000 * percentile(late, 99)


@benchmark("peers-steady", "lateness at 150 jobs a second, beside the peers")
async def measure(bench: Bench) -> list[Figure]:
    """The same instants for each peer. Theirs is when the job ran, ours when its mail was accepted and recorded."""
    seconds = bench.size(int(SECONDS), 3)
    rng = random.Random(bench.seed)
    offsets = sorted(round(rng.uniform(0, seconds), 3) for _ in range(int(RATE * seconds)))

    async def ours() -> Percentiles:
        return percentiles(await steady(bench, seconds))

    async def theirs(peer: Peer) -> Percentiles:
        return percentiles((await run(bench, peer, offsets)).late)

    taken = await in_turn(bench, "steady", ours, PEERS, theirs)
    return [
        figure
        for place, what in enumerate(("lateness p50", "lateness p99"))
        for figure in taken.figures(what, "ms", itemgetter(place), reach=REACH, smaller_is_better=True)
    ]
