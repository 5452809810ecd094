"""APScheduler 3 on MongoDB, configured by its user guide (apscheduler.readthedocs.io, 3.x).

"Choosing the right scheduler": AsyncIOScheduler, for what the jobs do is asynchronous; its executor runs coroutines in
the loop. "Missed job executions and coalescing": misfire_grace_time is None, or what is over a second late would be
skipped. "Pausing/resuming job processing": jobs are added while it is paused, for else each one wakes it. Its API is
synchronous and holds a lock over the store, so one caller adds them. Not told by the guide, and in its favour: uvloop.
"""

import os
import time
from datetime import UTC, datetime

import uvloop
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from pymongo import MongoClient
from work import Worker, read_task


async def job(number: int) -> None:
    """Do the work of one job. APScheduler finds it by this module's name."""
    await worker.work(number)


async def main() -> None:
    """Schedule, wait, print."""
    await worker.connect()
    client: MongoClient = MongoClient(task.server)
    scheduler = AsyncIOScheduler(
        jobstores={"default": MongoDBJobStore(database=task.database, client=client)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    scheduler.start(paused=True)
    began = time.perf_counter()
    for number, due_at in task.due():
        scheduler.add_job(job, "date", run_date=datetime.fromtimestamp(due_at, UTC), args=[number], id=str(number))
    took = time.perf_counter() - began
    if task.run:
        scheduler.resume()
        await worker.wait()
    task.print_outcome(took, worker.ran)
    os._exit(0)  # jobs that were stopped half-way have nothing to tell


task = read_task()
worker = Worker(task)
uvloop.run(main())
