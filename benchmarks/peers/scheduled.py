"""How many single jobs a second each peer schedules, due at an instant that is far away."""

from benchmarks.bench import Bench
from benchmarks.figures import benchmark
from benchmarks.figures.intake import intake
from benchmarks.measured import Figure
from benchmarks.peers.programs import BULLMQ_ADD, PEERS, Peer, run
from benchmarks.peers.rounds import in_turn

FAR = 3600.0
"""Seconds."""

REACH = {"Agenda": 4.0}


@benchmark("peers-scheduled", "jobs scheduled a second, beside the peers")
async def measure(bench: Bench) -> list[Figure]:
    """One call a job, as many callers as ours where the API is concurrent; BullMQ also in batches."""
    count = bench.size(3_000, 1_000)

    async def theirs(peer: Peer) -> float:
        return count / (await run(bench, peer, [FAR] * count, work=False)).took

    taken = await in_turn(bench, "scheduled", lambda: intake(bench, count), (*PEERS, BULLMQ_ADD), theirs)
    notes = {
        "Agenda": "64 callers; majority and journaled, as ours",
        "APScheduler": "one caller, for it holds a lock over its store; majority and journaled, as ours",
        "arq": "64 callers; Redis without persistence",
        "Celery": "one caller, for its API is synchronous; Redis without persistence",
        "BullMQ": "addBulk, 1,000 at a time; Redis without persistence",
        "BullMQ, add": "64 callers; Redis without persistence",
    }
    return taken.figures("scheduled", "jobs/s", float, reach=REACH, notes=notes)
