"""arq on Redis, configured by its documentation (arq-docs.helpmanual.io), "Usage" and "API Reference".

"Multiple jobs (potentially hundreds) can be run simultaneously": max_jobs is 200, and so the worker reads up to 1,000
jobs at a poll. Results are not kept (keep_result=0) and not logged, for nobody asks for them. The poll is as it comes,
every half a second. Not told by the documentation, and in its favour: hiredis and uvloop.
"""

import asyncio
import os
import time
from datetime import UTC, datetime

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker as ArqWorker
from arq.worker import func
from work import Worker, read_task


async def main() -> None:
    """Schedule, wait, print."""
    task = read_task()
    pool = await create_pool(RedisSettings.from_dsn(task.server))
    worker = Worker(task)
    await worker.connect()

    async def run(_: dict, number: int) -> None:
        await worker.work(number)

    running = None
    if task.run:
        arq = ArqWorker(
            [func(run, name="work", keep_result=0)],
            redis_pool=await create_pool(RedisSettings.from_dsn(task.server)),
            queue_name=pool.default_queue_name,
            max_jobs=200,
            log_results=False,
            handle_signals=False,
        )
        running = asyncio.create_task(arq.async_run())

    await asyncio.gather(*(pool.ping() for _ in range(task.callers)))  # connections are open, as ours are
    left = task.due()

    async def schedule() -> None:
        for number, due_at in left:
            await pool.enqueue_job("work", number, _defer_until=datetime.fromtimestamp(due_at, UTC))

    began = time.perf_counter()
    await asyncio.gather(*(schedule() for _ in range(task.callers)))
    took = time.perf_counter() - began
    if running is not None:
        waiting = asyncio.create_task(worker.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    task.print_outcome(took, worker.ran)
    os._exit(0)  # jobs that were stopped half-way have nothing to tell


uvloop.run(main())
