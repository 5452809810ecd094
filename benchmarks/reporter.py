"""Reports checkouts in a process of its own, by the client of whichever tree is on its PYTHONPATH.

`python -P benchmarks/reporter.py URI DATABASE COUNT SEED CALLERS` prints as JSON the seconds that passed, and the
processor time.
"""

import json
import sys
import time

import uvloop
from pymongo import AsyncMongoClient

from benchmarks.bench import checkouts, report_all
from recovery import Recovery


async def report(uri: str, database: str, count: int, seed: int, callers: int) -> dict[str, float]:
    """Report so many checkouts; return the seconds that passed, and the processor time of this process."""
    reports = list(checkouts(count, seed, lambda _: None))
    async with AsyncMongoClient(uri, tz_aware=True) as client:
        recovery = Recovery(client, database=database)
        before = time.process_time()
        seconds = await report_all(recovery, reports, callers)
        return {"seconds": seconds, "client": time.process_time() - before}


if __name__ == "__main__":
    uri, database, *numbers = sys.argv[1:]
    print(json.dumps(uvloop.run(report(uri, database, *map(int, numbers)))))
