"""Celery on Redis, with `eta`, configured by its user guide (docs.celeryq.dev).

"Optimizing", "Prefetch Limits": for many short tasks the multiplier should be large, "say 64, or 128"; "Prefork pool
prefetch settings": to write to the processes ahead "benefits performance", so it is not -O fair, which is the default.
"Tasks", "Ignore results you don't want". Two worker processes (prefork), each with a kept connection of smtplib, for a
process does one task at a time. No gossip, mingle and heartbeat: there is one worker. Its API is synchronous, and more
threads schedule less, so there is one caller. Not told by the guide, and in its favour: hiredis.

The tasks are in other processes, so what they did is gathered in a file: a line each, appended in one write.
"""

import json
import os
import smtplib
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from work import LINGER, Ran, Task, read_task

FOLDER = "CELERY_PEER_FOLDER"
"""The variable that tells a worker where its task is."""

app = Celery("celery_peer")
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=False,
)


@app.task
def work(number: int) -> None:
    """Send the job's mail if there are mails, and record when it was done."""
    if Process.smtp is not None:
        Process.smtp.sendmail(*Process.task.envelope(number))
    os.write(Process.record, f"{number} {time.time()}\n".encode())


class Process:
    """What a worker process keeps."""

    task: Task
    smtp: smtplib.SMTP | None = None
    record: int


if folder := os.environ.get(FOLDER):
    Process.task = Task(json.loads(Path(folder, "task").read_text()))
    app.conf.broker_url = Process.task.server


@worker_process_init.connect
def open_all(**_: object) -> None:
    """Open what a worker process keeps."""
    Process.record = os.open(Path(os.environ[FOLDER], "ran"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if Process.task.mail is not None:
        Process.smtp = smtplib.SMTP("127.0.0.1", Process.task.relay_port, local_hostname="bench")


@worker_ready.connect
def tell(**_: object) -> None:
    """Tell the program that the worker is ready."""
    Path(os.environ[FOLDER], "ready").touch()


def schedule(task: Task) -> float:
    """Schedule all; return how many seconds it took."""
    app.conf.broker_url = task.server
    began = time.perf_counter()
    for number, due_at in task.due():
        work.apply_async((number,), eta=datetime.fromtimestamp(due_at, UTC))
    return time.perf_counter() - began


def start(task: Task) -> subprocess.Popen:
    """Start the worker, and wait until it is ready."""
    folder = task.folder
    (folder / "task").write_text(json.dumps(task.told))
    (folder / "ran").touch()
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "celery_peer", "worker", "--pool", "prefork", "--concurrency", "2"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
            *("-O", "default"),
        ],
        env=os.environ | {FOLDER: str(folder), "C_FORCE_ROOT": "1"},
        cwd=Path(__file__).parent,
        stdout=sys.stderr,
    )
    until = time.monotonic() + 30
    while not (folder / "ready").exists():
        if worker.poll() is not None or time.monotonic() > until:
            worker.kill()
            raise SystemExit("the worker did not start")
        time.sleep(0.02)
    return worker


def wait(task: Task) -> Ran:
    """Wait until all is done, or it takes too long; return what was done when."""
    record = task.folder / "ran"
    until = time.monotonic() + task.within
    while time.monotonic() < until:
        time.sleep(0.1)
        if record.read_bytes().count(b"\n") >= len(task.offsets):
            break
    time.sleep(LINGER)
    return [(int(number), float(at)) for number, at in (line.split() for line in record.read_text().splitlines())]


def main() -> None:
    """Schedule, wait, print."""
    task = read_task()
    if not task.run:
        task.print_outcome(schedule(task), [])
        return
    worker = start(task)
    try:
        took = schedule(task)
        task.print_outcome(took, wait(task))
    finally:
        worker.kill()
        worker.wait()


if __name__ == "__main__":
    # Not this module, which is __main__ here: a task is named for its module, and the worker imports it as celery_peer.
    import celery_peer

    celery_peer.main()
